{% raw %}<!doctype html>
<html lang="en">
<body>
<p><a href="{{host}}{% endraw %}{{magic_link_path}}{% raw %}{{token}}">Log in</a>: the link works once, within 5 minutes.</p>
</body>
</html>{% endraw %}
