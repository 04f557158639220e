{% raw %}Confirm your new email address with this link, which is valid for 24 hours:

{{host}}{% endraw %}{% if starter == "rest-api" %}/api{% endif %}/account/email/{% if starter == "saas-client" %}confirm#{% endif %}{% raw %}{{token}}

If you did not ask for it, ignore this mail.{% endraw %}