Log in with this link:

{{host}}{{path}}{{token}}

The link works once, within 5 minutes.

If you did not ask for it, ignore this email.
