<!doctype html>
<html lang="de">
<head>
<meta charset="utf-8">
<title>Sie haben schon ein Konto</title>
</head>
<body style="margin: 0; padding: 24px; font: 16px/1.5 system-ui, sans-serif">
<div style="max-width: 560px; margin: 0 auto">
<h1 style="font-size: 20px">Sie haben schon ein Konto</h1>
<p>Jemand hat sich mit Ihrer E-Mail-Adresse registriert. Sie haben schon ein Konto, und nichts hat sich geändert: Melden Sie sich an wie bisher, oder setzen Sie ein neues Passwort, wenn Sie Ihres vergessen haben.</p>
<p>Wenn Sie das nicht waren, brauchen Sie nichts zu tun.</p>
</div>
</body>
</html>
