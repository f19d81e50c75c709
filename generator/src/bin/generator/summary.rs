//! What is told at the end.

use std::fmt::Write;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// The facts of one run.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) to: String,
    pub(crate) shape: &'static str,
    pub(crate) seed: u64,
    /// Events in requests that succeeded, or written.
    pub(crate) n_events: u64,
    /// Their bytes as NDJSON, before any wrapping or compression.
    pub(crate) event_bytes: u64,
    pub(crate) elapsed: Duration,
    /// Present when requests were sent.
    pub(crate) requests: Option<Requests>,
    pub(crate) n_failed_requests: u64,
}

/// What only requests have.
#[derive(Debug)]
pub(crate) struct Requests {
    pub(crate) n_sent: u64,
    pub(crate) n_failed_events: u64,
    /// Events that were due before the time was up but could not be sent.
    pub(crate) n_unsent_events: u64,
    /// Requests that were sent again; messages or records, where there are some.
    pub(crate) n_retries: u64,
    /// Messages or records that were taken, when they went to a queue or a stream.
    pub(crate) n_messages: Option<u64>,
    pub(crate) first_failure: Option<String>,
    /// Microseconds, of requests that succeeded.
    pub(crate) latency_us: Histogram<u64>,
    /// Whether latency counts from when a request was due; without a rate, from when it was sent.
    pub(crate) from_due_time: bool,
}

impl Summary {
    /// Lines for a person.
    pub(crate) fn to_text(&self) -> String {
        let seconds = self.elapsed.as_secs_f64().max(1e-6);
        let mib = self.event_bytes as f64 / f64::from(1 << 20);
        let verb = if self.requests.is_some() {
            "sent"
        } else {
            "wrote"
        };
        let mut text = format!(
            "{verb} {} events ({mib:.1} MiB) to {} in {seconds:.1} s, shape {}, seed {}\n  {} events/s, {:.1} MiB/s",
            grouped(self.n_events as f64),
            self.to,
            self.shape,
            self.seed,
            grouped(self.n_events as f64 / seconds),
            mib / seconds,
        );
        if let Some(requests) = &self.requests {
            requests.write_text(self.n_failed_requests, &mut text);
        }
        text
    }

    /// One JSON object.
    pub(crate) fn to_json(&self) -> Value {
        let seconds = self.elapsed.as_secs_f64().max(1e-6);
        let mut summary = json!({
            "to": self.to,
            "shape": self.shape,
            "seed": self.seed,
            "n_events": self.n_events,
            "event_bytes": self.event_bytes,
            "elapsed_s": seconds,
            "events_per_s": self.n_events as f64 / seconds,
            "bytes_per_s": self.event_bytes as f64 / seconds,
        });
        if let (Some(requests), Some(members)) = (&self.requests, summary.as_object_mut()) {
            let ms = |quantile| requests.ms_at(quantile);
            let latency =
                json!({ "p50": ms(0.5), "p95": ms(0.95), "p99": ms(0.99), "max": ms(1.0) });
            members.extend([
                ("n_requests".to_owned(), json!(requests.n_sent)),
                (
                    "n_failed_requests".to_owned(),
                    json!(self.n_failed_requests),
                ),
                (
                    "n_failed_events".to_owned(),
                    json!(requests.n_failed_events),
                ),
                (
                    "n_unsent_events".to_owned(),
                    json!(requests.n_unsent_events),
                ),
                ("n_retries".to_owned(), json!(requests.n_retries)),
                ("n_messages".to_owned(), json!(requests.n_messages)),
                ("first_failure".to_owned(), json!(requests.first_failure)),
                ("latency_ms".to_owned(), latency),
            ]);
        }
        summary
    }
}

impl Requests {
    /// The lines about requests.
    fn write_text(&self, n_failed_requests: u64, text: &mut String) {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            ", {} requests, {} failed\n  latency from {}: p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
            grouped(self.n_sent as f64),
            grouped(n_failed_requests as f64),
            if self.from_due_time {
                "the time a request was due"
            } else {
                "the time it was sent"
            },
            self.ms_at(0.5),
            self.ms_at(0.95),
            self.ms_at(0.99),
            self.ms_at(1.0),
        );
        if let Some(n_messages) = self.n_messages {
            let _ = write!(text, "\n  {} messages", grouped(n_messages as f64));
        }
        if self.n_retries > 0 {
            let what = self.n_messages.map_or("requests", |_| "messages");
            let n_retries = grouped(self.n_retries as f64);
            let _ = write!(text, "\n  {n_retries} {what} were sent again");
        }
        if let Some(failure) = &self.first_failure {
            let _ = write!(
                text,
                "\nwarning: {} events are in failed requests; the first failure: {failure}",
                grouped(self.n_failed_events as f64)
            );
        }
        if self.n_unsent_events > 0 {
            let _ = write!(
                text,
                "\nwarning: {} events were due but not sent before the time was up\n\
                 hint: lower `--rate`, or raise `--concurrency` or `--batch`",
                grouped(self.n_unsent_events as f64)
            );
        }
    }

    /// The latency that this share of the requests stayed below, in milliseconds.
    fn ms_at(&self, quantile: f64) -> f64 {
        self.latency_us.value_at_quantile(quantile) as f64 / 1_000.0
    }
}

/// A count as people read it: `1,234,567`.
pub(crate) fn grouped(count: f64) -> String {
    let digits = format!("{count:.0}");
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn counts_are_grouped_by_thousands() {
        let texts: Vec<_> = [0.0, 12.4, 999.0, 1_000.0, 1_234_567.0].map(grouped).into();
        assert_eq!(texts, ["0", "12", "999", "1,000", "1,234,567"]);
    }
}
