use ts_rs::{Config, TS};

use {{crate_name}}::{
    controllers::{
        account::{DeleteParams, EmailParams, NameParams, PasswordParams},
        auth::{ForgotParams, MagicLinkParams, ResendVerificationParams, ResetParams},
    },
    models::users::{LoginParams, RegisterParams},
    views::{
        account::{AccountResponse, SessionResponse},
        auth::CurrentResponse,
    },
};

#[test]
fn the_front_end_has_the_types_of_the_api() {
    let config = Config::new().with_out_dir("frontend/src/bindings");

    for written in [
        AccountResponse::export(&config),
        CurrentResponse::export(&config),
        DeleteParams::export(&config),
        EmailParams::export(&config),
        ForgotParams::export(&config),
        LoginParams::export(&config),
        MagicLinkParams::export(&config),
        NameParams::export(&config),
        PasswordParams::export(&config),
        RegisterParams::export(&config),
        ResendVerificationParams::export(&config),
        ResetParams::export(&config),
        SessionResponse::export(&config),
    ] {
        written.expect("it is written");
    }
}
