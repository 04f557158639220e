{% raw %}Confirm your new email address with this link, which is valid for 24 hours:

{{host}}{% endraw %}{{email_path}}{% raw %}{{token}}

If you did not ask for it, ignore this mail.{% endraw %}