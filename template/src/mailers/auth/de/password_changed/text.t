Das Passwort Ihres Kontos wurde geändert, und Sie wurden überall sonst
abgemeldet.

Wenn Sie das nicht waren, setzen Sie sofort ein neues: mit „Passwort
vergessen?“ auf der Anmeldeseite.
