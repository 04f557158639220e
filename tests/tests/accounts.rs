//! Long: a thousand people at once, a third of whom hang up at a random moment.

use std::{
    collections::{HashMap, HashSet},
    io::{Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use serde_json::{json, Value};
use template_tests::{link_in, load_target, Answers, Mailbox};

const PEOPLE: usize = 1000;
/// How many of them act at the same time.
const AT_ONCE: usize = 64;

fn address(person: usize) -> String {
    format!("person{person}@example.com")
}

/// The status of the response to a POST, or `None` for someone who hangs up after this time.
fn post(port: u16, path: &str, body: &Value, hangs_up: Option<Duration>) -> Option<u16> {
    let body = body.to_string();
    let mut client = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    client
        .write_all(request.as_bytes())
        .expect("sending a request");
    if let Some(time) = hangs_up {
        thread::sleep(time);
        return None;
    }
    let mut response = String::new();
    client.read_to_string(&mut response).expect("a response");
    let status = response.split(' ').nth(1).expect("a status");
    Some(status.parse().expect("a number"))
}

/// When this person hangs up, if at all: every third does, at some point between the request and
/// its response.
fn hangs_up_after(person: usize, round: usize) -> Option<Duration> {
    let random = (person * 7919 + round * 104_729) % 1009;
    random
        .is_multiple_of(3)
        .then(|| Duration::from_millis(random as u64 / 2))
}

/// Runs the action for everybody, and returns the results.
fn everybody<T: Send>(action: impl Fn(usize) -> T + Sync) -> HashMap<usize, T> {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                scope.spawn(|| {
                    let mut done = Vec::new();
                    loop {
                        let person = next.fetch_add(1, Ordering::Relaxed);
                        if person >= PEOPLE {
                            return done;
                        }
                        done.push((person, action(person)));
                    }
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("no panic"))
            .collect()
    })
}

/// All mails until no more arrive, each with its recipient.
fn mails(mailbox: &Mailbox) -> Vec<(String, String)> {
    let mut mails = Vec::new();
    while let Some(mail) = mailbox.next(Duration::from_secs(10)) {
        let (_, to) = mail.split_once("To: ").expect("an address");
        let (to, _) = to.split_once("\r\n").expect("its end");
        mails.push((to.to_string(), mail.clone()));
    }
    mails
}

fn assert_no_failure(statuses: &HashMap<usize, Option<u16>>, expected: &[u16]) {
    for (person, status) in statuses {
        let is_expected = status.is_none_or(|status| expected.contains(&status));
        assert!(is_expected, "{person}: {status:?}");
    }
}

/// Everybody who has an account, as a login with this password works.
fn log_in(port: u16, password: &str) -> HashSet<usize> {
    let logins = everybody(|person| {
        let login = json!({ "email": address(person), "password": password });
        post(port, "/api/auth/login", &login, None)
    });
    assert_no_failure(&logins, &[200, 401]);
    logins
        .into_iter()
        .filter(|(_, status)| *status == Some(200))
        .map(|(person, _)| person)
        .collect()
}

#[test]
#[ignore = "takes minutes: the workflow on GitHub runs it, with --ignored"]
fn a_thousand_people_at_once_all_get_their_mails_and_working_links() {
    let service = Answers::new("svc").render().expect("the answers render");
    let binary = service.build().expect("it builds");
    // All of them use one address.
    load_target::write_config(service.root(), "crowd", |config| {
        config.replace("attempts_per_minute: 60", "attempts_per_minute: 0")
    })
    .expect("a configuration");
    let mailbox = Mailbox::open();
    let mut running = service
        .start(
            &binary,
            &[
                ("LOCO_CONFIG_FOLDER", "config-crowd"),
                ("LOG_LEVEL", "warn"),
                ("MAILER_HOST", "127.0.0.1"),
                ("MAILER_PORT", mailbox.port()),
            ],
        )
        .expect("it starts");
    let (port, host) = (running.port(), running.url(""));
    let first = "correct horse";

    let registrations = everybody(|person| {
        let user = json!({ "name": "Ann", "email": address(person), "password": first });
        post(port, "/api/auth/register", &user, hangs_up_after(person, 1))
    });
    assert_no_failure(&registrations, &[200]);
    let mailed: HashSet<_> = mails(&mailbox).into_iter().map(|(to, _)| to).collect();
    let accounts = log_in(port, first);
    assert!(accounts.len() > PEOPLE / 2, "{}", accounts.len());
    for person in &accounts {
        assert!(mailed.contains(&address(*person)), "{person} has no mail");
    }

    let requests = everybody(|person| {
        let user = json!({ "email": address(person) });
        post(port, "/api/auth/forgot", &user, hangs_up_after(person, 2))
    });
    assert_no_failure(&requests, &[200]);
    let tokens: HashMap<_, _> = mails(&mailbox)
        .into_iter()
        .map(|(to, mail)| {
            let link = link_in(&mail, &host);
            let (_, token) = link.split_once('#').expect("a token");
            (to, token.to_string())
        })
        .collect();
    assert!(tokens.len() > PEOPLE / 2, "{}", tokens.len());

    // Those who hung up try again.
    let second = "another horse";
    let resets = everybody(|person| {
        let token = tokens.get(&address(person))?;
        let reset = json!({ "token": token, "password": second });
        let hangs_up = hangs_up_after(person, 3);
        let status = post(port, "/api/auth/reset", &reset, hangs_up);
        status.or_else(|| post(port, "/api/auth/reset", &reset, None))
    });
    assert_no_failure(&resets, &[200]);
    let logged_in = log_in(port, second);
    for person in 0..PEOPLE {
        assert_eq!(
            logged_in.contains(&person),
            tokens.contains_key(&address(person)),
            "{person}"
        );
    }
    let log = running.log();
    assert!(!log.contains("panicked"), "{log}");
    // Loco logs a refused login as an error.
    let failures: Vec<_> = log
        .lines()
        .filter(|line| line.contains("ERROR") && !line.contains("Unauthorized("))
        .collect();
    assert!(failures.is_empty(), "{failures:#?}");
}
