use rstest::rstest;
use serial_test::serial;

use super::rules::{production_with, violations_with};

#[rstest]
#[case("JWT_SECRET", "changeme")]
#[case("JWT_SECRET", "only/for/development")]
#[case("JWT_SECRET", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
#[case("JWT_SECRET", "no Base64, but long enough to be a good secret")]
#[case("MAILER_HOST", "smtp.example.com:587")]
#[case("MAILER_PORT", "tcp://10.0.0.1:587")]
#[case("MAILER_USER", "")]
#[case("MAILER_FROM", "Example")]
#[case("DATABASE_URL", "localhost")]
#[case("DATABASE_URL", "mysql://root:hunter2@localhost/data")]
#[case("DATABASE_URL", "file::memory:")]
#[case("DB_MAX_CONNECTIONS", "0")]
#[case("DB_IDLE_TIMEOUT", "500")]
#[case("DB_AUTO_MIGRATE", "1")]
fn an_invalid_value_is_reported_but_not_repeated(#[case] name: &'static str, #[case] value: &str) {
    let violations = violations_with(&[(name, value)]);

    assert_eq!(violations.len(), 1, "{violations:?}");
    assert!(violations[0].starts_with(name), "{violations:?}");
    assert!(!violations[0].contains("hunter2"), "{violations:?}");
}

#[rstest]
#[case("12345678")]
#[case(" with spaces ")]
#[case("'\"#: %> & \\")]
#[case("- Grüße 🦀")]
#[tokio::test]
#[serial]
async fn a_password_is_used_verbatim(#[case] password: &str) {
    let config = production_with(&[("MAILER_PASSWORD", password)]).await;

    let mailer = config.mailer.and_then(|mailer| mailer.smtp);
    let auth = mailer.and_then(|smtp| smtp.auth).expect("a login");
    assert_eq!(auth.password, password);
}
