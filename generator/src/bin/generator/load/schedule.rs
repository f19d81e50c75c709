//! Which events go into which request, and when it is due.

use std::time::Duration;

use generator::Generator;

use crate::args::Args;
use crate::clock;

/// Which events go into which request, and when it is due.
pub(super) struct Schedule {
    generator: Generator,
    run_id: String,
    rate: Option<f64>,
    time_limit: Option<Duration>,
    n_events_of_request: u64,
    n_events_left: u64,
    n_events_taken: u64,
    n_requests: u64,
    /// Events that were due before the time was up but could not be sent.
    pub(super) n_unsent_events: u64,
}

/// One request to send.
pub(super) struct Request {
    pub(super) ndjson: Vec<u8>,
    pub(super) n_events: u64,
    pub(super) id: String,
    /// How long after the start it is due; at once without a rate.
    pub(super) due: Option<Duration>,
}

impl Schedule {
    pub(super) fn new(args: &Args) -> Self {
        Self {
            generator: Generator::new(&args.settings()),
            run_id: clock::run_id(),
            rate: args.rate.map(f64::from),
            time_limit: args.seconds.map(Duration::from_secs_f64),
            n_events_of_request: u64::from(args.batch),
            n_events_left: args.n_events(),
            n_events_taken: 0,
            n_requests: 0,
            n_unsent_events: 0,
        }
    }

    /// The next request; none when all events are taken or the time is up.
    pub(super) fn next(&mut self, elapsed: Duration) -> Option<Request> {
        if self.n_events_left == 0 {
            return None;
        }
        let due = self
            .rate
            .map(|rate| Duration::from_secs_f64(self.n_events_taken as f64 / rate));
        if let Some(limit) = self.time_limit {
            if due.is_some_and(|due| due >= limit) {
                return None;
            }
            if elapsed >= limit {
                self.n_unsent_events = self.n_due_within(limit);
                self.n_events_left = 0;
                return None;
            }
        }
        let n_events = self.n_events_of_request.min(self.n_events_left);
        let mut ndjson = Vec::with_capacity(1_024 * usize::try_from(n_events).unwrap_or(0));
        for _ in 0..n_events {
            self.generator.write_event(&mut ndjson);
        }
        let id = format!("{}-{:06}", self.run_id, self.n_requests);
        self.n_requests += 1;
        self.n_events_taken += n_events;
        self.n_events_left -= n_events;
        Some(Request {
            ndjson,
            n_events,
            id,
            due,
        })
    }

    /// How many events not yet taken are due within the limit; none without a rate.
    fn n_due_within(&self, limit: Duration) -> u64 {
        let Some(rate) = self.rate else {
            return 0;
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "rate and limit were read as positive; their product is far below 2^63"
        )]
        let n_due = (rate * limit.as_secs_f64()).ceil() as u64;
        n_due
            .saturating_sub(self.n_events_taken)
            .min(self.n_events_left)
    }
}
