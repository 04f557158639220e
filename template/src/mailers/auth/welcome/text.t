{% raw %}Welcome! Please verify your email address with this link, which is valid for 24 hours:

{{host}}{% endraw %}{% if starter == "rest-api" %}/api/auth{% endif %}/verify{% if starter == "saas-client" %}#{% else %}/{% endif %}{% raw %}{{verifyToken}}

If you did not register, ignore this mail.{% endraw %}
