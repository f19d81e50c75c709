//! From receipts to snapshots: the other half of staged mode.

mod quarantine;
mod read;
mod report;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use lake::{CommitOptions, Lake, LakeError, ReceiptOutcome, TableName, Token};
use serde_json::value::RawValue;
use tokio::time::Instant as Deadline;

use self::{
    quarantine::Refusal,
    read::{Message, Opened},
};
pub use self::{
    quarantine::{QuarantinedReceipt, ReadReceiptError},
    report::{CommitterElapsedMs, CommitterReport, MessageOutcome, ReceiptAnswer, TableReport},
};
use crate::{
    Invocation, PipelineError, Settings,
    open_lake::open_lake,
    pipeline::{give_up_at, ms_since},
    receipts::receipts_root,
    steps::horizon_ms,
    telemetry::error_chain,
};

/// How many tables are worked on side by side. Each mostly waits.
const MAX_TABLES: usize = 64;

/// One message of the queue of receipts.
#[derive(Debug, Clone)]
pub struct ReceiptMessage {
    /// The queue's name for it: what a partial batch response calls it.
    pub delivery_id: String,
    /// What was sent.
    pub body: String,
    /// When it was sent, in microseconds since 1970-01-01T00:00:00Z.
    pub sent_us: i64,
}

/// Everything that is made once per process.
#[derive(Debug)]
pub struct Committer {
    settings: Settings,
    lake: Lake,
    /// The location of the warehouse, without a `/` behind.
    root: String,
    /// Where large receipts are, without a `/` behind.
    receipts_root: String,
}

/// When to stop, and which time it is.
#[derive(Debug, Clone, Copy)]
struct Moment<'a> {
    invocation: &'a Invocation,
    give_up: Option<Deadline>,
}

impl Moment<'_> {
    /// The same for one round. A table that hangs in it leaves time for the next one.
    fn of_round(self, is_last: bool) -> Self {
        let Some(give_up) = self.give_up.filter(|_| !is_last) else {
            return self;
        };
        let now = Deadline::now();
        let half = give_up.saturating_duration_since(now) / 2;
        Self {
            give_up: Some(now + half),
            ..self
        }
    }
}

impl Committer {
    /// Opens the lake of the settings.
    pub async fn open(settings: Settings) -> Result<Self, PipelineError> {
        let lake = open_lake(&settings).await?;
        Ok(Self::with_lake(settings, lake))
    }

    /// The same over a lake that is open already.
    pub fn with_lake(settings: Settings, lake: Lake) -> Self {
        let root = settings.warehouse.root();
        Self {
            receipts_root: receipts_root(&settings, &root),
            settings,
            lake,
            root,
        }
    }

    /// The settings that it was opened with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The lake that it commits to.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// Commits the receipts of all messages, those of one table in one snapshot, or in a few when there are more than memory
    /// has room for. Every message gets an answer; one that cannot be settled now comes again, and never harms its neighbours.
    pub async fn run(
        &self,
        messages: Vec<ReceiptMessage>,
        invocation: &Invocation,
    ) -> CommitterReport {
        let started = Instant::now();
        let margin_ms = self.settings.deadline_margin_ms;
        let moment = Moment {
            invocation,
            give_up: invocation
                .deadline
                .map(|deadline| give_up_at(deadline, margin_ms)),
        };
        let mut report = CommitterReport::of(&messages, invocation.now_us);

        let mut answers = vec![ReceiptAnswer::Retry; messages.len()];
        let mut tables = BTreeMap::new();
        let mut reading = self.reading(&messages);
        loop {
            let clock = Instant::now();
            let round = reading.round(moment.give_up).await;
            report.elapsed_ms.read += ms_since(clock);
            if round.is_empty() {
                break; // What was not read comes again.
            }
            let bytes = round.iter().map(|(_, opened)| opened.inflated_bytes());
            report.receipt_bytes += bytes.sum::<u64>();
            let moment = moment.of_round(reading.is_last_round());
            let settled = self.settle_round(&messages, round, &mut tables, moment);
            for (position, answer) in settled.await {
                answers[position] = answer;
            }
        }
        report.tables = tables.into_values().collect();
        report.set_answers(&messages, answers);
        report.elapsed_ms.total = ms_since(started);
        report
    }

    /// Settles as many messages as there was room for. Tables that failed in a round before are left alone.
    async fn settle_round(
        &self,
        messages: &[ReceiptMessage],
        round: Vec<(usize, Opened)>,
        tables: &mut BTreeMap<TableName, TableReport>,
        moment: Moment<'_>,
    ) -> Vec<(usize, ReceiptAnswer)> {
        let mut by_table: BTreeMap<TableName, Vec<(usize, Message)>> = BTreeMap::new();
        let mut unreadable = Vec::new();
        for (position, opened) in round {
            match opened {
                Opened::Receipt(message) => {
                    let of_table = by_table.entry(message.receipt.table.clone());
                    of_table.or_default().push((position, *message));
                }
                Opened::Unreadable(error) => unreadable.push((position, error)),
                Opened::Later => {} // It comes again.
            }
        }
        let mut work = Vec::new();
        for (name, messages) in by_table {
            match tables.get_mut(&name) {
                Some(report) if report.has_failed() => report.give_back(messages.len()),
                _ => work.push(self.settle_table(name, messages, moment)),
            }
        }
        let kept = self.keep_unreadable(messages, &unreadable, moment.give_up);
        let settling = stream::iter(work).buffer_unordered(MAX_TABLES);
        let (mut answers, settled) = tokio::join!(kept, settling.collect::<Vec<_>>());
        for (name, report, of_table) in settled {
            answers.extend(of_table);
            match tables.get_mut(&name) {
                Some(before) => before.add(report),
                None => {
                    tables.insert(name, report);
                }
            }
        }
        answers
    }

