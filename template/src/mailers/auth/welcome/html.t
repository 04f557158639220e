<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Verify your email address</title>
</head>
<body style="margin: 0; padding: 24px; font: 16px/1.5 system-ui, sans-serif">
<div style="max-width: 560px; margin: 0 auto">
<h1 style="font-size: 20px">Verify your email address</h1>
<p>Welcome! Verify your email address to finish your registration.</p>
<p><a href="{{host}}{{path}}{{verifyToken}}" style="display: inline-block; padding: 12px 20px; border-radius: 8px; background: #2f55d4; color: #ffffff; text-decoration: none">Verify email address</a></p>
<p>The link is valid for 24 hours.</p>
<p>If you did not register, you can ignore this email.</p>
</div>
</body>
</html>
