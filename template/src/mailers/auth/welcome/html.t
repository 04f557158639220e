{% raw %}<!doctype html>
<html lang="en">
<body>
<p>Welcome! Please <a href="{{host}}{% endraw %}{{verify_path}}{% raw %}{{verifyToken}}">verify your email address</a>: the link is valid for 24 hours.</p>
<p>If you did not register, ignore this mail.</p>
</body>
</html>{% endraw %}
