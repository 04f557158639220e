# In der Liste der Sprachen.
language = Deutsch

# Rund um jede Seite
skip = Zum Inhalt
navigation = Hauptmenü
languages = Sprachen
error-in-title = Fehler

# Startseite
home = Startseite
hello-world = Hallo Welt!
home-text = Diese Seite ist assets/views/home/hello.html, und ihr Text steht in assets/i18n.

# Felder
name = Name
email = E-Mail-Adresse
password = Passwort
current_password = Bisheriges Passwort
new_password = Neues Passwort
password-hint = { $shortest } bis { $longest } Zeichen.

# Was an ihnen falsch ist
problems = Es gibt ein Problem
error-name = Geben Sie einen Namen mit 2 bis 100 Zeichen und ohne Links ein.
error-email = Geben Sie eine E-Mail-Adresse ein, zum Beispiel name@example.com.
error-password = Geben Sie ein Passwort in der richtigen Länge ein, das nicht zu den häufigsten gehört.
error-current_password = Das bisherige Passwort ist falsch.
error-new_password = Geben Sie ein Passwort in der richtigen Länge ein, das nicht zu den häufigsten gehört.
error-login = Die E-Mail-Adresse oder das Passwort ist falsch.
error-magic-link = An diese Adresse wird kein Anmeldelink geschickt. Melden Sie sich mit Ihrem Passwort an.

# Registrierung
register = Registrieren
register-title = Konto anlegen
have-account = Sie haben ein Konto? Melden Sie sich an.

# Anmeldung
log-in = Anmelden
log-out = Abmelden
no-account = Sie haben kein Konto? Registrieren Sie sich.
done-verified = Ihre E-Mail-Adresse ist bestätigt.
done-password = Ihr neues Passwort ist gesetzt.

# Anmeldelink
magic-link-title = Ohne Passwort anmelden
magic-link-text = Wir schicken Ihnen einen Link, mit dem Sie sich innerhalb von 5 Minuten einmal anmelden können.
magic-link-confirm-text = Der Link aus unserer E-Mail ist gültig.
send-link = Link schicken

# E-Mail unterwegs
check-title = Sehen Sie in Ihrem Postfach nach
check-text = Wenn die Adresse stimmt, ist eine E-Mail unterwegs. Folgen Sie dem Link darin.
check-nothing = Nach einigen Minuten keine E-Mail? Sehen Sie im Spam-Ordner nach. Wenn Sie sich mit dieser Adresse schon früher registriert haben, melden Sie sich an oder setzen Sie ein neues Passwort.

# Bestätigung
verify = Bestätigen
verify-title = E-Mail-Adresse bestätigen
verify-text = Der Link aus unserer E-Mail ist gültig. Es fehlt nur noch ein Klick.

# Neues Passwort
forgot-title = Passwort vergessen?
forgot-text = Wir schicken Ihnen einen Link, mit dem Sie ein neues Passwort setzen können. Er gilt 30 Minuten.
reset-title = Neues Passwort setzen
set-password = Passwort setzen

# Verbrauchte Links
void-title = Dieser Link gilt nicht mehr
void-text = Er wurde schon benutzt oder ist zu alt.
void-again = Einen neuen anfordern

# Konto
account = Ihr Konto
is-verified = Ihre E-Mail-Adresse ist bestätigt.
is-not-verified = Ihre E-Mail-Adresse ist noch nicht bestätigt. Folgen Sie dem Link in unserer E-Mail.
send-again = E-Mail noch einmal schicken
change-name = Namen ändern
change-email = E-Mail-Adresse ändern
change-email-text = Wir schicken einen Link an die neue Adresse. Wenn Sie ihm gefolgt sind, melden Sie sich mit der neuen Adresse an.
change-password = Passwort ändern
change-password-text = Hier bleiben Sie angemeldet, überall sonst werden Sie abgemeldet.
confirm-email-title = Neue E-Mail-Adresse bestätigen
confirm-email-text = Der Link aus unserer E-Mail ist gültig. Es fehlt nur noch ein Klick.
confirm = Bestätigen
save = Speichern
cancel = Zurück zum Konto
sessions = Wo Sie angemeldet sind
since = seit
this-session = Dieser Browser
end-session = Dort abmelden
unknown-browser = Unbekannter Browser
delete-title = Konto löschen
delete-text = Alles, was dazugehört, wird mitgelöscht. Das lässt sich nicht rückgängig machen.
delete = Konto endgültig löschen
done-name = Ihr Name ist geändert.
done-email = Ihre E-Mail-Adresse ist geändert.
done-email-asked = Sehen Sie im Postfach der neuen Adresse nach, und folgen Sie dem Link in der E-Mail.
done-session = Sie sind dort abgemeldet.
done-deleted = Ihr Konto ist gelöscht.

# Fehler
not-found-title = Seite nicht gefunden
not-found-text = Unter dieser Adresse gibt es nichts.
error-title = Das hat nicht geklappt
timeout-text = Das hat zu lange gedauert. Versuchen Sie es später noch einmal.
too-many-text = Das waren zu viele Versuche. Warten Sie einige Minuten, und versuchen Sie es dann noch einmal.
refused-text = Der Dienst hat diese Anfrage nicht angenommen (Fehler { $status }).
error-text = Der Dienst konnte nicht antworten (Fehler { $status }). Versuchen Sie es später noch einmal.
to-home = Zur Startseite
