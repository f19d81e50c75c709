//! What senders have seen.

use hdrhistogram::Histogram;

use super::LoadError;

/// The longest latency that is told apart from longer ones: an hour, in microseconds.
const MAX_LATENCY_US: u64 = 3_600_000_000;

/// What one sender, or all of them, have seen.
pub(super) struct Tally {
    pub(super) n_events: u64,
    pub(super) event_bytes: u64,
    pub(super) n_requests: u64,
    pub(super) n_failed_requests: u64,
    pub(super) n_failed_events: u64,
    pub(super) n_retries: u64,
    pub(super) n_messages: u64,
    pub(super) message_log: String,
    pub(super) first_failure: Option<String>,
    pub(super) latency_us: Histogram<u64>,
}

impl Tally {
    pub(super) fn new() -> Result<Self, LoadError> {
        let latency_us = Histogram::new_with_bounds(1, MAX_LATENCY_US, 3)
            .map_err(|source| LoadError::Histogram { source })?;
        Ok(Self {
            n_events: 0,
            event_bytes: 0,
            n_requests: 0,
            n_failed_requests: 0,
            n_failed_events: 0,
            n_retries: 0,
            n_messages: 0,
            message_log: String::new(),
            first_failure: None,
            latency_us,
        })
    }

    pub(super) fn add(&mut self, other: Self) {
        self.n_events += other.n_events;
        self.event_bytes += other.event_bytes;
        self.n_requests += other.n_requests;
        self.n_failed_requests += other.n_failed_requests;
        self.n_failed_events += other.n_failed_events;
        self.n_retries += other.n_retries;
        self.n_messages += other.n_messages;
        self.message_log.push_str(&other.message_log);
        if self.first_failure.is_none() {
            self.first_failure = other.first_failure;
        }
        // Both have the same bounds, so one holds what the other holds.
        let _ = self.latency_us.add(&other.latency_us);
    }
}
