Welcome, {{name}},

please verify your mail address by opening this link:

{{host}}/api/auth/verify/{{verifyToken}}