    /// Settles the receipts of one table before its deadline; those that are not settled then come again.
    async fn settle_table(
        &self,
        name: TableName,
        messages: Vec<(usize, Message)>,
        moment: Moment<'_>,
    ) -> (TableName, TableReport, Vec<(usize, ReceiptAnswer)>) {
        let started = Instant::now();
        let positions: Vec<usize> = messages.iter().map(|(position, _)| *position).collect();
        let mut report = TableReport::new(&name, messages.len());
        let timeout = Duration::from_millis(self.settings.commit_timeout_ms);
        let own_deadline = Deadline::now() + timeout;
        let deadline = moment
            .give_up
            .map_or(own_deadline, |give_up| give_up.min(own_deadline));

        let work = self.commit_table(&name, messages, moment.invocation, deadline, &mut report);
        let settled = match tokio::time::timeout_at(deadline, work).await {
            Ok(settled) => settled,
            Err(_) => Err(format!(
                "not known to be committed within {} ms",
                started.elapsed().as_millis()
            )),
        };
        let answers = settled.unwrap_or_else(|error| {
            report.error = Some(error);
            vec![ReceiptAnswer::Retry; positions.len()]
        });
        report.set_answers(&answers);
        report.elapsed_ms = ms_since(started);
        let answers = positions.into_iter().zip(answers).collect();
        (name, report, answers)
    }

    /// Commits the receipts, and puts those into the quarantine that the table can never take.
    ///
    /// # Errors
    ///
    /// The reason for a person, when nothing is known of any of them: they come again.
    async fn commit_table(
        &self,
        name: &TableName,
        messages: Vec<(usize, Message)>,
        invocation: &Invocation,
        deadline: Deadline,
        report: &mut TableReport,
    ) -> Result<Vec<ReceiptAnswer>, String> {
        // Another one for each round.
        let first = messages.first().map_or(0, |(position, _)| *position as u64);
        let seed = invocation.seed.wrapping_add(first);
        let (receipts, originals): (Vec<_>, Vec<_>) = messages
            .into_iter()
            .map(|(_, message)| (message.receipt, message.json))
            .unzip();
        let options = CommitOptions {
            deadline: Some(deadline),
            receipt_horizon_ms: horizon_ms(&self.settings),
            ..CommitOptions::new(invocation.now_us.div_euclid(1_000), seed)
        };
        let places: Vec<_> = receipts
            .iter()
            .map(|receipt| (receipt.token, receipt.written_at_ms))
            .collect();
        let outcomes: Vec<Result<ReceiptAnswer, Refusal>> =
            match self.lake.commit(name, receipts, &options).await {
                Ok(committed) => {
                    report.set_committed(&committed);
                    let outcomes = committed.outcomes.into_iter().map(|(_, outcome)| {
                        if let ReceiptOutcome::Later { reason } = &outcome {
                            report.error = Some(reason.clone());
                        }
                        answer_to(outcome)
                    });
                    outcomes.collect()
                }
                Err(error) => {
                    let refusal = never(&error).ok_or_else(|| error_chain(&error))?;
                    vec![Err(refusal); places.len()]
                }
            };
        let mut settled = Vec::with_capacity(places.len());
        for ((outcome, place), original) in outcomes.into_iter().zip(places).zip(originals) {
            settled.push(self.settle(name, outcome, place, original));
        }
        let settled: Vec<Result<ReceiptAnswer, String>> = stream::iter(settled)
            .buffered(quarantine::MAX_PUTS)
            .collect()
            .await;
        let answers = settled.into_iter().map(|settled| {
            settled.unwrap_or_else(|error| {
                report.error = Some(error);
                ReceiptAnswer::Retry
            })
        });
        Ok(answers.collect())
    }

    /// Answers for one receipt, which is in the quarantine before it is said to be.
    async fn settle(
        &self,
        name: &TableName,
        outcome: Result<ReceiptAnswer, Refusal>,
        (token, written_at_ms): (Token, i64),
        original: Box<RawValue>,
    ) -> Result<ReceiptAnswer, String> {
        match outcome {
            Ok(answer) => Ok(answer),
            Err(refusal) => {
                self.keep_receipt(name, token, written_at_ms, refusal, original)
                    .await
            }
        }
    }
}

/// What the queue is told of a receipt, or why it belongs into the quarantine.
fn answer_to(outcome: ReceiptOutcome) -> Result<ReceiptAnswer, Refusal> {
    match outcome {
        ReceiptOutcome::Committed { .. } => Ok(ReceiptAnswer::Committed),
        ReceiptOutcome::AlreadyCommitted | ReceiptOutcome::Empty => Ok(ReceiptAnswer::Known),
        ReceiptOutcome::Later { .. } => Ok(ReceiptAnswer::Retry),
        ReceiptOutcome::Incompatible { reason } => Err(Refusal::new("incompatible", reason)),
        ReceiptOutcome::TooOld => Err(Refusal::new(
            "too_old",
            "it is older than a repeated delivery is recognised".to_owned(),
        )),
    }
}

/// Why no receipt for this table can ever be committed; none when the same commit may succeed another time.
fn never(error: &LakeError) -> Option<Refusal> {
    let kind = match error {
        LakeError::NoTable { .. } => "no_table",
        LakeError::UnsupportedTable { .. } => "unsupported_table",
        _ => return None,
    };
    Some(Refusal::new(kind, error_chain(error)))
}
