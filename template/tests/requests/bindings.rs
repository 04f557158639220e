use ts_rs::{Config, TS};

use {{crate_name}}::{
    controllers::{account, auth},
    models::users,
    views,
};

#[test]
fn the_front_end_has_the_types_of_the_api() {
    let config = Config::new().with_out_dir("frontend/src/bindings");

    for written in [
        account::DeleteParams::export(&config),
        account::EmailParams::export(&config),
        account::NameParams::export(&config),
        account::PasswordParams::export(&config),
        auth::ForgotParams::export(&config),
        auth::MagicLinkParams::export(&config),
        auth::ResendVerificationParams::export(&config),
        auth::ResetParams::export(&config),
        users::LoginParams::export(&config),
        users::RegisterParams::export(&config),
        views::account::AccountResponse::export(&config),
        views::account::SessionResponse::export(&config),
        views::auth::CurrentResponse::export(&config),
    ] {
        written.expect("it is written");
    }
}
