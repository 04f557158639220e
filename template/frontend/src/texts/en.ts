export const en = {
  language: 'English',

  // Around every page
  skip: 'Skip to content',
  navigation: 'Main',
  languages: 'Languages',

  // Home
  welcome: 'Welcome',
  homeText: (app: string) => `This is the front end of ${app}.`,
  pages: 'Pages',

  // Fields
  name: 'Name',
  email: 'Email address',
  password: 'Password',
  currentPassword: 'Current password',
  newPassword: 'New password',
  passwordHint: '8 to 128 characters.',

  // Errors in them
  problems: 'There is a problem',
  wrong: {
    name: 'Enter a name of 2 to 100 characters, without links.',
    email: 'Enter an email address, such as name@example.com.',
    password: 'Enter a password of the right length that is not a common one.',
    current_password: 'The current password is wrong.',
  } as Record<string, string>,
  wrongLogin: 'The email address or the password is wrong.',
  noMagicLink: 'Login links cannot be sent to this address. Log in with your password instead.',

  // Registration
  register: 'Register',
  registerTitle: 'Create an account',
  haveAccount: 'Already have an account?',

  // Login
  logIn: 'Log in',
  logOut: 'Log out',
  noAccount: 'No account yet?',

  // Login link
  magicLinkTitle: 'Log in without a password',
  magicLinkText: 'We will send you a link that logs you in once and expires after 5 minutes.',
  magicLinkConfirmTitle: 'Welcome back',
  magicLinkConfirmText: 'One more click, and you are logged in.',
  sendLink: 'Send the link',

  // Email on its way
  checkTitle: 'Check your email',
  checkText: 'If the address is correct, an email is on its way. Follow the link in it.',
  checkNothing:
    'No email after a few minutes? Check your spam folder. If you registered with this address before, log in, or set a new password.',
  sendAgain: 'Send the email again',
  sent: 'If an email is still needed, it is on its way.',

  // Verification
  verify: 'Verify',
  verifyTitle: 'Verify your email address',
  verifyText: 'One more click, and your address is verified.',
  verified: 'Your email address is verified.',

  // New password
  forgotTitle: 'Forgot your password?',
  forgotText: 'We will send you a link to set a new password. It is valid for 30 minutes.',
  resetTitle: 'Set a new password',
  setPassword: 'Set the password',
  passwordSet: 'Your new password has been set.',

  // Links that are no longer valid
  voidTitle: 'This link no longer works',
  voidText: 'It has already been used, has expired, or a newer email has replaced it.',
  incomplete: 'This link is incomplete. Copy the whole link from the email.',
  getAnother: 'Request a new one',

  // Account
  account: 'Your account',
  isVerified: 'Your email address is verified.',
  isNotVerified: 'Your email address is not verified yet. Follow the link in our email.',
  changeName: 'Change your name',
  changeEmail: 'Change your email address',
  changeEmailText:
    'We will send a link to the new address. Once you have followed it, log in with the new address.',
  changePassword: 'Change your password',
  changePasswordText: 'You will stay logged in here and be logged out everywhere else.',
  confirmEmailTitle: 'Confirm your new email address',
  confirmEmailText: 'One more click, and your account has the new address.',
  confirm: 'Confirm',
  save: 'Save',
  cancel: 'Back to your account',
  sessions: 'Where you are logged in',
  since: 'since',
  thisSession: 'This browser',
  endSession: 'Log out there',
  unknownBrowser: 'Unknown browser',
  deleteTitle: 'Delete your account',
  deleteText: 'This deletes your account and everything that belongs to it. It cannot be undone.',
  deleteAccount: 'Delete the account',
  nameChanged: 'Your name has been changed.',
  emailChanged: 'Your email address has been changed.',
  emailAsked: 'Check the inbox of your new address, and follow the link in our email.',

  // Lists
  listPages: 'Pages of the list',
  previous: 'Previous',
  next: 'Next',
  pageOf: (page: number, pages: number) => `Page ${page} of ${pages}`,

  // Everything else
  loading: 'Loading…',
  notFoundTitle: 'Page not found',
  notFoundText: 'There is nothing at this address.',
  failureTitle: 'Something went wrong',
  failureText: 'This page could not be displayed.',
  toHome: 'Go to the home page',
  unreachable: 'The server cannot be reached. Try again in a moment.',
  unreadable: "The server's response could not be read.",
  failed: (status: number) => `The request failed (${status}).`,
}
