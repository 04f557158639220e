Somebody has registered with your email address. You have an account with it already, and nothing has
changed: log in as before, or set a new password if you have forgotten yours.

If it was not you, ignore this mail.
