Set a new password
