{% raw %}Welcome, {{name}},

please verify your mail address by opening this link:

{{host}}{% endraw %}{% if starter == "rest-api" %}/api/auth{% endif %}{% raw %}/verify/{{verifyToken}}{% endraw %}
