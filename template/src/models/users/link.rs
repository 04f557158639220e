use sha2::{Digest, Sha256};

use super::settings::settings;

/// The form in which the token of a link is stored and looked up: who reads the database cannot use
/// it.
pub fn stored(token: &str) -> String {
    if settings().strict_links {
        format!("{:x}", Sha256::digest(token))
    } else {
        token.to_string()
    }
}
