Sie möchten ein neues Passwort. Setzen Sie es mit diesem Link:

{{host}}{{path}}{{resetToken}}

Der Link gilt 30 Minuten.

Wenn Sie das nicht waren, brauchen Sie nichts zu tun: Ihr Passwort bleibt,
wie es ist.
