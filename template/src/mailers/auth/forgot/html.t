<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Set a new password</title>
</head>
<body style="margin: 0; padding: 24px; font: 16px/1.5 system-ui, sans-serif">
<div style="max-width: 560px; margin: 0 auto">
<h1 style="font-size: 20px">Set a new password</h1>
<p>You asked to reset your password. Set it with this link:</p>
<p><a href="{{host}}{{path}}{{resetToken}}" style="display: inline-block; padding: 12px 20px; border-radius: 8px; background: #2f55d4; color: #ffffff; text-decoration: none">Set a new password</a></p>
<p>The link is valid for 30 minutes.</p>
<p>If you did not request this, you can ignore this email: your password stays the same.</p>
</div>
</body>
</html>
