{% raw %}<!doctype html>
<html lang="en">
<body>
<p>Welcome, {{name | escape_html}},</p>
<p>please <a href="{{host}}{% endraw %}{% if starter == "rest-api" %}/api/auth{% endif %}{% raw %}/verify/{{verifyToken}}">verify your mail address</a>.</p>
</body>
</html>{% endraw %}
