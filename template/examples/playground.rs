//! A place to try things on the service's own context: `cargo playground`.

use loco_rs::{cli::playground, prelude::*};

use {{crate_name}}::{app::App, models::users};

#[tokio::main]
async fn main() -> loco_rs::Result<()> {
    let ctx = playground::<App>().await?;

    let users = users::Entity::find().count(&ctx.db).await?;
    println!("{users} users");

    Ok(())
}
