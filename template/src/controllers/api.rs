//! What no other route below `/api` takes: an error for the client that asked. All other paths are
//! pages of the front end.

use loco_rs::prelude::*;

#[debug_handler]
async fn unknown() -> Result<Response> {
    not_found()
}

pub fn routes() -> Routes {
    let any_method = get(unknown)
        .post(unknown)
        .put(unknown)
        .patch(unknown)
        .delete(unknown);
    Routes::new().prefix("/api").add("/{*path}", any_method)
}
