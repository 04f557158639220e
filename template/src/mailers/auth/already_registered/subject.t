You have an account already
