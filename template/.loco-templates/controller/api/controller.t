{% set file_name = name |  snake_case -%}
{% set module_name = file_name | pascal_case -%}
to: src/controllers/{{ file_name }}.rs
skip_exists: true
message: "Controller `{{module_name}}` was added successfully.{% if auth %} Its routes require a JWT.{% endif %}"
injections:
- into: src/controllers/mod.rs
  append: true
  content: "pub mod {{ file_name }};"
- into: src/app.rs
  after: "AppRoutes::"
  content: "            .add_route(controllers::{{ file_name }}::routes())"
- into: src/openapi/mod.rs
  before: "// openapi-inject"
  content: "        .merge_from(crate::controllers::{{ file_name }}::Api::openapi())"
---
#![allow(clippy::missing_errors_doc)]
#![allow(clippy::unnecessary_struct_initialization)]
#![allow(clippy::unused_async)]
use loco_rs::prelude::*;
use utoipa::OpenApi;
{%- if auth %}

use crate::openapi::auth::AuthErrors;
{%- endif %}

#[derive(OpenApi)]
#[openapi(paths(index{% for action in actions %}, {{action.name}}{% endfor %}))]
pub struct Api;

/// TODO: describe the operation
#[utoipa::path(
    get,
    path = "/api/{{file_name | plural}}",
    operation_id = "index_{{file_name | plural}}",
    tag = "{{file_name | plural}}",
{%- if auth %}
    security(("jwt" = [])),
{%- endif %}
    responses((status = OK, description = "Success."){% if auth %}, AuthErrors{% endif %}),
)]
#[debug_handler]
pub async fn index({% if auth %}_auth: auth::JWT, {% endif %}State(_ctx): State<AppContext>) -> Result<Response> {
    format::empty()
}

{% for action in actions -%}
/// TODO: describe the operation
#[utoipa::path(
    {{action.verb}},
    path = "/api/{{file_name | plural}}/{{action.name}}",
    operation_id = "{{action.name}}_{{file_name | plural}}",
    tag = "{{file_name | plural}}",
{%- if auth %}
    security(("jwt" = [])),
{%- endif %}
    responses((status = OK, description = "Success."){% if auth %}, AuthErrors{% endif %}),
)]
#[debug_handler]
pub async fn {{action.name}}({% if auth %}_auth: auth::JWT, {% endif %}State(_ctx): State<AppContext>) -> Result<Response> {
    format::empty()
}

{% endfor -%}

pub fn routes() -> Routes {
    Routes::new()
        .prefix("api/{{file_name | plural}}/")
        .add("/", get(index))
        {%- for action in actions %}
        .add("{{action.name}}", {{action.verb}}({{action.name}}))
        {%- endfor %}
}
