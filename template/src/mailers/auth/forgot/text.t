You asked to reset your password. Set it with this link:

{{host}}{{path}}{{resetToken}}

The link is valid for 30 minutes.

If you did not request this, you can ignore this email: your password stays
the same.
