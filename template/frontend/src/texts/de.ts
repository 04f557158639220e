import type { Texts } from '.'

export const de: Texts = {
  language: 'Deutsch',

  // Um jede Seite
  skip: 'Zum Inhalt springen',
  navigation: 'Hauptmenü',
  languages: 'Sprachen',

  // Startseite
  welcome: 'Willkommen',
  homeText: (app) => `Das ist die Oberfläche von ${app}.`,
  pages: 'Seiten',

  // Felder
  name: 'Name',
  email: 'E-Mail-Adresse',
  password: 'Passwort',
  currentPassword: 'Bisheriges Passwort',
  newPassword: 'Neues Passwort',
  passwordHint: '8 bis 128 Zeichen.',

  // Was an ihnen falsch ist
  problems: 'Es gibt ein Problem',
  wrong: {
    name: 'Geben Sie einen Namen mit 2 bis 100 Zeichen und ohne Links ein.',
    email: 'Geben Sie eine E-Mail-Adresse ein, zum Beispiel name@example.com.',
    password: 'Geben Sie ein Passwort in der richtigen Länge ein, das nicht zu den häufigsten gehört.',
    current_password: 'Das bisherige Passwort ist falsch.',
  },
  wrongLogin: 'Die E-Mail-Adresse oder das Passwort ist falsch.',
  noMagicLink: 'An diese Adresse wird kein Anmeldelink geschickt. Melden Sie sich mit Ihrem Passwort an.',

  // Registrierung
  register: 'Registrieren',
  registerTitle: 'Konto anlegen',
  haveAccount: 'Sie haben schon ein Konto?',

  // Anmeldung
  logIn: 'Anmelden',
  logOut: 'Abmelden',
  noAccount: 'Sie haben noch kein Konto?',

  // Anmeldelink
  magicLinkTitle: 'Ohne Passwort anmelden',
  magicLinkText: 'Wir schicken Ihnen einen Link, mit dem Sie sich innerhalb von 5 Minuten einmal anmelden können.',
  magicLinkConfirmTitle: 'Willkommen zurück',
  magicLinkConfirmText: 'Es fehlt nur noch ein Klick.',
  sendLink: 'Link schicken',

  // E-Mail unterwegs
  checkTitle: 'Sehen Sie in Ihrem Postfach nach',
  checkText: 'Wenn die Adresse stimmt, ist eine E-Mail unterwegs. Folgen Sie dem Link darin.',
  checkNothing:
    'Nach einigen Minuten keine E-Mail? Sehen Sie im Spam-Ordner nach. Wenn Sie sich mit dieser Adresse schon früher registriert haben, melden Sie sich an oder setzen Sie ein neues Passwort.',
  sendAgain: 'E-Mail noch einmal schicken',
  sent: 'Falls noch eine E-Mail nötig ist, ist sie unterwegs.',

  // Bestätigung
  verify: 'Bestätigen',
  verifyTitle: 'E-Mail-Adresse bestätigen',
  verifyText: 'Es fehlt nur noch ein Klick.',
  verified: 'Ihre E-Mail-Adresse ist bestätigt.',

  // Neues Passwort
  forgotTitle: 'Passwort vergessen?',
  forgotText: 'Wir schicken Ihnen einen Link, mit dem Sie ein neues Passwort setzen können. Er gilt 30 Minuten.',
  resetTitle: 'Neues Passwort setzen',
  setPassword: 'Passwort setzen',
  passwordSet: 'Ihr neues Passwort ist gesetzt.',

  // Verbrauchte Links
  voidTitle: 'Dieser Link gilt nicht mehr',
  voidText: 'Er wurde schon benutzt, ist zu alt, oder eine neuere E-Mail hat ihn ersetzt.',
  incomplete: 'Dieser Link ist nicht vollständig. Kopieren Sie ihn ganz aus der E-Mail.',
  getAnother: 'Einen neuen anfordern',

  // Konto
  account: 'Ihr Konto',
  isVerified: 'Ihre E-Mail-Adresse ist bestätigt.',
  isNotVerified: 'Ihre E-Mail-Adresse ist noch nicht bestätigt. Folgen Sie dem Link in unserer E-Mail.',
  changeName: 'Namen ändern',
  changeEmail: 'E-Mail-Adresse ändern',
  changeEmailText:
    'Wir schicken einen Link an die neue Adresse. Wenn Sie ihm gefolgt sind, melden Sie sich mit der neuen Adresse an.',
  changePassword: 'Passwort ändern',
  changePasswordText: 'Hier bleiben Sie angemeldet, überall sonst werden Sie abgemeldet.',
  confirmEmailTitle: 'Neue E-Mail-Adresse bestätigen',
  confirmEmailText: 'Es fehlt nur noch ein Klick.',
  confirm: 'Bestätigen',
  save: 'Speichern',
  cancel: 'Zurück zum Konto',
  sessions: 'Wo Sie angemeldet sind',
  since: 'seit',
  thisSession: 'Dieser Browser',
  endSession: 'Dort abmelden',
  unknownBrowser: 'Unbekannter Browser',
  deleteTitle: 'Konto löschen',
  deleteText: 'Alles, was dazugehört, wird mitgelöscht. Das lässt sich nicht rückgängig machen.',
  deleteAccount: 'Konto endgültig löschen',
  nameChanged: 'Ihr Name ist geändert.',
  emailChanged: 'Ihre E-Mail-Adresse ist geändert.',
  emailAsked: 'Sehen Sie im Postfach der neuen Adresse nach, und folgen Sie dem Link in der E-Mail.',

  // Listen
  listPages: 'Seiten der Liste',
  previous: 'Zurück',
  next: 'Weiter',
  pageOf: (page, pages) => `Seite ${page} von ${pages}`,

  // Alles Übrige
  loading: 'Wird geladen …',
  notFoundTitle: 'Seite nicht gefunden',
  notFoundText: 'Unter dieser Adresse gibt es nichts.',
  failureTitle: 'Das hat nicht geklappt',
  failureText: 'Diese Seite konnte nicht angezeigt werden.',
  toHome: 'Zur Startseite',
  unreachable: 'Der Server ist nicht zu erreichen. Versuchen Sie es gleich noch einmal.',
  unreadable: 'Die Antwort des Servers ist nicht zu lesen.',
  failed: (status) => `Die Anfrage ist fehlgeschlagen (${status}).`,
}
