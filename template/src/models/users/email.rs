use lettre::message::Mailbox;
use validator::ValidationError;

/// The form in which an address is stored and looked up: in lower case, its domain as in DNS.
/// There is none of what the mailer would not send to.
pub(super) fn normal_form(address: &str) -> Option<String> {
    let mailbox: Mailbox = address.trim().parse().ok()?;
    let domain = idna::domain_to_ascii(mailbox.email.domain()).ok()?;
    let address = format!("{}@{domain}", mailbox.email.user().to_lowercase());
    (mailbox.name.is_none() && address.parse::<Mailbox>().is_ok()).then_some(address)
}

pub(super) fn validate(address: &str) -> Result<(), ValidationError> {
    normal_form(address)
        .map(|_| ())
        .ok_or_else(|| ValidationError::new("email"))
}
