<!doctype html>
<html lang="en">
<body>
<p><a href="{{host}}{{path}}{{resetToken}}">Set a new password</a>: the link is valid for 30 minutes.</p>
<p>If you did not ask for it, ignore this mail.</p>
</body>
</html>
