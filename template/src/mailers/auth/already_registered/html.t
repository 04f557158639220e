<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>You already have an account</title>
</head>
<body style="margin: 0; padding: 24px; font: 16px/1.5 system-ui, sans-serif">
<div style="max-width: 560px; margin: 0 auto">
<h1 style="font-size: 20px">You already have an account</h1>
<p>Somebody registered with your email address. You already have an account, and nothing has changed: log in as usual, or set a new password if you have forgotten yours.</p>
<p>If this was not you, you can ignore this email.</p>
</div>
</body>
</html>
