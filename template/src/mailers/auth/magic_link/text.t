{% raw %}Log in with this link, which works once and within 5 minutes:

{{host}}{% endraw %}{% if starter == "rest-api" %}/api/auth{% endif %}{% raw %}/magic-link/{{token}}{% endraw %}
