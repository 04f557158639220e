Melden Sie sich mit diesem Link an:

{{host}}{{path}}{{token}}

Der Link gilt einmal und 5 Minuten lang.

Wenn Sie das nicht waren, brauchen Sie nichts zu tun.
