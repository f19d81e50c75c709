//! Events to a URL, a queue or a stream, on a schedule that does not wait for slow answers.

mod road;
mod schedule;
mod sign;
mod tally;

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use generator::Shape;
use tokio::task::JoinSet;

use self::road::Road;
use self::schedule::Schedule;
use self::tally::Tally;
use crate::args::Args;
use crate::clock;
use crate::progress::Progress;
use crate::summary::{Requests, Summary};

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
    #[error("cannot use {to}: {reason}")]
    Carrier { to: String, reason: String },
    #[error("cannot write `{path}`: {source}")]
    Log {
        path: std::path::PathBuf,
        source: std::io::Error,
    },
}

/// Sends the events and measures the answers.
pub(crate) fn run(args: &Args) -> Result<Summary, LoadError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|source| LoadError::Runtime { source })?;
    runtime.block_on(drive(args))
}

async fn drive(args: &Args) -> Result<Summary, LoadError> {
    let line = Arc::new(Line {
        road: Road::open(args).await?,
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

    if let Some(path) = &args.log_messages {
        let written = std::fs::write(path, &total.message_log);
        written.map_err(|source| LoadError::Log {
            path: path.clone(),
            source,
        })?;
    }
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
            n_messages: args.to.takes_messages().then_some(total.n_messages),
            first_failure: total.first_failure,
            latency_us: total.latency_us,
            from_due_time: args.rate.is_some(),
        }),
        n_failed_requests: total.n_failed_requests,
    })
}

/// What all senders share.
struct Line {
    road: Road,
    started: Instant,
    started_at_ms: i64,
    schedule: Mutex<Schedule>,
    n_events_done: AtomicU64,
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
        let due_ms = i64::try_from(due.as_millis()).unwrap_or(i64::MAX);
        let due_at_ms = line.started_at_ms.saturating_add(due_ms);
        let load = line.road.load(&request, due_at_ms);
        tokio::time::sleep_until((line.started + due).into()).await;
        let result = line.road.send(load, due_at_ms, &mut tally).await;
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
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
