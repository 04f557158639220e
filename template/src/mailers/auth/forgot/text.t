Set a new password with this link, which is valid for 30 minutes:

{{host}}{{path}}{{resetToken}}

If you did not ask for it, ignore this mail.
