You asked for a new password. Set it with this link:

{{host}}{{path}}{{resetToken}}

The link is valid for 30 minutes.

If you did not ask for it, ignore this email: your password stays as it is.
