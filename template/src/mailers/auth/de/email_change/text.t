Diese Adresse soll die E-Mail-Adresse Ihres Kontos werden. Bestätigen Sie
sie mit diesem Link:

{{host}}{{path}}{{token}}

Der Link gilt 24 Stunden.

Wenn Sie das nicht waren, brauchen Sie nichts zu tun.
