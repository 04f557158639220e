{% if openapi == "true" -%}
#![allow(clippy::option_if_let_else)] // in what `ToSchema` derives

{% endif -%}
use loco_rs::model::query::PageResponse;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// One page of a list, with what a client needs for pagination.
#[derive(Debug, Serialize, Deserialize, TS{{to_schema}})]
{%- if starter == "saas-client" %}
#[ts(export, export_to = "../frontend/src/bindings/")]
{%- endif %}
pub struct Page<T: TS> {
    pub items: Vec<T>,
    /// The page number, starting from 1.
    #[ts(type = "number")]
    pub page: u64,
    #[ts(type = "number")]
    pub page_size: u64,
    #[ts(type = "number")]
    pub total_pages: u64,
    #[ts(type = "number")]
    pub total_items: u64,
}

impl<T: TS> Page<T> {
    /// Converts the result of a paginated query into a page of DTOs.
    pub fn from_query<M>(res: PageResponse<M>) -> Self
    where
        T: From<M>,
    {
        Self {
            items: res.page.into_iter().map(T::from).collect(),
            page: res.meta.page,
            page_size: res.meta.page_size,
            total_pages: res.meta.total_pages,
            total_items: res.meta.total_items,
        }
    }
}

/// An error that a client can act on.
#[derive(Debug, Serialize, Deserialize, TS{{to_schema}})]
{%- if starter == "saas-client" %}
#[ts(export, export_to = "../frontend/src/bindings/")]
{%- endif %}
pub struct ApiError {
    pub code: String,
    pub message: String,
    #[ts(type = "unknown")]
    pub details: Option<serde_json::Value>,
}
