to: src/controllers/{{ snake_plural }}.rs
skip_exists: true
message: "Controller `{{ pascal_singular }}` was added successfully.{% if auth %} Its routes require a JWT — re-run with `--no-auth` to generate public routes.{% endif %}"
injections:
- into: src/controllers/mod.rs
  append: true
  content: "pub mod {{ snake_plural }};"
- into: src/app.rs
  after: "AppRoutes::"
  content: "            .add_route(controllers::{{ snake_plural }}::routes())"
- into: src/openapi/mod.rs
  before: "// openapi-inject"
  content: "        .merge_from(crate::controllers::{{ snake_plural }}::Api::openapi())"
---
#![allow(clippy::unused_async)]
use axum::http::StatusCode;
use loco_rs::prelude::*;
use utoipa::OpenApi;

use crate::{
    dtos::{
        common::{ApiError, Page},
        {{ snake_plural }}::{Create{{ pascal_singular }}, {{ pascal_singular }}Dto, Update{{ pascal_singular }}},
    },
    models::_entities::{{ snake_plural }}::{ActiveModel, Column, Entity},
    openapi::{% if auth %}{
        auth::AuthErrors,
        responses::{BodyErrors, ParameterErrors},
    }{% else %}responses::{BodyErrors, ParameterErrors}{% endif %},
};

#[derive(OpenApi)]
#[openapi(paths(list, get_one, create, update, remove))]
pub struct Api;

/// Build a 404 response shaped as the [`ApiError`] envelope.
fn not_found(message: &str) -> Response {
    let error = ApiError {
        code: "not_found".to_string(),
        message: message.to_string(),
        details: None,
    };
    (StatusCode::NOT_FOUND, Json(error)).into_response()
}

/// List {{ snake_plural }}
#[utoipa::path(
    get,
    path = "/api/{{ snake_plural }}",
    operation_id = "list_{{ snake_plural }}",
    tag = "{{ snake_plural }}",
{% if auth %}    security(("jwt" = [])),
{% endif %}    params(
        ("page" = Option<u64>, Query, minimum = 1, maximum = 1_000_000),
        ("page_size" = Option<u64>, Query, minimum = 1, maximum = 100),
    ),
    responses(
        (status = OK, description = "A page of {{ snake_plural }}.", body = Page<{{ pascal_singular }}Dto>),
{% if auth %}        AuthErrors,
{% endif %}        ParameterErrors,
    ),
)]
#[debug_handler]
async fn list(
{% if auth %}    _auth: auth::JWT,
{% endif %}    State(ctx): State<AppContext>,
    Query(pagination): Query<query::PaginationQuery>,
) -> Result<Json<Page<{{ pascal_singular }}Dto>>> {
    let pagination = query::PaginationQuery {
        page: pagination.page.clamp(1, 1_000_000),
        page_size: pagination.page_size.clamp(1, 100),
    };
    let res = query::paginate(
        &ctx.db,
        Entity::find().order_by_asc(Column::Id),
        None,
        &pagination,
    )
    .await?;

    Ok(Json(Page::from_query(res)))
}

/// Get a {{ snake_singular }}
#[utoipa::path(
    get,
    path = "/api/{{ snake_plural }}/{id}",
    operation_id = "get_{{ snake_singular }}",
    tag = "{{ snake_plural }}",
{% if auth %}    security(("jwt" = [])),
{% endif %}    params(("id" = i64, Path)),
    responses(
        (status = OK, description = "The {{ snake_singular }}.", body = {{ pascal_singular }}Dto),
{% if auth %}        AuthErrors,
{% endif %}        (status = NOT_FOUND, description = "No {{ snake_singular }} has this ID.", body = ApiError),
        ParameterErrors,
    ),
)]
#[debug_handler]
async fn get_one(
{% if auth %}    _auth: auth::JWT,
{% endif %}    State(ctx): State<AppContext>,
    Path(id): Path<i64>,
) -> Result<Response> {
    let Some(model) = Entity::find_by_id(id).one(&ctx.db).await? else {
        return Ok(not_found("{{ snake_singular }} not found"));
    };
    Ok(Json({{ pascal_singular }}Dto::from(model)).into_response())
}

