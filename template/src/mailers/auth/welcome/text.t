Welcome! Please verify your email address with this link, which is valid for 24 hours:

{{host}}{{path}}{{verifyToken}}

If you did not register, ignore this mail.
