<!doctype html>
<html lang="en">
<body>
<p>Welcome! Please <a href="{{host}}{{path}}{{verifyToken}}">verify your email address</a>: the link is valid for 24 hours.</p>
<p>If you did not register, ignore this mail.</p>
</body>
</html>
