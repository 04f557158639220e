Log in with this link:

{{host}}{{path}}{{token}}

The link works once and expires after 5 minutes.

If you did not request this, you can ignore this email.
