{% raw %}Log in with this link, which works once and within 5 minutes:

{{host}}/magic-link{% endraw %}{% if starter == "saas-server" %}/{% else %}#{% endif %}{% raw %}{{token}}{% endraw %}
