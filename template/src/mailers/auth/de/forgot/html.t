<!doctype html>
<html lang="de">
<head>
<meta charset="utf-8">
<title>Setzen Sie ein neues Passwort</title>
</head>
<body style="margin: 0; padding: 24px; font: 16px/1.5 system-ui, sans-serif">
<div style="max-width: 560px; margin: 0 auto">
<h1 style="font-size: 20px">Setzen Sie ein neues Passwort</h1>
<p>Sie möchten ein neues Passwort. Setzen Sie es mit diesem Link:</p>
<p><a href="{{host}}{{path}}{{resetToken}}" style="display: inline-block; padding: 12px 20px; border-radius: 8px; background: #2f55d4; color: #ffffff; text-decoration: none">Neues Passwort setzen</a></p>
<p>Der Link gilt 30 Minuten.</p>
<p>Wenn Sie das nicht waren, brauchen Sie nichts zu tun: Ihr Passwort bleibt, wie es ist.</p>
</div>
</body>
</html>
