use sha2::{Digest, Sha256};

use super::settings::settings;

/// The form in which a link's token is stored and looked up. With `strict_links` it is a hash, so a
/// leaked database does not leak usable links.
pub fn stored_token(token: &str) -> String {
    if settings().strict_links {
        format!("{:x}", Sha256::digest(token))
    } else {
        token.to_string()
    }
}
