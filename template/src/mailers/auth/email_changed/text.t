Your account has a new email address: you no longer log in with this one.

If it was not you, somebody knows your password: tell us at once.
