Welcome! Verify your email address to finish your registration.

{{host}}{{path}}{{verifyToken}}

The link is valid for 24 hours.

If you did not register, you can ignore this email.
