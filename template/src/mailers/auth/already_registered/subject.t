You already have an account
