//! Logging: Loco's layers, without its errors about bad requests. The status of those is already in
//! the request's line (`src/controllers/access_log.rs`).

use std::{fmt, io};

use loco_rs::{app::Hooks, config::Logger, logger, Error, Result};
use tracing::{
    field::{Field, Visit},
    Event, Subscriber,
};
use tracing_subscriber::{
    layer::{Context, SubscriberExt},
    util::SubscriberInitExt,
    Layer,
};

/// Sets up logging for the whole process. Returns `false` where that is left to Loco, such as for
/// log files.
///
/// # Errors
///
/// Returns an error if logging is already set up.
pub fn init<H: Hooks>(config: &Logger) -> Result<bool> {
    let has_files = config
        .file_appender
        .as_ref()
        .is_some_and(|file| file.enable);
    if !config.enable || has_files {
        return Ok(false);
    }
    let has_colors = !matches!(config.format, logger::Format::Json);
    let filter = logger::init_env_filter::<H>(config.override_filter.as_ref(), &config.level);
    // Within the filter: beside it, every message that is switched off would cost more.
    let lines = logger::init_layer(io::stdout, &config.format, has_colors)
        .and_then(WithoutClientErrors)
        .with_filter(filter);
    tracing_subscriber::registry()
        .with(lines)
{%- if traces == "true" %}
        .with(memory::trace_layer::<H, _>())
{%- endif %}
        .try_init()
        .map_err(|err| Error::string(&err.to_string()))?;
    Ok(true)
}

/// Drops the errors that Loco logs for responses below 500, such as for an expired JWT.
pub struct WithoutClientErrors;

impl<S: Subscriber> Layer<S> for WithoutClientErrors {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let mut error = LoggedError::default();
        match event.metadata().target() {
            "loco_rs::controller" => {
                event.record(&mut error);
                !error.is_client_error()
            }
            "loco_rs::controller::extractor::auth" => {
                event.record(&mut error);
                !error.message.starts_with("JWT validation error")
            }
            _ => true,
        }
    }
}

#[derive(Default)]
struct LoggedError {
    message: String,
    /// The error's `Debug` output.
    details: String,
}

impl LoggedError {
    fn is_client_error(&self) -> bool {
        // An event without error details is Loco's reason for a 401.
        self.details.is_empty()
            || [
                "AxumFormRejection(",
                "BadRequest(",
                "CustomError(4",
                "JsonRejection(",
                "Model(EntityAlreadyExists",
                "Model(EntityNotFound",
                "Model(Validation(",
                "NotFound",
                "Unauthorized(",
                "Validation(",
            ]
            .iter()
            .any(|kind| self.details.starts_with(kind))
    }
}

impl Visit for LoggedError {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "error.details" => self.details = format!("{value:?}"),
            _ => {}
        }
    }
}
