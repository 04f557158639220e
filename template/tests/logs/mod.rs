use std::sync::{
    atomic::{AtomicUsize, Ordering},
    Arc,
};

use loco_rs::prelude::*;
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    filter::LevelFilter,
    layer::{Context, SubscriberExt},
    Layer,
};

use {{crate_name}}::logs::WithoutClientErrors;

/// Counts the logged events.
struct Counter(Arc<AtomicUsize>);

impl<S: Subscriber> Layer<S> for Counter {
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The number of lines logged when an error becomes a response.
fn lines_of(err: Error) -> usize {
    lines_while(|| drop(err.into_response()))
}

fn lines_while(logging: impl FnOnce()) -> usize {
    let count = Arc::new(AtomicUsize::new(0));
    let lines = Counter(Arc::clone(&count))
        .and_then(WithoutClientErrors)
        .with_filter(LevelFilter::TRACE);
    let log = tracing_subscriber::registry().with(lines);
    tracing::subscriber::with_default(log, logging);
    count.load(Ordering::Relaxed)
}

#[test]
fn client_errors_are_not_logged_as_errors() {
    assert_eq!(
        lines_of(Error::Unauthorized("wrong password".to_string())),
        0
    );
    assert_eq!(lines_of(Error::NotFound), 0);
    assert_eq!(lines_of(Error::BadRequest("no address".to_string())), 0);
    let expired = || {
        tracing::error!(target: "loco_rs::controller::extractor::auth", "JWT validation error: ExpiredSignature");
    };
    assert_eq!(lines_while(expired), 0);
    let failed = || {
        tracing::error!(target: "loco_rs::controller::extractor::auth", "database error during authentication");
    };
    assert_eq!(lines_while(failed), 1);
    assert_eq!(lines_of(Error::InternalServerError), 1);
    assert_eq!(lines_of(Error::string("the disk is full")), 1);
}
