//! What no other route below `/api` takes: an error for the client that asked. All other paths are
//! pages of the front end.

use loco_rs::prelude::*;

use super::json_errors::not_found as unknown;

pub fn routes() -> Routes {
    let any_method = get(unknown)
        .post(unknown)
        .put(unknown)
        .patch(unknown)
        .delete(unknown);
    Routes::new()
        .add("/api", any_method.clone())
        .add("/api/{*path}", any_method)
}
