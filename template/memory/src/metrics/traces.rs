//! Spans on their way to the collector, by the names of
//! [OpenTelemetry's conventions](https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/).

use metrics::{counter, describe_counter, describe_gauge};

use super::set;
use crate::traces::queue;

const SIZE: &str = "otel_sdk_processor_span_queue_size";
const CAPACITY: &str = "otel_sdk_processor_span_queue_capacity";
const PROCESSED: &str = "otel_sdk_processor_span_processed_total";
const EXPORTED: &str = "otel_sdk_exporter_span_exported_total";

pub fn describe() {
    describe_gauge!(SIZE, "Spans that wait for their export.");
    describe_gauge!(CAPACITY, "The most spans that may wait for their export.");
    describe_counter!(
        PROCESSED,
        "Spans, and traces before they began, for which there was no room."
    );
    describe_counter!(
        EXPORTED,
        "Spans that the collector has accepted or, with an error type, not accepted."
    );
}

pub fn read() {
    let Some(queue) = queue() else {
        return;
    };
    set(SIZE, queue.spans() as u64);
    set(CAPACITY, queue.capacity() as u64);
    counter!(PROCESSED, "error_type" => "queue_full").absolute(queue.dropped());
    counter!(EXPORTED, "error_type" => "").absolute(queue.exported());
    counter!(EXPORTED, "error_type" => "_OTHER").absolute(queue.failed());
}
