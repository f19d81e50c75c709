//! The commit function: receipts of a queue into snapshots, many files in each.
//!
//! `main.rs` is the cold start; everything else is here, behind [`handle`].

use std::{io::Write as _, time::Duration};

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::{Diagnostic, LambdaEvent};
use pipeline::{
    Committer, CommitterReport, Invocation, PipelineError, ReceiptMessage, Settings, telemetry,
};
use tokio::time::Instant;

/// What is made once per sandbox.
#[derive(Debug)]
pub struct Context {
    committer: Committer,
}

/// What is read at the edge, once per invocation, so that nothing behind it reads a clock or rolls dice.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The wall clock, in microseconds since 1970-01-01T00:00:00Z.
    pub now_us: i64,
    /// Random.
    pub seed: u64,
}

/// An invocation that cannot be answered message by message: the queue delivers all of it again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an SQS message has no `messageId`")]
pub struct NamelessMessage;

impl From<NamelessMessage> for Diagnostic {
    fn from(error: NamelessMessage) -> Self {
        Self {
            error_type: "UnreadableEnvelope".to_owned(),
            error_message: error.to_string(),
        }
    }
}

impl Context {
    /// The cold start: opens the lake.
    pub async fn open(settings: Settings) -> Result<Self, PipelineError> {
        Ok(Self::new(Committer::open(settings).await?))
    }

    /// The same over a committer that is open already.
    pub fn new(committer: Committer) -> Self {
        Self { committer }
    }

    /// What every invocation runs through.
    pub fn committer(&self) -> &Committer {
        &self.committer
    }
}

/// Answers one invocation with the messages that have to be delivered again: all others are settled.
///
/// # Errors
///
/// When a message could not be named in the answer.
pub async fn handle(
    context: &Context,
    event: LambdaEvent<SqsEvent>,
    moment: Moment,
) -> Result<SqsBatchResponse, NamelessMessage> {
    let (event, lambda) = event.into_parts();
    let messages = event.records.into_iter().map(|sent| message(sent, moment));
    let messages: Vec<ReceiptMessage> = messages.collect::<Result<_, _>>()?;
    let invocation = Invocation {
        now_us: moment.now_us,
        deadline: deadline_of(lambda.deadline, moment.now_us),
        seed: moment.seed,
    };
    let report = context.committer.run(messages, &invocation).await;
    tell(context, &report, &lambda.request_id, moment.now_us);
    Ok(deliver_again(&report))
}

fn message(sent: SqsMessage, moment: Moment) -> Result<ReceiptMessage, NamelessMessage> {
    let attribute = sent.attributes.get("SentTimestamp");
    let sent_us = attribute.and_then(|ms| ms.parse::<i64>().ok()?.checked_mul(1_000));
    Ok(ReceiptMessage {
        delivery_id: sent.message_id.ok_or(NamelessMessage)?,
        body: sent.body.unwrap_or_default(),
        sent_us: sent_us.unwrap_or(moment.now_us),
    })
}

/// A partial batch response.
fn deliver_again(report: &CommitterReport) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    let failures = report.retried().map(|id| {
        let mut failure = BatchItemFailure::default();
        id.clone_into(&mut failure.item_identifier);
        failure
    });
    response.batch_item_failures = failures.collect();
    response
}

/// Logs the facts, and prints them as metrics where the settings say so.
fn tell(context: &Context, report: &CommitterReport, request_id: &str, now_us: i64) {
    telemetry::log_commits(report, request_id);
    if context.committer.settings().embedded_metrics {
        let mut lines = telemetry::commit_metrics(report, now_us.div_euclid(1_000)).join("\n");
        lines.push('\n');
        // Metrics that cannot be printed must not fail rows that are committed.
        let _ = std::io::stdout().write_all(lines.as_bytes());
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
