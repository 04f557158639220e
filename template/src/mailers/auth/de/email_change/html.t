<!doctype html>
<html lang="de">
<head>
<meta charset="utf-8">
<title>Bestätigen Sie Ihre neue E-Mail-Adresse</title>
</head>
<body style="margin: 0; padding: 24px; font: 16px/1.5 system-ui, sans-serif">
<div style="max-width: 560px; margin: 0 auto">
<h1 style="font-size: 20px">Bestätigen Sie Ihre neue E-Mail-Adresse</h1>
<p>Diese Adresse soll die E-Mail-Adresse Ihres Kontos werden. Bestätigen Sie sie mit diesem Link:</p>
<p><a href="{{host}}{{path}}{{token}}" style="display: inline-block; padding: 12px 20px; border-radius: 8px; background: #2f55d4; color: #ffffff; text-decoration: none">E-Mail-Adresse bestätigen</a></p>
<p>Der Link gilt 24 Stunden.</p>
<p>Wenn Sie das nicht waren, brauchen Sie nichts zu tun.</p>
</div>
</body>
</html>
