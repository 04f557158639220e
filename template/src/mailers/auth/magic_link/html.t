{% raw %}<!doctype html>
<html lang="en">
<body>
<p><a href="{{host}}/magic-link{% endraw %}{% if starter == "saas-server" %}/{% else %}#{% endif %}{% raw %}{{token}}">Log in</a>: the link works once, within 5 minutes.</p>
</body>
</html>{% endraw %}
