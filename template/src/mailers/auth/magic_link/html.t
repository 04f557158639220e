{% raw %}<!doctype html>
<html lang="en">
<body>
<p><a href="{{host}}{% endraw %}{% if starter == "rest-api" %}/api/auth{% endif %}{% raw %}/magic-link/{{token}}">Log in</a>: the link works once, within 5 minutes.</p>
</body>
</html>{% endraw %}
