//! Slow tier: a person uses the pages of a `saas-server` service in a browser.

use std::time::Duration;

use template_tests::{link_in, Answers, Browser, Mailbox};

/// What the page shows for a wrong password.
const REFUSED: &str = "The email address or the password is wrong.";

#[test]
fn a_person_registers_logs_in_and_out_in_a_browser() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let service = Answers::new("svc")
        .with("starter", "saas-server")
        .render()
        .expect("the answers render");
    let binary = service.build().expect("it builds");
    let mailbox = Mailbox::open();
    let running = service
        .start(
            &binary,
            &[
                ("MAILER_HOST", "127.0.0.1"),
                ("MAILER_PORT", mailbox.port()),
            ],
        )
        .expect("it starts");
    let host = running.url("");
    // Other mails may arrive in between.
    let link_to = |path: &str| loop {
        let mail = mailbox.next(Duration::from_secs(30)).expect("a mail");
        if mail.contains(&format!("{host}{path}")) {
            return running.url(link_in(&mail, &host));
        }
    };

    browser.open(&running.url("/"));
    browser.see("Hello World!");
    browser.screenshot("server-home");

    browser.follow("Register");
    browser.see("Create an account");
    browser.screenshot("server-register");
    browser.press("Register");
    browser.see("Enter a name of 2 to 100 characters, without links.");
    browser.screenshot("server-register-problems");
    browser.fill("Name", "New User");
    browser.fill("Email address", "new@example.com");
    browser.fill("Password", "correct horse");
    browser.press_twice("Register");
    browser.see("Check your email");
    browser.screenshot("server-check-your-mail");
    browser.open(&link_to("/verify/"));
    browser.see("One more click");
    browser.screenshot("server-verify");
    browser.press_twice("Verify");
    browser.see("Your email address is verified.");

    browser.open(&running.url("/account"));
    assert_eq!(browser.path(), "/login", "the account requires a login");
    browser.fill("Email address", "new@example.com");
    browser.fill("Password", "wrong");
    browser.press("Log in");
    browser.see(REFUSED);
    browser.screenshot("server-login-refused");

    browser.fill("Password", "correct horse");
    browser.press("Log in");
    browser.see("new@example.com");
    assert_eq!(browser.path(), "/account");
    assert_eq!(
        browser.cookies_visible_to_scripts(),
        "",
        "a script can read the login"
    );
    browser.see("This browser");
    browser.screenshot("server-account");

    browser.follow("Change your name");
    browser.fill("Name", "Ada Lovelace");
    browser.press("Save");
    browser.see("Your name has been changed.");
    browser.see("Ada Lovelace");
    browser.follow("Change your email address");
    browser.fill("Email address", "ada@example.com");
    browser.fill("Current password", "wrong");
    browser.press("Send the link");
    browser.see("The current password is wrong.");
    browser.screenshot("server-email-problems");
    browser.fill("Current password", "correct horse");
    browser.press("Send the link");
    browser.see("Check the inbox of your new address");
    browser.follow("Change your password");
    browser.screenshot("server-password");
    browser.fill("Current password", "correct horse");
    browser.fill("New password", "another horse");
    browser.press("Set the password");
    browser.see("Your new password has been set.");
    browser.follow("Delete your account");
    browser.screenshot("server-delete");
    browser.follow("Back to your account");

    browser.follow("Deutsch");
    browser.see("Ihr Konto");
    browser.screenshot("server-account-german");
    browser.press("Abmelden");
    browser.see("Hallo Welt!");
    browser.open(&running.url("/forgot"));
    browser.fill("E-Mail-Adresse", "new@example.com");
    browser.press_twice("Link schicken");
    browser.see("Sehen Sie in Ihrem Postfach nach");
    browser.open(&link_to("/reset/"));
    browser.fill("Passwort", "a third horse");
    browser.press_twice("Passwort setzen");
    browser.see("Ihr neues Passwort ist gesetzt.");
    browser.open(&running.url("/magic-link"));
    browser.fill("E-Mail-Adresse", "new@example.com");
    browser.press("Link schicken");
    browser.see("Sehen Sie in Ihrem Postfach nach");
    browser.open(&link_to("/magic-link/"));
    browser.screenshot("server-magic-link");
    browser.press_twice("Anmelden");
    browser.see("Ihr Konto");
    browser.press("Abmelden");
    browser.see("Hallo Welt!");
    browser.open(&running.url("/account/name"));
    assert_eq!(
        browser.path(),
        "/login",
        "the account requires a login again"
    );
    browser.fill("E-Mail-Adresse", "new@example.com");
    browser.fill("Passwort", "a third horse");
    browser.press("Anmelden");
    browser.see("Namen ändern");
    assert_eq!(browser.path(), "/account/name");
    browser.follow("Zurück zum Konto");
    browser.follow("Konto löschen");
    browser.fill("Bisheriges Passwort", "a third horse");
    browser.press("Konto endgültig löschen");
    browser.see("Ihr Konto ist gelöscht.");

    browser.open(&running.url("/nowhere"));
    browser.see("Seite nicht gefunden");
    browser.screenshot("server-not-found");
}
