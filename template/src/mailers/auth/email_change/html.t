<!doctype html>
<html lang="en">
<body>
<p><a href="{{host}}{{path}}{{token}}">Confirm your new email address</a>: the link is valid for 24 hours.</p>
<p>If you did not ask for it, ignore this mail.</p>
</body>
</html>
