# In the list of languages
language = English

# Around every page
skip = Skip to content
navigation = Main
languages = Languages
error-in-title = Error

# Home
home = Home
hello-world = Hello World!
home-text = This page is assets/views/home/hello.html, and its texts are in assets/i18n.

# Fields
name = Name
email = Email address
password = Password
current_password = Current password
new_password = New password
password-hint = { $shortest } to { $longest } characters.

# Errors in fields
problems = There is a problem
error-name = Enter a name of 2 to 100 characters, without links.
error-email = Enter an email address, such as name@example.com.
error-password = Enter a password of the right length that is not a common one.
error-current_password = The current password is wrong.
error-new_password = Enter a password of the right length that is not a common one.
error-login = The email address or the password is wrong.
error-magic-link = Login links cannot be sent to this address. Log in with your password instead.

# Registration
register = Register
register-title = Create an account
have-account = Already have an account? Log in.

# Login
log-in = Log in
log-out = Log out
no-account = No account yet? Register.
done-verified = Your email address is verified.
done-password = Your new password has been set.

# Login link
magic-link-title = Log in without a password
magic-link-text = We will send you a link that logs you in once and expires after 5 minutes.
magic-link-confirm-text = The link in our email is valid.
send-link = Send the link

# Email on its way
check-title = Check your email
check-text = If the address is correct, an email is on its way. Follow the link in it.
check-nothing = No email after a few minutes? Check your spam folder. If you registered with this address before, log in, or set a new password.

# Verification
verify = Verify
verify-title = Verify your email address
verify-text = The link in our email is valid. One more click, and your address is verified.

# New password
forgot-title = Forgot your password?
forgot-text = We will send you a link to set a new password. It is valid for 30 minutes.
reset-title = Set a new password
set-password = Set the password

# Links that are no longer valid
void-title = This link no longer works
void-text = It has already been used or has expired.
void-again = Request a new one

# Account
account = Your account
is-verified = Your email address is verified.
is-not-verified = Your email address is not verified yet. Follow the link in our email.
send-again = Send the email again
change-name = Change your name
change-email = Change your email address
change-email-text = We will send a link to the new address. Once you have followed it, log in with the new address.
change-password = Change your password
change-password-text = You will stay logged in here and be logged out everywhere else.
confirm-email-title = Confirm your new email address
confirm-email-text = The link in our email is valid. One more click, and the address is yours.
confirm = Confirm
save = Save
cancel = Back to your account
sessions = Where you are logged in
since = since
this-session = This browser
end-session = Log out there
unknown-browser = Unknown browser
delete-title = Delete your account
delete-text = This deletes your account and everything that belongs to it. It cannot be undone.
delete = Delete the account
done-name = Your name has been changed.
done-email = Your email address has been changed.
done-email-asked = Check the inbox of your new address, and follow the link in our email.
done-session = You have been logged out there.
done-deleted = Your account has been deleted.

# Errors
not-found-title = Page not found
not-found-text = There is nothing at this address.
error-title = Something went wrong
timeout-text = This took too long. Try again later.
too-many-text = There were too many attempts. Wait a few minutes, then try again.
refused-text = The service did not accept this request (error { $status }).
error-text = The service could not respond (error { $status }). Try again later.
to-home = Go to the home page
