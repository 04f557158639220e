<!doctype html>
<html lang="de">
<head>
<meta charset="utf-8">
<title>Ihre E-Mail-Adresse wurde geändert</title>
</head>
<body style="margin: 0; padding: 24px; font: 16px/1.5 system-ui, sans-serif">
<div style="max-width: 560px; margin: 0 auto">
<h1 style="font-size: 20px">Ihre E-Mail-Adresse wurde geändert</h1>
<p>Ihr Konto hat eine neue E-Mail-Adresse. Mit dieser können Sie sich nicht mehr anmelden.</p>
<p>Wenn Sie das nicht waren, kennt jemand Ihr Passwort: Wenden Sie sich sofort an uns.</p>
</div>
</body>
</html>
