The password of your account was changed, and you were logged out everywhere
else.

If this was not you, set a new one immediately: follow “Forgot your password?”
on the login page.
