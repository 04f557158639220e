{% raw %}Set a new password with this link, which is valid for 30 minutes:

{{host}}/reset{% endraw %}{% if starter == "saas-server" %}/{% else %}#{% endif %}{% raw %}{{resetToken}}

If you did not ask for it, ignore this mail.{% endraw %}
