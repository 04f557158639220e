Willkommen! Bestätigen Sie Ihre E-Mail-Adresse, um die Registrierung
abzuschließen.

{{host}}{{path}}{{verifyToken}}

Der Link gilt 24 Stunden.

Wenn Sie sich nicht registriert haben, brauchen Sie nichts zu tun.
