//! Responses that several operations have in common.

use std::collections::BTreeMap;

use utoipa::{
    openapi::{OpenApi, PathItem, Ref},
    IntoResponses, ToResponse, ToSchema,
};

#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(ErrorResponse), responses(TimedOut, Invalid, Overloaded)))]
pub struct Api;

/// An error, in the shape of Loco's `ErrorDetail`.
#[derive(ToSchema)]
#[schema(example = json!({ "error": "not_found", "description": "Resource was not found" }))]
pub struct ErrorResponse {
    /// What kind of error this is.
    #[schema(nullable = false)]
    error: Option<String>,
    /// A message for people.
    #[schema(nullable = false)]
    description: Option<String>,
    /// The problems of each invalid field.
    #[schema(nullable = false)]
    errors: Option<BTreeMap<String, Vec<FieldError>>>,
}

/// A problem with a field.
#[derive(ToSchema)]
struct FieldError {
    code: String,
    message: Option<String>,
}

/// Errors of operations with a JSON body.
#[derive(IntoResponses)]
pub enum BodyErrors {
    /// The body is not valid JSON.
    #[response(status = BAD_REQUEST)]
    Malformed(ErrorResponse),
    /// The body is larger than the service accepts.
    #[response(status = PAYLOAD_TOO_LARGE)]
    TooLarge(ErrorResponse),
    /// The `Content-Type` is not `application/json`.
    #[response(status = UNSUPPORTED_MEDIA_TYPE)]
    NotJson(ErrorResponse),
    /// A field is missing or invalid.
    #[response(status = UNPROCESSABLE_ENTITY)]
    Invalid(ErrorResponse),
}

/// Errors of operations with parameters.
#[derive(IntoResponses)]
pub enum ParameterErrors {
    /// A parameter is malformed.
    #[response(status = BAD_REQUEST)]
    Malformed(ErrorResponse),
}

/// The request took too long.
#[derive(ToResponse)]
#[response(description = "The request took too long.")]
struct TimedOut;

/// A value is invalid.
#[derive(ToResponse)]
#[response(description = "A value is invalid, such as text with a NUL character.")]
struct Invalid(ErrorResponse);

/// The service is overloaded.
#[derive(ToResponse)]
#[response(
    description = "The service is overloaded.",
    headers(("Retry-After" = u32, description = "Seconds after which to try again.")),
)]
struct Overloaded(ErrorResponse);

/// The errors that any operation may have, by status.
const COMMON: [(&str, &str); 3] = [
    ("408", "TimedOut"),
    ("422", "Invalid"),
    ("503", "Overloaded"),
];

/// Adds the errors that any operation may have.
#[must_use]
pub fn with_common(mut document: OpenApi) -> OpenApi {
    for path in document.paths.paths.values_mut() {
        let PathItem {
            get,
            put,
            post,
            delete,
            patch,
            ..
        } = path;
        for operation in [get, put, post, delete, patch].into_iter().flatten() {
            for (status, response) in COMMON {
                let responses = &mut operation.responses.responses;
                responses
                    .entry(status.to_string())
                    .or_insert_with(|| Ref::from_response_name(response).into());
            }
        }
    }
    document
}
