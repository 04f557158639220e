Jemand hat sich mit Ihrer E-Mail-Adresse registriert. Sie haben schon ein
Konto, und nichts hat sich geändert: Melden Sie sich an wie bisher, oder
setzen Sie ein neues Passwort, wenn Sie Ihres vergessen haben.

Wenn Sie das nicht waren, brauchen Sie nichts zu tun.
