Ihr Passwort wurde geändert
