<!doctype html>
<html lang="en">
<body>
<p><a href="{{host}}{{path}}{{token}}">Log in</a>: the link works once, within 5 minutes.</p>
</body>
</html>
