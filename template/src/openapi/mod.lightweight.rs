//! The description of the API, in `OpenAPI` 3.1, with a module for each controller.
//! `tests/requests/openapi.rs` fails if a route is missing.

// Only the descriptions of these functions are used.
#![allow(dead_code, clippy::missing_const_for_fn)]

pub mod health;
pub mod home;
pub mod responses;

use utoipa::{
    openapi::{Info, OpenApi, Paths},
    OpenApi as _,
};

/// The whole description.
#[must_use]
pub fn document() -> OpenApi {
    let info = Info::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    let document = OpenApi::new(info, Paths::new())
        .merge_from(health::Api::openapi())
        .merge_from(home::Api::openapi())
        // openapi-inject (do not remove)
        .merge_from(responses::Api::openapi());
    responses::with_common(document)
}
