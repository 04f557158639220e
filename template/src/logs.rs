//! The log: Loco's layers, without what they say of requests that are the client's fault. Those have
//! their status in the line of the request (`src/controllers/access_log.rs`).

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

/// Sets the log up, for the whole process. Whether it has: files are Loco's own matter.
///
/// # Errors
///
/// When there is a log already.
pub fn init<H: Hooks>(config: &Logger) -> Result<bool> {
    let has_files = config
        .file_appender
        .as_ref()
        .is_some_and(|file| file.enable);
    if !config.enable || has_files {
        return Ok(false);
    }
    let has_colors = !matches!(config.format, logger::Format::Json);
    tracing_subscriber::registry()
        .with(logger::init_layer(io::stdout, &config.format, has_colors))
        .with(logger::init_env_filter::<H>(
            config.override_filter.as_ref(),
            &config.level,
        ))
        .with(WithoutClientErrors)
        .try_init()
        .map_err(|err| Error::string(&err.to_string()))?;
    Ok(true)
}

/// Drops what Loco logs, as an error, of an answer below 500.
pub struct WithoutClientErrors;

impl<S: Subscriber> Layer<S> for WithoutClientErrors {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        if event.metadata().target() != "loco_rs::controller" {
            return true;
        }
        let mut details = Details::default();
        event.record(&mut details);
        !details.is_client_error()
    }
}

/// The error of an event, as `Debug` has it.
#[derive(Default)]
struct Details(String);

impl Details {
    fn is_client_error(&self) -> bool {
        // What is no error is the reason for a 401.
        self.0.is_empty()
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
            .any(|kind| self.0.starts_with(kind))
    }
}

impl Visit for Details {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "error.details" {
            self.0 = format!("{value:?}");
        }
    }
}
