//! Exemplars of the latency histogram: with each bucket, the trace of the last request in it.
//!
//! Prometheus reads them only in the [OpenMetrics
//! format](https://prometheus.io/docs/specs/om/open_metrics_spec/#exemplars-1).

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use metrics::SharedString;
use opentelemetry::TraceId;

use super::SECONDS_BUCKETS;

pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug, Clone)]
struct Exemplar {
    trace: TraceId,
    duration: Duration,
    time: SystemTime,
}

impl fmt::Display for Exemplar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.duration.as_secs_f64();
        let time = self.time.duration_since(SystemTime::UNIX_EPOCH);
        let time = time.unwrap_or_default().as_secs_f64();
        let labels = ["{trace_id=\"", &self.trace.to_string(), "\"}"].concat();
        write!(f, "{labels} {seconds} {time:.3}")
    }
}

/// One for each bucket, of which the last has no upper bound.
type Exemplars = [Option<Exemplar>; SECONDS_BUCKETS.len() + 1];

/// A series of the histogram, by its labels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    pub method: &'static str,
    pub route: SharedString,
    pub status: u16,
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            method,
            route,
            status,
        } = self;
        write!(
            f,
            "http_request_method=\"{method}\",http_route=\"{route}\",\
             http_response_status_code=\"{status}\""
        )
    }
}

static EXEMPLARS: Mutex<BTreeMap<Series, Exemplars>> = Mutex::new(BTreeMap::new());

/// A request of this trace took this long.
pub fn record(series: Series, trace: TraceId, duration: Duration) {
    let bucket = SECONDS_BUCKETS.partition_point(|bound| *bound < duration.as_secs_f64());
    let exemplar = Exemplar {
        trace,
        duration,
        time: SystemTime::now(),
    };
    EXEMPLARS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .entry(series)
        .or_default()[bucket] = Some(exemplar);
}

/// Metrics in Prometheus' text format as `OpenMetrics`, with the exemplars of a histogram.
pub fn open_metrics(text: &str, histogram: &str) -> String {
    let exemplars = EXEMPLARS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let exemplars = exemplars.into_iter();
    let by_labels = exemplars.map(|(series, exemplars)| (series.to_string(), exemplars));
    convert(text, histogram, &by_labels.collect())
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
        if let Some(exemplar) = exemplar {
            let _ = write!(converted, " # {exemplar}");
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
            trace: TraceId::from(10),
            duration: Duration::from_millis(750),
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_500),
        });
        let exemplars = BTreeMap::from([("route=\"/a\"".to_string(), of_series)]);

        let converted = convert(text, "wait_seconds", &exemplars);

        assert_eq!(
            converted,
            "# HELP jobs Jobs.\n# TYPE jobs counter\njobs_total 3\n\
             # TYPE wait_seconds histogram\n\
             wait_seconds_bucket{route=\"/a\",le=\"0.5\"} 1\n\
             wait_seconds_bucket{route=\"/a\",le=\"1\"} 2 # {trace_id=\"0000000000000000000000000000000a\"} 0.75 1000.500\n\
             wait_seconds_bucket{route=\"/a\",le=\"+Inf\"} 2\n\
             # EOF\n"
        );
    }
}
