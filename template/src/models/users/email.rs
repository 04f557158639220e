use lettre::message::Mailbox;
use validator::ValidationError;

/// Normalizes an address for storage and lookup: lower case, with the domain as in DNS. Returns
/// `None` for anything that the mailer could not send to.
pub(super) fn normalize(address: &str) -> Option<String> {
    let mailbox: Mailbox = address.trim().parse().ok()?;
    let domain = idna::domain_to_ascii(mailbox.email.domain()).ok()?;
    let address = format!("{}@{domain}", mailbox.email.user().to_lowercase());
    (mailbox.name.is_none() && address.parse::<Mailbox>().is_ok()).then_some(address)
}

pub(super) fn validate(address: &str) -> Result<(), ValidationError> {
    normalize(address)
        .map(|_| ())
        .ok_or_else(|| ValidationError::new("email"))
}
