The password of your account was changed, and you were logged out everywhere else.

If it was not you, set a new one: ask for a mail to do so, where you log in.
