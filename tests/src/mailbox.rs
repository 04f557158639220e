use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::Duration,
};

/// A mail server that hands its mails to the test.
pub struct Mailbox {
    port: String,
    mails: Receiver<String>,
}

impl Mailbox {
    /// Starts it on a free port.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (sender, mails) = mpsc::channel();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let sender = sender.clone();
                thread::spawn(move || receive(&client, &sender));
            }
        });
        Self {
            port: port.to_string(),
            mails,
        }
    }

    /// The port, for `MAILER_PORT`.
    #[must_use]
    pub fn port(&self) -> &str {
        &self.port
    }

    /// The next mail, if it arrives within this time.
    #[must_use]
    pub fn next(&self, timeout: Duration) -> Option<String> {
        let mail = self.mails.recv_timeout(timeout).ok()?;
        Some(mail.replace("=\r\n", "")) // quoted-printable
    }

    /// The link in the next mail, without the service's own host.
    ///
    /// # Panics
    ///
    /// If no mail arrives, or it has no link.
    #[must_use]
    pub fn link(&self, host: &str) -> String {
        let mail = self.next(Duration::from_secs(30)).expect("a mail");
        link_in(&mail, host).to_string()
    }
}

/// The link to `host` in a mail, without the host.
///
/// # Panics
///
/// If there is none.
#[must_use]
pub fn link_in<'a>(mail: &'a str, host: &str) -> &'a str {
    let (_, from) = mail
        .split_once(host)
        .unwrap_or_else(|| panic!("no link to {host} in {mail}"));
    let end = from.find(['\r', '"']).expect("the end of the link");
    &from[..end]
}

/// Just enough SMTP to receive a mail.
fn receive(mut client: &TcpStream, mails: &Sender<String>) {
    let mut lines = BufReader::new(client);
    let mut reply = |line: &str| drop(write!(client, "{line}\r\n"));
    let mut mail = None;
    reply("220 mailbox");
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        match &mut mail {
            Some(_) if line == ".\r\n" => {
                drop(mails.send(mail.take().unwrap_or_default()));
                reply("250 kept");
            }
            Some(text) => text.push_str(&line),
            None if line.starts_with("DATA") => {
                mail = Some(String::new());
                reply("354 go on");
            }
            None if line.starts_with("EHLO") => reply("250-mailbox\r\n250 AUTH PLAIN"),
            None if line.starts_with("AUTH") => reply("235 welcome"),
            None => reply("250 fine"),
        }
    }
}
