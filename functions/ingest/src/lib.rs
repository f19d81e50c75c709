//! The ingest function: events of any trigger into an Iceberg table.
//!
//! `main.rs` is the cold start; everything else is here, behind [`handle`]. No other crate knows Lambda's events.

mod answer;
mod bodies;
mod objects;
mod trigger;

use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use lambda_runtime::{Diagnostic, LambdaEvent};
use pipeline::{Invocation, Payload, Pipeline, PipelineError, Report, Settings, telemetry};
use serde_json::Value;
use tokio::time::Instant;

pub use bodies::Bodies;

use crate::{answer::Reply, trigger::Delivery};

/// What is made once per sandbox.
#[derive(Debug)]
pub struct Context {
    pipeline: Pipeline,
}

/// What is read at the edge, once per invocation, so that nothing behind it reads a clock or rolls dice.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The wall clock, in microseconds since 1970-01-01T00:00:00Z.
    pub now_us: i64,
    /// Random.
    pub seed: u64,
}

/// An invocation that failed: what Lambda is told, which then delivers again or to the dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The kind of failure, in one word.
    pub kind: &'static str,
    /// The error with its causes, in one line; never a stack trace.
    pub message: String,
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        Self {
            error_type: failure.kind.to_owned(),
            error_message: failure.message,
        }
    }
}

impl Context {
    /// The cold start: opens warehouse and table.
    pub async fn open(settings: Settings) -> Result<Self, PipelineError> {
        Ok(Self::new(Pipeline::open(settings).await?))
    }

    /// The same over a pipeline that is open already.
    pub fn new(pipeline: Pipeline) -> Self {
        Self { pipeline }
    }

    /// The pipeline that every invocation runs through.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }
}

/// Answers one invocation of any trigger, whose payload is the bytes as they came. One bad record never fails its neighbours.
///
/// # Errors
///
/// When nothing of the payload landed and its trigger has no other way to be told.
pub async fn handle(
    context: &Context,
    event: LambdaEvent<Bytes>,
    moment: Moment,
) -> Result<Value, Failure> {
    let (body, lambda) = event.into_parts();
    let settings = context.pipeline.settings();
    let delivery = trigger::read(body, &lambda.request_id, moment.now_us, settings)?;
    let invocation = Invocation {
        now_us: moment.now_us,
        deadline: deadline_of(lambda.deadline, moment.now_us),
        seed: moment.seed,
    };
    let request_id = &lambda.request_id;
    match delivery {
        Delivery::Answered(answer) => Ok(answer),
        Delivery::Payload(payload, reply) => {
            land(context, payload, &reply, &invocation, request_id).await
        }
        Delivery::Objects(objects, payload, reply) => {
            objects::land(context, objects, payload, &reply, &invocation, request_id).await
        }
    }
}

/// Lands the records of a payload.
async fn land(
    context: &Context,
    payload: Payload,
    reply: &Reply,
    invocation: &Invocation,
    request_id: &str,
) -> Result<Value, Failure> {
    let records = payload.records.iter();
    let ids: Vec<String> = records.map(|record| record.delivery_id.clone()).collect();
    match context.pipeline.run(payload, invocation).await {
        Ok(report) => {
            tell(context, &report, request_id, invocation.now_us);
            answer::landed(reply, &report)
        }
        Err(error) => {
            telemetry::log_failure(&error, request_id);
            answer::failed(reply, &ids, &error)
        }
    }
}

/// Logs the facts, and prints them as metrics where the settings say so.
fn tell(context: &Context, report: &Report, request_id: &str, now_us: i64) {
    telemetry::log(report, request_id);
    if context.pipeline.settings().embedded_metrics {
        for line in telemetry::embedded_metrics(report, now_us.div_euclid(1_000)) {
            // Metrics that cannot be printed must not fail rows that are committed.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }
}

/// The deadline that Lambda gives in wall-clock milliseconds, as a point of the clock that waits use.
fn deadline_of(deadline_ms: u64, now_us: i64) -> Option<Instant> {
    let wall_ms = u64::try_from(now_us.div_euclid(1_000)).ok()?;
    // What plays Lambda on a laptop gives one that has passed, or none: neither is a deadline.
    let left_ms = deadline_ms
        .checked_sub(wall_ms)
        .filter(|_| deadline_ms > 0)?;
    Instant::now().checked_add(Duration::from_millis(left_ms))
}
