Confirm your new email address with this link, which is valid for 24 hours:

{{host}}{{path}}{{token}}

If you did not ask for it, ignore this mail.
