use std::{collections::HashSet, ops::RangeInclusive, sync::LazyLock};

use loco_rs::{hash, prelude::*};
use validator::ValidationError;

use super::settings::settings;

/// Maximum length of a password, in characters.
const MAX_LENGTH: usize = 128;

/// The most common passwords of at least 8 characters, in lower case, from the lists of Django and
/// zxcvbn.
static COMMON: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());

/// The permitted length of a password, in characters.
#[must_use]
pub fn length() -> RangeInclusive<usize> {
    settings().password_min_length..=MAX_LENGTH
}

/// # Errors
///
/// Returns a validation error that says what is wrong with the password.
pub(super) fn validate(password: &str) -> Result<(), ValidationError> {
    let length = length();
    if !length.contains(&password.chars().count()) {
        let message = format!(
            "Password must be {} to {} characters long.",
            length.start(),
            length.end()
        );
        return Err(ValidationError::new("length").with_message(message.into()));
    }
    let is_common = COMMON.contains(password.to_lowercase().as_str());
    if is_common && !settings().allow_common_passwords {
        let message = "Password must not be one of the most common ones.";
        return Err(ValidationError::new("common").with_message(message.into()));
    }
    Ok(())
}

/// Hashes the password, which takes tens of milliseconds and 19 MiB.
pub(super) async fn hashed(password: &str) -> ModelResult<String> {
    let password = password.to_string();
    let hash = memory::compute(move || hash::hash_password(&password)).await;
    hash.flatten().map_err(|err| ModelError::Any(err.into()))
}
