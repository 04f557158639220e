<!doctype html>
<html lang="de">
<head>
<meta charset="utf-8">
<title>Ihr Anmeldelink</title>
</head>
<body style="margin: 0; padding: 24px; font: 16px/1.5 system-ui, sans-serif">
<div style="max-width: 560px; margin: 0 auto">
<h1 style="font-size: 20px">Ihr Anmeldelink</h1>
<p>Melden Sie sich mit diesem Link an:</p>
<p><a href="{{host}}{{path}}{{token}}" style="display: inline-block; padding: 12px 20px; border-radius: 8px; background: #2f55d4; color: #ffffff; text-decoration: none">Anmelden</a></p>
<p>Der Link gilt einmal und 5 Minuten lang.</p>
<p>Wenn Sie das nicht waren, brauchen Sie nichts zu tun.</p>
</div>
</body>
</html>
