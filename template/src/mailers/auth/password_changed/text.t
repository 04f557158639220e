The password of your account was changed, and you were logged out everywhere
else.

If it was not you, set a new one at once: follow “Forgot your password?” on
the login page.
