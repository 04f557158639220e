Your account has a new email address. You can no longer log in with this
one.

If this was not you, somebody knows your password: contact us immediately.
