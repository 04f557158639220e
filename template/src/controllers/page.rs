use loco_rs::prelude::*;

use crate::views::page::Page;

#[debug_handler(state = AppContext)]
async fn home(page: Page) -> Result<Response> {
    page.render("home/hello.html", data!({}))
}

pub fn routes() -> Routes {
    Routes::new().add("/", get(home))
}
