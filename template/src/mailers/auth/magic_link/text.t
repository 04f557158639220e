Log in with this link, which works once and within 5 minutes:

{{host}}{{path}}{{token}}
