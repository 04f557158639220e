use loco_rs::cli;
{%- unless starter == "lightweight" %}
use migration::Migrator;
{%- endunless %}
{%- unless memory_profile == "system" %}
#[cfg(not(target_env = "msvc"))]
use tikv_jemallocator::Jemalloc;
{%- endunless %}

use {{crate_name}}::app::App;
{% unless memory_profile == "system" %}
// To change the memory profile, edit `.cargo/config.toml`.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;
{% endunless %}
#[tokio::main]
async fn main() -> loco_rs::Result<()> {
{%- if starter == "lightweight" %}
    cli::main::<App>().await
{%- else %}
    cli::main::<App, Migrator>().await
{%- endif %}
}
