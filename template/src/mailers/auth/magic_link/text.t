Hello {{name}},

log in with this link, once and within 5 minutes:

{{host}}/api/auth/magic-link/{{token}}
