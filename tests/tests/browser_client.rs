//! Slow tier: the pages of `saas-client`, used in a browser as a person does.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::Duration,
};

use template_tests::{needs, Answers, Browser, Rendered};

/// A mail server for one recipient.
struct Mailbox {
    port: String,
    mails: Receiver<String>,
}

impl Mailbox {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (sender, mails) = mpsc::channel();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                receive(&client, &sender);
            }
        });
        Self {
            port: port.to_string(),
            mails,
        }
    }

    /// The link in the next mail, without its host: that is the service's own.
    fn link(&self, host: &str) -> String {
        let mail = self
            .mails
            .recv_timeout(Duration::from_secs(10))
            .expect("a mail");
        let text = mail.replace("=\r\n", ""); // quoted-printable
        let (_, from) = text
            .split_once(host)
            .unwrap_or_else(|| panic!("no link to {host} in {text}"));
        let end = from.find(['\r', '"']).expect("the end of the link");
        from[..end].to_string()
    }
}

/// As much of SMTP as it takes to be sent a mail.
fn receive(mut client: &TcpStream, mails: &Sender<String>) {
    let mut lines = BufReader::new(client);
    let mut say = |answer: &str| drop(write!(client, "{answer}\r\n"));
    let mut mail = None;
    say("220 mailbox");
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        match &mut mail {
            Some(_) if line == ".\r\n" => {
                drop(mails.send(mail.take().unwrap_or_default()));
                say("250 kept");
            }
            Some(text) => text.push_str(&line),
            None if line.starts_with("DATA") => {
                mail = Some(String::new());
                say("354 go on");
            }
            None => say("250 fine"),
        }
    }
}

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
            &[("MAILER_HOST", "127.0.0.1"), ("MAILER_PORT", &mailbox.port)],
        )
        .expect("it starts");
    let host = running.url("");
    let log_in = |password: &str| {
        browser.fill("Email", "ada@example.com");
        browser.fill("Password", password);
        browser.press("Log in");
    };

    browser.open(&running.url("/"));
    browser.see("Welcome");
    browser.photograph("client-home");
    browser.follow("Your account");
    browser.see("Forgot your password?");
    assert_eq!(browser.path(), "/login");
    browser.photograph("client-login");

    browser.follow("Register");
    browser.see("8 to 128 characters");
    browser.photograph("client-register");
    browser.fill("Name", "Ada Lovelace");
    browser.fill("Email", "ada@example.com");
    browser.fill("Password", "correct horse");
    browser.press("Register");
    browser.see("Check your mail");
    browser.photograph("client-check-your-mail");

    let verify = mailbox.link(&host);
    browser.open(&running.url(&verify));
    browser.see("One more click, and your address is verified.");
    browser.photograph("client-verify");
    browser.press("Verify");
    browser.see("Address verified");
    browser.photograph("client-verified");
    // A second click leads on, too.
    browser.open(&running.url("/"));
    browser.open(&running.url(&verify));
    browser.press("Verify");
    browser.see("Address verified");
    browser.open(&running.url("/"));
    browser.open(&running.url("/verify#of-an-older-mail"));
    browser.press("Verify");
    browser.see("This link has been used already");

    browser.open(&running.url("/account"));
    log_in("wrong");
    browser.see("The email or the password is wrong.");
    assert_eq!(browser.path(), "/login");
    browser.photograph("client-wrong-password");
    log_in("correct horse");
    browser.see("Ada Lovelace");
    assert_eq!(browser.path(), "/account");
    browser.photograph("client-account");
    browser.open(&running.url("/account"));
    browser.see("ada@example.com");

    browser.press("Log out");
    browser.see("Welcome");
    assert_eq!(browser.path(), "/");
    browser.open(&running.url("/account"));
    browser.see("Forgot your password?");
    assert_eq!(browser.path(), "/login");

    browser.follow("Forgot your password?");
    browser.see("We mail you a link");
    browser.fill("Email", "ada@example.com");
    browser.press("Send the mail");
    browser.see("Check your mail");
    browser.open(&running.url(&mailbox.link(&host)));
    browser.fill("New password", "another-password");
    browser.photograph("client-reset");
    browser.press("Set the password");
    browser.see("Log in with the new password");
    browser.follow("Log in");
    log_in("another-password");
    browser.see("Ada Lovelace");
    browser.press("Log out");

    browser.follow("Log in");
    browser.follow("Log in with a link by mail");
    browser.see("without a password");
    browser.fill("Email", "ada@example.com");
    browser.press("Send the mail");
    browser.see("Check your mail");
    browser.open(&running.url(&mailbox.link(&host)));
    browser.see("One more click, and you are logged in.");
    browser.photograph("client-magic-link");
    browser.press("Log in");
    browser.see("Ada Lovelace");

    browser.open(&running.url("/nowhere"));
    browser.see("Page not found");
    browser.photograph("client-not-found");
}