/// Create a {{ snake_singular }}
#[utoipa::path(
    post,
    path = "/api/{{ snake_plural }}",
    operation_id = "create_{{ snake_singular }}",
    tag = "{{ snake_plural }}",
{% if auth %}    security(("jwt" = [])),
{% endif %}    request_body = Create{{ pascal_singular }},
    responses(
        (status = CREATED, description = "The new {{ snake_singular }}.", body = {{ pascal_singular }}Dto),
{% if auth %}        AuthErrors,
{% endif %}        BodyErrors,
    ),
)]
#[debug_handler]
async fn create(
{% if auth %}    _auth: auth::JWT,
{% endif %}    State(ctx): State<AppContext>,
    Json(params): Json<Create{{ pascal_singular }}>,
) -> Result<Response> {
    let item = ActiveModel {
        {% for f in fields -%}
        {{ f.field_name }}: Set({{ f.set_expr }}),
        {% endfor -%}
        ..Default::default()
    };
    let item = item.insert(&ctx.db).await?;

    Ok((StatusCode::CREATED, Json({{ pascal_singular }}Dto::from(item))).into_response())
}

/// Replace a {{ snake_singular }}
#[utoipa::path(
    put,
    path = "/api/{{ snake_plural }}/{id}",
    operation_id = "update_{{ snake_singular }}",
    tag = "{{ snake_plural }}",
{% if auth %}    security(("jwt" = [])),
{% endif %}    params(("id" = i64, Path)),
    request_body = Update{{ pascal_singular }},
    responses(
        (status = OK, description = "The new {{ snake_singular }}.", body = {{ pascal_singular }}Dto),
{% if auth %}        AuthErrors,
{% endif %}        BodyErrors,
        (status = NOT_FOUND, description = "No {{ snake_singular }} has this ID.", body = ApiError),
        ParameterErrors,
    ),
)]
#[debug_handler]
async fn update(
{% if auth %}    _auth: auth::JWT,
{% endif %}    State(ctx): State<AppContext>,
    Path(id): Path<i64>,
    Json(params): Json<Update{{ pascal_singular }}>,
) -> Result<Response> {
    let Some(model) = Entity::find_by_id(id).one(&ctx.db).await? else {
        return Ok(not_found("{{ snake_singular }} not found"));
    };

    let mut item = model.into_active_model();
    {% for f in fields -%}
    item.{{ f.field_name }} = Set({{ f.set_expr }});
    {% endfor -%}
    let item = item.update(&ctx.db).await?;

    Ok(Json({{ pascal_singular }}Dto::from(item)).into_response())
}

/// Delete a {{ snake_singular }}
#[utoipa::path(
    delete,
    path = "/api/{{ snake_plural }}/{id}",
    operation_id = "delete_{{ snake_singular }}",
    tag = "{{ snake_plural }}",
{% if auth %}    security(("jwt" = [])),
{% endif %}    params(("id" = i64, Path)),
    responses(
        (status = NO_CONTENT, description = "Success."),
{% if auth %}        AuthErrors,
{% endif %}        (status = NOT_FOUND, description = "No {{ snake_singular }} has this ID.", body = ApiError),
        ParameterErrors,
    ),
)]
#[debug_handler]
async fn remove(
{% if auth %}    _auth: auth::JWT,
{% endif %}    State(ctx): State<AppContext>,
    Path(id): Path<i64>,
) -> Result<Response> {
    let Some(model) = Entity::find_by_id(id).one(&ctx.db).await? else {
        return Ok(not_found("{{ snake_singular }} not found"));
    };

    model.into_active_model().delete(&ctx.db).await?;

    Ok(StatusCode::NO_CONTENT.into_response())
}

pub fn routes() -> Routes {
    Routes::new()
        .prefix("/api/{{ snake_plural }}")
        .add("/", get(list))
        .add("/", post(create))
        .add("/{id}", get(get_one))
        .add("/{id}", put(update))
        .add("/{id}", delete(remove))
}
