Your account has a new email address. You can no longer log in with this
one.

If it was not you, somebody knows your password: contact us at once.
