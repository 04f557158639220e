//! Exemplars of the latency histogram: with each bucket, the trace of the last request in it.
//!
//! Prometheus reads them only in the [OpenMetrics
//! format](https://prometheus.io/docs/specs/om/open_metrics_spec/#exemplars-1).

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use super::SECONDS_BUCKETS;
use crate::traces::current_trace;

pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug, Clone)]
struct Exemplar {
    trace: String,
    seconds: f64,
    /// Seconds since 1970.
    time: f64,
}

/// One for each bucket, of which the last has no upper bound.
type Exemplars = [Option<Exemplar>; SECONDS_BUCKETS.len() + 1];

/// By the labels of their series.
static EXEMPLARS: Mutex<BTreeMap<String, Exemplars>> = Mutex::new(BTreeMap::new());

/// A request took this long, which belongs to the series with these labels.
pub fn record(labels: impl FnOnce() -> String, duration: Duration) {
    let Some(trace) = current_trace() else {
        return;
    };
    let seconds = duration.as_secs_f64();
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let exemplar = Exemplar {
        trace,
        seconds,
        time: time.unwrap_or_default().as_secs_f64(),
    };
    let bucket = SECONDS_BUCKETS.partition_point(|bound| *bound < seconds);
    let labels = labels();
    EXEMPLARS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .entry(labels)
        .or_default()[bucket] = Some(exemplar);
}

/// Metrics in Prometheus' text format as `OpenMetrics`, with the exemplars of a histogram.
pub fn open_metrics(text: &str, histogram: &str) -> String {
    let exemplars = EXEMPLARS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    convert(text, histogram, &exemplars)
}

fn convert(text: &str, histogram: &str, exemplars: &BTreeMap<String, Exemplars>) -> String {
    let buckets = [histogram, "_bucket{"].concat();
    let mut converted = String::with_capacity(text.len() + text.len() / 8);
    for line in text.lines().filter(|line| !line.is_empty()) {
        // The name of a counter's family has no suffix.
        match line
            .strip_prefix("# ")
            .and_then(|line| line.split_once(' '))
        {
            Some((kind @ ("HELP" | "TYPE"), rest)) => {
                let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                let name = name.strip_suffix("_total").unwrap_or(name);
                let _ = writeln!(converted, "# {kind} {name} {rest}");
                continue;
            }
            _ => converted.push_str(line),
        }
        let exemplar = line.strip_prefix(&buckets).and_then(|series| {
            let (labels, bound) = series.split_once(",le=\"")?;
            let (bound, _) = bound.split_once('"')?;
            let bucket = SECONDS_BUCKETS
                .iter()
                .position(|candidate| bound.parse() == Ok(*candidate));
            let of_series = exemplars.get(labels)?;
            of_series[bucket.unwrap_or(SECONDS_BUCKETS.len())].as_ref()
        });
        if let Some(Exemplar {
            trace,
            seconds,
            time,
        }) = exemplar
        {
            let labels = ["{trace_id=\"", trace, "\"}"].concat();
            let _ = write!(converted, " # {labels} {seconds} {time:.3}");
        }
        converted.push('\n');
    }
    converted.push_str("# EOF\n");
    converted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_names_the_trace_of_its_last_request() {
        let text = "# HELP jobs_total Jobs.\n# TYPE jobs_total counter\njobs_total 3\n\n\
                    # TYPE wait_seconds histogram\n\
                    wait_seconds_bucket{route=\"/a\",le=\"0.5\"} 1\n\
                    wait_seconds_bucket{route=\"/a\",le=\"1\"} 2\n\
                    wait_seconds_bucket{route=\"/a\",le=\"+Inf\"} 2\n";
        let mut of_series = Exemplars::default();
        of_series[9] = Some(Exemplar {
            trace: "0a".to_string(),
            seconds: 0.75,
            time: 1000.5,
        });
        let exemplars = BTreeMap::from([("route=\"/a\"".to_string(), of_series)]);

        let converted = convert(text, "wait_seconds", &exemplars);

        assert_eq!(
            converted,
            "# HELP jobs Jobs.\n# TYPE jobs counter\njobs_total 3\n\
             # TYPE wait_seconds histogram\n\
             wait_seconds_bucket{route=\"/a\",le=\"0.5\"} 1\n\
             wait_seconds_bucket{route=\"/a\",le=\"1\"} 2 # {trace_id=\"0a\"} 0.75 1000.500\n\
             wait_seconds_bucket{route=\"/a\",le=\"+Inf\"} 2\n\
             # EOF\n"
        );
    }
}
