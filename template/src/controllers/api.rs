//! Answers unknown paths below `/api` with an error. All other paths belong to the front end.

use loco_rs::prelude::*;

use super::json_errors::not_found;

pub fn routes() -> Routes {
    let any_method = get(not_found)
        .post(not_found)
        .put(not_found)
        .patch(not_found)
        .delete(not_found);
    Routes::new()
        .add("/api", any_method.clone())
        .add("/api/{*path}", any_method)
}
