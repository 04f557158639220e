<!doctype html>
<html lang="en">
<body>
<p>Hello {{name}},</p>
<p><a href="{{host}}/api/auth/magic-link/{{token}}">Log in</a>: the link works once, within 5 minutes.</p>
</body>
</html>
