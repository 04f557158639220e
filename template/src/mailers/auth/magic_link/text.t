{% raw %}Log in with this link, which works once and within 5 minutes:

{{host}}{% endraw %}{{magic_link_path}}{% raw %}{{token}}{% endraw %}
