# The same in every language.

service = {{project-name}}
