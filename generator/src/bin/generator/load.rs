//! Events to a URL, on a schedule that does not wait for slow answers.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use generator::{Generator, Shape};
use hdrhistogram::Histogram;
use reqwest::{Client, Url};
use tokio::task::JoinSet;

use crate::args::{Args, Wrapper};
use crate::clock;
use crate::envelope::{Batch, Failure, judge};
use crate::progress::Progress;
use crate::summary::{Requests, Summary};

/// The longest latency that is told apart from longer ones: an hour, in microseconds.
const MAX_LATENCY_US: u64 = 3_600_000_000;

/// Why nothing could be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("cannot start the runtime: {source}")]
    Runtime { source: std::io::Error },
    #[error("cannot make an HTTP client: {source}")]
    Client { source: reqwest::Error },
    #[error("cannot prepare to count latencies: {source}")]
    Histogram { source: hdrhistogram::CreationError },
    #[error("a sender of requests stopped: {source}")]
    Sender { source: tokio::task::JoinError },
}

/// Sends the events and measures the answers.
pub(crate) fn run(args: &Args, url: &Url) -> Result<Summary, LoadError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|source| LoadError::Runtime { source })?;
    runtime.block_on(drive(args, url))
}

async fn drive(args: &Args, url: &Url) -> Result<Summary, LoadError> {
    let line = Arc::new(Line {
        client: client(args, url)?,
        url: url.clone(),
        wrapper: args.to.is_invocation().then_some(args.wrapper),
        gzip: args.gzip,
        n_retries: args.retries,
        started: Instant::now(),
        started_at_ms: clock::now_ms(),
        schedule: Mutex::new(Schedule::new(args)),
        n_events_done: AtomicU64::new(0),
    });
    let mut total = Tally::new()?;
    let mut senders = JoinSet::new();
    for _ in 0..args.concurrency {
        senders.spawn(send_all(Arc::clone(&line), Tally::new()?));
    }
    let watcher = tokio::spawn(watch(Arc::clone(&line), Progress::new(args)));
    while let Some(joined) = senders.join_next().await {
        total.add(joined.map_err(|source| LoadError::Sender { source })?);
    }
    let elapsed = line.started.elapsed();
    watcher.abort();
    // The bar is gone before the summary is printed; that the watcher was stopped is no error.
    let _ = watcher.await;

    let schedule = line.schedule.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Summary {
        to: args.to.to_string(),
        shape: Shape::from(args.shape).name(),
        seed: args.seed,
        n_events: total.n_events,
        event_bytes: total.event_bytes,
        elapsed,
        requests: Some(Requests {
            n_sent: total.n_requests,
            n_failed_events: total.n_failed_events,
            n_unsent_events: schedule.n_unsent_events,
            n_retries: total.n_retries,
            first_failure: total.first_failure,
            latency_us: total.latency_us,
            from_due_time: args.rate.is_some(),
        }),
        n_failed_requests: total.n_failed_requests,
    })
}

fn client(args: &Args, url: &Url) -> Result<Client, LoadError> {
    let mut builder = Client::builder()
        .timeout(Duration::from_secs_f64(args.timeout))
        .pool_max_idle_per_host(usize::from(args.concurrency));
    if matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")) {
        // What runs on this machine is not reached through a proxy.
        builder = builder.no_proxy();
    }
    builder
        .build()
        .map_err(|source| LoadError::Client { source })
}

/// What all senders share.
struct Line {
    client: Client,
    url: Url,
    wrapper: Option<Wrapper>,
    gzip: bool,
    n_retries: u32,
    started: Instant,
    started_at_ms: i64,
    schedule: Mutex<Schedule>,
    n_events_done: AtomicU64,
}

/// Which events go into which request, and when it is due.
struct Schedule {
    generator: Generator,
    run_id: String,
    rate: Option<f64>,
    time_limit: Option<Duration>,
    n_events_of_request: u64,
    n_events_left: u64,
    n_events_taken: u64,
    n_requests: u64,
    n_unsent_events: u64,
}

/// One request to send.
struct Request {
    ndjson: Vec<u8>,
    n_events: u64,
    id: String,
    /// How long after the start it is due; at once without a rate.
    due: Option<Duration>,
}

