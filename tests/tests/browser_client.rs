//! Slow tier: a person uses the pages of a `saas-client` service in a browser.

use std::process::Command;

use template_tests::{needs, Answers, Browser, Mailbox, Rendered};

fn npm(service: &Rendered, args: &[&str]) {
    let status = Command::new(needs::NPM)
        .args(args)
        .current_dir(service.root().join("frontend"))
        .status()
        .expect("npm runs");
    assert!(status.success(), "npm {args:?}");
}

#[test]
fn a_person_registers_verifies_logs_in_and_out_and_sets_a_new_password() {
    if !needs::program(needs::NPM) {
        return;
    }
    let Some(browser) = Browser::start() else {
        return;
    };
    let service = Answers::new("svc")
        .with("starter", "saas-client")
        .render()
        .expect("the answers render");
    npm(&service, &["ci"]);
    npm(&service, &["run", "build"]);
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
    let log_in = |password: &str| {
        browser.fill("Email address", "ada@example.com");
        browser.fill("Password", password);
        browser.press("Log in");
    };

    browser.open(&running.url("/"));
    browser.see("Welcome");
    browser.screenshot("client-home");
    browser.follow("Your account");
    browser.see("Forgot your password?");
    assert_eq!(browser.path(), "/login");
    browser.screenshot("client-login");

    browser.follow("Register");
    browser.see("8 to 128 characters");
    browser.screenshot("client-register");
    browser.fill("Name", "Ada Lovelace");
    browser.fill("Email address", "ada@example.com");
    browser.fill("Password", "correct horse");
    browser.press_twice("Register");
    browser.see("Check your email");
    browser.screenshot("client-check-your-mail");

    let verify = mailbox.link(&host);
    browser.open(&running.url(&verify));
    browser.see("One more click, and your address is verified.");
    browser.screenshot("client-verify");
    browser.press_twice("Verify");
    browser.see("Your email address is verified.");
    browser.screenshot("client-verified");
    // A second click works, too.
    browser.open(&running.url("/"));
    browser.open(&running.url(&verify));
    browser.press("Verify");
    browser.see("Your email address is verified.");
    browser.open(&running.url("/"));
    browser.open(&running.url("/verify#of-an-older-mail"));
    browser.press("Verify");
    browser.see("It has already been used");

    browser.open(&running.url("/account"));
    log_in("wrong");
    browser.see("The email address or the password is wrong.");
    assert_eq!(browser.path(), "/login");
    browser.screenshot("client-wrong-password");
    log_in("correct horse");
    browser.see("Ada Lovelace");
    assert_eq!(browser.path(), "/account");
    browser.see("This browser");
    browser.screenshot("client-account");
    assert_eq!(
        browser.cookies_visible_to_scripts(),
        "",
        "a script can read the login"
    );
    browser.follow("Change your name");
    browser.fill("Name", "Ada King");
    browser.press("Save");
    browser.see("Your name has been changed.");
    browser.open(&running.url("/account"));
    browser.see("ada@example.com");

    browser.press("Log out");
    browser.see("Welcome");
    assert_eq!(browser.path(), "/");
    browser.open(&running.url("/account"));
    browser.see("Forgot your password?");
    assert_eq!(browser.path(), "/login");

    browser.follow("Forgot your password?");
    browser.see("We will send you a link to");
    browser.fill("Email address", "ada@example.com");
    browser.press("Send the link");
    browser.see("Check your email");
    browser.open(&running.url(&mailbox.link(&host)));
    browser.fill("New password", "another-password");
    browser.screenshot("client-reset");
    browser.press_twice("Set the password");
    browser.see("Your new password has been set.");
    browser.follow("Log in");
    log_in("another-password");
    browser.see("This browser");
    browser.press("Log out");

    browser.follow("Log in");
    browser.follow("Log in without a password");
    browser.see("We will send you a link that");
    browser.fill("Email address", "ada@example.com");
    browser.press("Send the link");
    browser.see("Check your email");
    browser.open(&running.url(&mailbox.link(&host)));
    browser.see("One more click, and you are logged in.");
    browser.screenshot("client-magic-link");
    browser.press_twice("Log in");
    browser.see("This browser");

    browser.open(&running.url("/nowhere"));
    browser.see("Page not found");
    browser.screenshot("client-not-found");
}
