<!doctype html>
<html lang="en">
<body>
<p>Your account has a new email address: you no longer log in with this one.</p>
<p>If it was not you, somebody knows your password: tell us at once.</p>
</body>
</html>