impl Schedule {
    fn new(args: &Args) -> Self {
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
    fn next(&mut self, elapsed: Duration) -> Option<Request> {
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

/// What one sender, or all of them, have seen.
struct Tally {
    n_events: u64,
    event_bytes: u64,
    n_requests: u64,
    n_failed_requests: u64,
    n_failed_events: u64,
    n_retries: u64,
    first_failure: Option<String>,
    latency_us: Histogram<u64>,
}

impl Tally {
    fn new() -> Result<Self, LoadError> {
        let latency_us = Histogram::new_with_bounds(1, MAX_LATENCY_US, 3)
            .map_err(|source| LoadError::Histogram { source })?;
        Ok(Self {
            n_events: 0,
            event_bytes: 0,
            n_requests: 0,
            n_failed_requests: 0,
            n_failed_events: 0,
            n_retries: 0,
            first_failure: None,
            latency_us,
        })
    }

    fn add(&mut self, other: Self) {
        self.n_events += other.n_events;
        self.event_bytes += other.event_bytes;
        self.n_requests += other.n_requests;
        self.n_failed_requests += other.n_failed_requests;
        self.n_failed_events += other.n_failed_events;
        self.n_retries += other.n_retries;
        if self.first_failure.is_none() {
            self.first_failure = other.first_failure;
        }
        // Both have the same bounds, so one holds what the other holds.
        let _ = self.latency_us.add(&other.latency_us);
    }
}

/// Sends requests one after another until there are none.
async fn send_all(line: Arc<Line>, mut tally: Tally) -> Tally {
    loop {
        let next = line
            .schedule
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next(line.started.elapsed());
        let Some(request) = next else {
            return tally;
        };
        // With a rate the payload is made before its time, and names the time it is due. Latency counts from
        // there: an answer that comes late delays those behind it, and that shows in their latency too.
        let due = request.due.unwrap_or_else(|| line.started.elapsed());
        let payload = line.payload(&request, due);
        tokio::time::sleep_until((line.started + due).into()).await;
        let result = line.send_with_retries(payload, &mut tally).await;
        let latency = line.started.elapsed().saturating_sub(due);

        tally.n_requests += 1;
        match result {
            Ok(()) => {
                tally.n_events += request.n_events;
                tally.event_bytes += request.ndjson.len() as u64;
                let latency_us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
                tally.latency_us.saturating_record(latency_us);
            }
            Err(failure) => {
                tally.n_failed_requests += 1;
                let n_failed = failure
                    .n_events
                    .unwrap_or(request.n_events)
                    .min(request.n_events);
                tally.n_failed_events += n_failed;
                tally.n_events += request.n_events - n_failed;
                tally.first_failure.get_or_insert(failure.reason);
            }
        }
        line.n_events_done
            .fetch_add(request.n_events, Ordering::Relaxed);
    }
}

impl Line {
    fn payload(&self, request: &Request, due: Duration) -> Vec<u8> {
        let due_ms = i64::try_from(due.as_millis()).unwrap_or(i64::MAX);
        let batch = Batch {
            ndjson: &request.ndjson,
            request_id: &request.id,
            sent_at_ms: self.started_at_ms.saturating_add(due_ms),
            gzip: self.gzip,
        };
        match self.wrapper {
            Some(wrapper) => batch.invocation(wrapper),
            None => batch.body(),
        }
    }

    /// Sends the payload, and again as often as allowed. What failed in part is not sent again: the rest would be doubled.
    async fn send_with_retries(&self, payload: Vec<u8>, tally: &mut Tally) -> Result<(), Failure> {
        let payload = Bytes::from(payload);
        let mut n_left = self.n_retries;
        loop {
            match self.send(payload.clone()).await {
                Err(Failure { n_events: None, .. }) if n_left > 0 => {
                    let wait_ms = 100 << (self.n_retries - n_left).min(6);
                    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                    n_left -= 1;
                    tally.n_retries += 1;
                }
                result => return result,
            }
        }
    }

    async fn send(&self, payload: Bytes) -> Result<(), Failure> {
        let mut request = self.client.post(self.url.clone()).body(payload);
        if self.wrapper.is_some() {
            request = request.header("content-type", "application/json");
        } else {
            request = request.header("content-type", "application/x-ndjson");
            if self.gzip {
                request = request.header("content-encoding", "gzip");
            }
        }
        let failed = |error: reqwest::Error| Failure {
            reason: causes(&error),
            n_events: None,
        };
        let response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let function_error = response.headers().contains_key("x-amz-function-error");
        let answer = response.bytes().await.map_err(failed)?;
        judge(status, function_error, self.wrapper, &answer)
    }
}

/// Keeps the bar up to date until it is stopped.
async fn watch(line: Arc<Line>, progress: Progress) {
    let progress = Clearing(progress);
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    loop {
        tick.tick().await;
        progress.0.update(
            line.n_events_done.load(Ordering::Relaxed),
            line.started.elapsed(),
        );
    }
}

/// Takes the bar away when the watcher is stopped.
struct Clearing(Progress);

impl Drop for Clearing {
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// An error with all its causes: the outermost alone says only that a request failed.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
