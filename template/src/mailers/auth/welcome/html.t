<!doctype html>
<html lang="en">
<body>
<p>Welcome, {{name}},</p>
<p>please <a href="{{host}}/api/auth/verify/{{verifyToken}}">verify your mail address</a>.</p>
</body>
</html>
