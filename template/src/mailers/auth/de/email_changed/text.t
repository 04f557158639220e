Ihr Konto hat eine neue E-Mail-Adresse. Mit dieser können Sie sich nicht
mehr anmelden.

Wenn Sie das nicht waren, kennt jemand Ihr Passwort: Wenden Sie sich sofort
an uns.
