<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Your login link</title>
</head>
<body style="margin: 0; padding: 24px; font: 16px/1.5 system-ui, sans-serif">
<div style="max-width: 560px; margin: 0 auto">
<h1 style="font-size: 20px">Your login link</h1>
<p>Log in with this link:</p>
<p><a href="{{host}}{{path}}{{token}}" style="display: inline-block; padding: 12px 20px; border-radius: 8px; background: #2f55d4; color: #ffffff; text-decoration: none">Log in</a></p>
<p>The link works once and expires after 5 minutes.</p>
<p>If you did not request this, you can ignore this email.</p>
</div>
</body>
</html>
