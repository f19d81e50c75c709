//! The facts of one run of the committer: one answer per message, and what each table got.

use lake::{CommitReport, TableName};
use serde::Serialize;

use super::ReceiptMessage;

/// What became of one message. No message has two answers, none has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum ReceiptAnswer {
    /// Its rows became visible in this run.
    Committed,
    /// Its rows were in the table already, by another delivery; or it brings none.
    Known,
    /// It can never be committed; it is in the quarantine with the reason.
    Quarantined {
        /// The kind of refusal in one word.
        kind: &'static str,
    },
    /// It has to be delivered again.
    Retry,
}

/// One message and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MessageOutcome {
    /// The queue's name for the message.
    pub delivery_id: String,
    /// What became of it.
    #[serde(flatten)]
    pub answer: ReceiptAnswer,
}

/// Where the time of one run went, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct CommitterElapsedMs {
    /// Messages into receipts.
    pub read: f64,
    /// All of it.
    pub total: f64,
}

/// What one table got in one run. `n_receipts = n_committed + n_known + n_quarantined + n_retried`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TableReport {
    /// The table.
    pub table: String,
    /// Receipts for it.
    pub n_receipts: u64,
    /// Receipts whose rows became visible.
    pub n_committed: u64,
    /// Receipts whose rows were in the table already.
    pub n_known: u64,
    /// Receipts that the table can never take.
    pub n_quarantined: u64,
    /// Receipts to be delivered again.
    pub n_retried: u64,
    /// Data files that became visible.
    pub n_files: u64,
    /// Rows that became visible.
    pub n_rows: u64,
    /// The size of those files.
    pub file_bytes: u64,
    /// Tries that the commit took.
    pub n_attempts: u32,
    /// Snapshots that were expired.
    pub n_expired_snapshots: u64,
    /// The snapshot that was added, the last of several.
    pub snapshot_id: Option<i64>,
    /// How long it took, in milliseconds.
    pub elapsed_ms: f64,
    /// Why receipts have to be delivered again, with the causes.
    pub error: Option<String>,
}

impl TableReport {
    pub(super) fn new(table: &TableName, n_receipts: usize) -> Self {
        Self {
            table: table.to_string(),
            n_receipts: n_receipts as u64,
            ..Self::default()
        }
    }

    pub(super) fn set_committed(&mut self, committed: &CommitReport) {
        self.n_files = committed.n_files;
        self.n_rows = committed.n_rows;
        self.file_bytes = committed.file_bytes;
        self.n_attempts = committed.n_attempts;
        self.n_expired_snapshots = committed.n_expired_snapshots as u64;
        self.snapshot_id = committed.snapshot_id;
    }

    /// Whether nothing was known in the end of any of its receipts.
    pub(super) fn has_failed(&self) -> bool {
        self.error.is_some() && self.n_retried == self.n_receipts
    }

    /// Counts receipts that come again untried.
    pub(super) fn give_back(&mut self, n_receipts: usize) {
        self.n_receipts += n_receipts as u64;
        self.n_retried += n_receipts as u64;
    }

    /// Adds what a later round brought.
    pub(super) fn add(&mut self, later: Self) {
        self.n_receipts += later.n_receipts;
        self.n_committed += later.n_committed;
        self.n_known += later.n_known;
        self.n_quarantined += later.n_quarantined;
        self.n_retried += later.n_retried;
        self.n_files += later.n_files;
        self.n_rows += later.n_rows;
        self.file_bytes += later.file_bytes;
        self.n_attempts += later.n_attempts;
        self.n_expired_snapshots += later.n_expired_snapshots;
        self.snapshot_id = later.snapshot_id.or(self.snapshot_id);
        self.elapsed_ms += later.elapsed_ms;
        self.error = later.error.or(self.error.take());
    }

    pub(super) fn set_answers(&mut self, answers: &[ReceiptAnswer]) {
        let n = |is_it: fn(&ReceiptAnswer) -> bool| count(answers, is_it);
        self.n_committed = n(|answer| matches!(answer, ReceiptAnswer::Committed));
        self.n_known = n(|answer| matches!(answer, ReceiptAnswer::Known));
        self.n_quarantined = n(|answer| matches!(answer, ReceiptAnswer::Quarantined { .. }));
        self.n_retried = n(|answer| matches!(answer, ReceiptAnswer::Retry));
    }
}

/// The facts of one run. `n_messages = n_committed + n_known + n_quarantined + n_retried`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CommitterReport {
    /// Messages received.
    pub n_messages: u64,
    /// Messages whose rows became visible.
    pub n_committed: u64,
    /// Messages whose rows were in their table already.
    pub n_known: u64,
    /// Messages that can never be committed.
    pub n_quarantined: u64,
    /// Messages to be delivered again.
    pub n_retried: u64,
    /// Messages as received.
    pub message_bytes: u64,
    /// Receipts once inflated.
    pub receipt_bytes: u64,
    /// How long the oldest message was on its way when the run began, in milliseconds.
    pub oldest_message_ms: u64,
    /// What each table got, in the order of their names.
    pub tables: Vec<TableReport>,
    /// Where the time went.
    pub elapsed_ms: CommitterElapsedMs,
    /// What became of each message, in the order of their delivery.
    #[serde(skip)]
    pub outcomes: Vec<MessageOutcome>,
}

impl CommitterReport {
    /// What is known before anything is done.
    pub(super) fn of(messages: &[ReceiptMessage], now_us: i64) -> Self {
        let sent_us = messages.iter().map(|message| message.sent_us).min();
        let age_us = now_us.saturating_sub(sent_us.unwrap_or(now_us));
        Self {
            n_messages: messages.len() as u64,
            message_bytes: messages
                .iter()
                .map(|message| message.body.len() as u64)
                .sum(),
            oldest_message_ms: u64::try_from(age_us / 1_000).unwrap_or_default(),
            ..Self::default()
        }
    }

    /// The queue's names of the messages to be delivered again, in the order of their delivery.
    pub fn retried(&self) -> impl Iterator<Item = &str> {
        let again = self
            .outcomes
            .iter()
            .filter(|message| message.answer == ReceiptAnswer::Retry);
        again.map(|message| message.delivery_id.as_str())
    }

    pub(super) fn set_answers(&mut self, messages: &[ReceiptMessage], answers: Vec<ReceiptAnswer>) {
        let n = |is_it: fn(&ReceiptAnswer) -> bool| count(&answers, is_it);
        self.n_committed = n(|answer| matches!(answer, ReceiptAnswer::Committed));
        self.n_known = n(|answer| matches!(answer, ReceiptAnswer::Known));
        self.n_quarantined = n(|answer| matches!(answer, ReceiptAnswer::Quarantined { .. }));
        self.n_retried = n(|answer| matches!(answer, ReceiptAnswer::Retry));
        let outcomes = messages.iter().zip(answers);
        self.outcomes = outcomes
            .map(|(message, answer)| MessageOutcome {
                delivery_id: message.delivery_id.clone(),
                answer,
            })
            .collect();
    }
}

fn count(answers: &[ReceiptAnswer], is_it: impl Fn(&ReceiptAnswer) -> bool) -> u64 {
    answers.iter().filter(|answer| is_it(answer)).count() as u64
}
