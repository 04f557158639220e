This address is to become the email address of your account. Confirm it with
this link:

{{host}}{{path}}{{token}}

The link is valid for 24 hours.

If you did not ask for it, ignore this email.
