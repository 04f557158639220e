<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Your email address was changed</title>
</head>
<body style="margin: 0; padding: 24px; font: 16px/1.5 system-ui, sans-serif">
<div style="max-width: 560px; margin: 0 auto">
<h1 style="font-size: 20px">Your email address was changed</h1>
<p>Your account has a new email address. You can no longer log in with this one.</p>
<p>If this was not you, somebody knows your password: contact us immediately.</p>
</div>
</body>
</html>
