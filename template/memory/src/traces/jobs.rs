//! Traces that go on in the jobs of a queue, by
//! [OpenTelemetry's conventions](https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/).

use std::{collections::HashMap, env, sync::Arc};

use async_trait::async_trait;
use loco_rs::{
    app::AppContext,
    bgworker::{BackgroundWorker, Job, JobHandler, JobId, JobStatus, Queue, QueueProvider},
    Error, Result,
};
use opentelemetry::{propagation::TextMapPropagator, trace::Status};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use serde_json::{json, Value};
use tokio::task_local;
use tracing::{field::Empty, Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{continue_trace, is_enabled};

pub const SEND: &str = "send";
const PROCESS: &str = "process";
/// What is added to the arguments of a job, if they are an object. Workers of other versions ignore it.
const CONTEXT: &str = "trace_context";

/// Lets the jobs of the queue continue the trace of whoever has queued them: for [`Hooks::after_context`].
///
/// [`Hooks::after_context`]: loco_rs::app::Hooks::after_context
#[must_use]
pub fn trace_jobs(mut ctx: AppContext) -> AppContext {
    // `cargo loco jobs` needs what only Loco's own queue can do.
    if is_enabled() && !env::args().any(|argument| argument == "jobs") {
        ctx.queue_provider = ctx
            .queue_provider
            .map(|queue| Arc::new(Queue::from_provider(Arc::new(TracedQueue(queue)))));
    }
    ctx
}

fn send_span(class: &str) -> Span {
    let span = tracing::info_span!(SEND);
    describe(&span, SEND, class);
    span
}

fn process_span(class: &str, sent: &HashMap<String, String>) -> Span {
    let span = tracing::error_span!(PROCESS, trace_id = Empty, span_id = Empty);
    describe(&span, PROCESS, class);
    continue_trace(&span, sent);
    span
}

fn describe(span: &Span, operation: &'static str, class: &str) {
    span.set_attribute("messaging.system", "loco");
    span.set_attribute("messaging.operation.name", operation);
    span.set_attribute("messaging.operation.type", operation);
    span.set_attribute("messaging.destination.name", class.to_string());
}

fn finish<T>(span: &Span, result: &Result<T>) {
    if result.is_err() {
        // The error is in the log. It may contain an address.
        span.set_attribute("error.type", "_OTHER");
        span.set_status(Status::error(""));
    }
}

fn send_context(span: &Span, args: &mut Value) {
    let Value::Object(args) = args else {
        return;
    };
    let mut context = HashMap::new();
    TraceContextPropagator::new().inject_context(&span.context(), &mut context);
    if !context.is_empty() {
        args.insert(CONTEXT.to_string(), json!(context));
    }
}

fn take_context(args: &mut Value) -> HashMap<String, String> {
    let context = args.as_object_mut().and_then(|args| args.remove(CONTEXT));
    let context = context.map(serde_json::from_value);
    context.transpose().ok().flatten().unwrap_or_default()
}

struct TracedQueue(Arc<Queue>);

task_local! {
    /// The class of the worker that is being registered, since Loco asks the type for it.
    static CLASS: String;
}

/// Any worker, within a span.
struct TracedWorker {
    class: String,
    handler: JobHandler,
}

#[async_trait]
impl BackgroundWorker<Value> for TracedWorker {
    fn class_name() -> String {
        CLASS.get()
    }

    fn build(_: &AppContext) -> Self {
        unreachable!("it is made of a worker that was built")
    }

    async fn perform(&self, mut args: Value) -> Result<()> {
        let sent = take_context(&mut args);
        let span = process_span(&self.class, &sent);
        // Loco's handlers do not use the ID.
        let job = (self.handler)(JobId::default(), args);
        let performed = job.instrument(span.clone()).await;
        finish(&span, &performed);
        performed
    }
}

#[async_trait]
impl QueueProvider for TracedQueue {
    async fn enqueue(
        &self,
        class: String,
        queue: Option<String>,
        mut args: Value,
        tags: Option<Vec<String>>,
        priority: Option<i32>,
    ) -> Result<Option<String>> {
        let span = send_span(&class);
        send_context(&span, &mut args);
        let enqueued = self.0.enqueue(class, queue, args, tags, priority);
        let enqueued = enqueued.instrument(span.clone()).await;
        if let Ok(Some(id)) = &enqueued {
            span.set_attribute("messaging.message.id", id.clone());
        }
        finish(&span, &enqueued);
        enqueued
    }

    async fn enqueue_batch(
        &self,
        class: String,
        queue: Option<String>,
        mut jobs: Vec<(Value, Option<i32>)>,
        tags: Option<Vec<String>>,
    ) -> Result<Vec<JobId>> {
        let span = send_span(&class);
        let count = i64::try_from(jobs.len()).unwrap_or(i64::MAX);
        span.set_attribute("messaging.batch.message_count", count);
        for (args, _) in &mut jobs {
            send_context(&span, args);
        }
        let enqueued = self.0.enqueue_batch(class, queue, jobs, tags);
        let enqueued = enqueued.instrument(span.clone()).await;
        finish(&span, &enqueued);
        enqueued
    }

    async fn register_handler(&self, name: String, handler: JobHandler) -> Result<()> {
        let worker = TracedWorker {
            class: name.clone(),
            handler,
        };
        CLASS.scope(name, self.0.register(worker)).await
    }

    async fn run(&self, tags: Vec<String>) -> Result<()> {
        self.0.run(tags).await
    }

    async fn setup(&self) -> Result<()> {
        self.0.setup().await
    }

    async fn clear(&self) -> Result<()> {
        self.0.clear().await
    }

    async fn ping(&self) -> Result<()> {
        self.0.ping().await
    }

    async fn get_jobs(&self, _: Option<&Vec<JobStatus>>, _: Option<i64>) -> Result<Vec<Job>> {
        Err(Error::string("only `cargo loco jobs` lists jobs"))
    }

    async fn cancel_jobs_by_name(&self, name: &str) -> Result<()> {
        self.0.cancel_jobs(name).await
    }

    async fn clear_by_status(&self, status: Vec<JobStatus>) -> Result<()> {
        self.0.clear_by_status(status).await
    }

    async fn clear_jobs_older_than(
        &self,
        age_days: i64,
        status: Option<&Vec<JobStatus>>,
    ) -> Result<()> {
        let all = Vec::new();
        self.0
            .clear_jobs_older_than(age_days, status.unwrap_or(&all))
            .await
    }

    async fn requeue(&self, age_minutes: &i64) -> Result<()> {
        self.0.requeue(age_minutes).await
    }

    async fn retry_failed(&self, id: Option<&str>) -> Result<u64> {
        self.0.retry_failed(id).await
    }

    fn describe(&self) -> String {
        self.0.describe()
    }

    fn shutdown(&self) -> Result<()> {
        self.0.shutdown()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_gets_the_arguments_as_they_were() {
        let mut args = json!({ "id": 7, CONTEXT: { "traceparent": "00-0a-0b-01" } });
        let context = take_context(&mut args);
        assert_eq!(context["traceparent"], "00-0a-0b-01");
        assert_eq!(args, json!({ "id": 7 }));

        for mut args in [json!(7), json!({ "id": 7 }), json!({ "id": 7, CONTEXT: 1 })] {
            assert!(take_context(&mut args).is_empty());
            assert!(args == 7 || args == json!({ "id": 7 }));
        }
    }
}
