use loco_rs::cli;
{%- unless starter == "lightweight" %}
use migration::Migrator;
{%- endunless %}
{%- unless memory_profile == "system" %}
#[cfg(not(target_env = "msvc"))]
use tikv_jemallocator::Jemalloc;
{%- endunless %}
{%- if memory_profile == "lean" %}
use tokio::runtime::Builder;
{%- endif %}

use {{crate_name}}::app::App;
{%- if memory_profile == "lean" %}
#[cfg(not(target_env = "msvc"))]
use {{crate_name}}::memory;
{%- endif %}
{% unless memory_profile == "system" %}
// To change the memory profile, edit `.cargo/config.toml`.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;
{% endunless %}
{% if memory_profile == "lean" -%}
fn main() -> loco_rs::Result<()> {
    let mut runtime = Builder::new_multi_thread();
    runtime.enable_all();
    #[cfg(not(target_env = "msvc"))]
    runtime.on_thread_park(memory::on_thread_park);
    runtime.build()?.block_on(cli::main::<App{% unless starter == "lightweight" %}, Migrator{% endunless %}>())
}
{%- else -%}
#[tokio::main]
async fn main() -> loco_rs::Result<()> {
    cli::main::<App{% unless starter == "lightweight" %}, Migrator{% endunless %}>().await
}
{%- endif %}
