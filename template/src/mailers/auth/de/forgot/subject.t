Setzen Sie ein neues Passwort
