<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Your password was changed</title>
</head>
<body style="margin: 0; padding: 24px; font: 16px/1.5 system-ui, sans-serif">
<div style="max-width: 560px; margin: 0 auto">
<h1 style="font-size: 20px">Your password was changed</h1>
<p>The password of your account was changed, and you were logged out everywhere else.</p>
<p>If this was not you, set a new one immediately: follow “Forgot your password?” on the login page.</p>
</div>
</body>
</html>
