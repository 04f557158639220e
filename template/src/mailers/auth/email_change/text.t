You asked to use this email address for your account. Confirm it with this
link:

{{host}}{{path}}{{token}}

The link is valid for 24 hours.

If you did not request this, you can ignore this email.
