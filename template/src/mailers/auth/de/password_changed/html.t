<!doctype html>
<html lang="de">
<head>
<meta charset="utf-8">
<title>Ihr Passwort wurde geändert</title>
</head>
<body style="margin: 0; padding: 24px; font: 16px/1.5 system-ui, sans-serif">
<div style="max-width: 560px; margin: 0 auto">
<h1 style="font-size: 20px">Ihr Passwort wurde geändert</h1>
<p>Das Passwort Ihres Kontos wurde geändert, und Sie wurden überall sonst abgemeldet.</p>
<p>Wenn Sie das nicht waren, setzen Sie sofort ein neues: mit „Passwort vergessen?“ auf der Anmeldeseite.</p>
</div>
</body>
</html>
