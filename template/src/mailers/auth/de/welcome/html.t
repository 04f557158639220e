<!doctype html>
<html lang="de">
<head>
<meta charset="utf-8">
<title>Bestätigen Sie Ihre E-Mail-Adresse</title>
</head>
<body style="margin: 0; padding: 24px; font: 16px/1.5 system-ui, sans-serif">
<div style="max-width: 560px; margin: 0 auto">
<h1 style="font-size: 20px">Bestätigen Sie Ihre E-Mail-Adresse</h1>
<p>Willkommen! Bestätigen Sie Ihre E-Mail-Adresse, um die Registrierung abzuschließen.</p>
<p><a href="{{host}}{{path}}{{verifyToken}}" style="display: inline-block; padding: 12px 20px; border-radius: 8px; background: #2f55d4; color: #ffffff; text-decoration: none">E-Mail-Adresse bestätigen</a></p>
<p>Der Link gilt 24 Stunden.</p>
<p>Wenn Sie sich nicht registriert haben, brauchen Sie nichts zu tun.</p>
</div>
</body>
</html>
