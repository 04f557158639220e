Somebody registered with your email address. You already have an account,
and nothing has changed: log in as usual, or set a new password if you have
forgotten yours.

If this was not you, you can ignore this email.
