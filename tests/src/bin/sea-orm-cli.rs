//! SeaORM's command, which Loco's generators of models call: `sea-orm-cli`.

#[tokio::main]
async fn main() {
    sea_orm_cli::main().await;
}
