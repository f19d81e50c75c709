//! The facts of one run: counts that add up, sizes, times, and one outcome per record.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

/// How many refusals a report tells one by one; all of them are counted and in the quarantine.
pub(crate) const MAX_REFUSALS_TOLD: usize = 10;

/// What became of one record. No record has two outcomes, none has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// Its events are rows of a snapshot, or in the quarantine with their reasons.
    Committed {
        /// Events that became rows.
        n_rows: u64,
        /// Events that were refused.
        n_refused: u64,
    },
    /// The same, but that the snapshot is still to come: a durable receipt of its rows is on its way to the committer.
    Staged {
        /// Events that became rows.
        n_rows: u64,
        /// Events that were refused.
        n_refused: u64,
    },
    /// No event of it became a row; what it held is in the quarantine.
    Quarantined {
        /// Events and unreadable pieces that were refused.
        n_refused: u64,
    },
    /// No event of it became a row and nothing was kept: the sender has it and is told.
    Refused {
        /// Events and unreadable pieces that were refused.
        n_refused: u64,
    },
    /// It came in an earlier delivery, with other records, and what became of it then stands.
    Known,
    /// What it names was replaced or removed before it was read; whoever replaced it has told of that, too.
    Superseded,
    /// It has to be delivered again.
    Retry,
}

/// One record and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordOutcome {
    /// The trigger's name for the record.
    pub delivery_id: String,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Why one event became no row, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusalNote {
    /// The record.
    pub source_id: String,
    /// The event's number in its record; none for a record that cannot be read.
    pub source_index: Option<i64>,
    /// Where it begins in the inflated body, in bytes.
    pub offset: usize,
    /// The kind of refusal in one word.
    pub kind: &'static str,
    /// The reason for a person.
    pub reason: String,
}

/// Where the time of one run went, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct ElapsedMs {
    /// Base64, gzip, zstd, and finding the events.
    pub read: f64,
    /// Events into batches, and looking for an earlier delivery meanwhile.
    pub flatten: f64,
    /// Columns added to the table, and waiting for others that did.
    pub schema: f64,
    /// Batches into data files.
    pub write: f64,
    /// Refused events into the quarantine.
    pub quarantine: f64,
    /// Data files into a snapshot.
    pub commit: f64,
    /// All of it.
    pub total: f64,
}

/// The facts of one table in one run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LandedTable {
    /// The table.
    pub table: String,
    /// Events found for it.
    pub n_events: u64,
    /// Events that are rows.
    pub n_rows: u64,
    /// Events that became no row.
    pub n_refused: u64,
    /// Refused events that are in the quarantine: all of them, or none if the sender has them.
    pub n_quarantined: u64,
    /// Values that went to `_doc` because they did not fit.
    pub n_rescued: u64,
    /// Columns that this run added to the table.
    pub n_new_columns: u64,
    /// Data files of this run.
    pub n_files: u64,
    /// Their size.
    pub file_bytes: u64,
    /// The receipt, compressed; 0 when none was sent.
    pub receipt_bytes: u64,
    /// Tries that the commit took; 0 when there was nothing to commit.
    pub n_attempts: u32,
    /// The snapshot that the rows are in, when it is known.
    pub snapshot_id: Option<i64>,
    /// Whether an earlier delivery of these events had been committed already.
    pub is_repeat: bool,
    /// Where this run put the refused events: the object, or the place of several.
    pub quarantine: Option<String>,
    /// Why its events have to be delivered again, with the causes; nothing when they landed.
    pub error: Option<String>,
    /// Refused events by kind of refusal.
    #[serde(skip)]
    pub(crate) n_refused_by_kind: BTreeMap<&'static str, u64>,
    /// The first refusals.
    #[serde(skip)]
    pub(crate) refusals: Vec<RefusalNote>,
    #[serde(skip)]
    pub(crate) elapsed_ms: ElapsedMs,
}

/// The facts of one run.
///
/// `n_records = n_records_committed + n_records_staged + n_records_quarantined + n_records_refused + n_records_known +
/// n_records_superseded + n_records_retried` and `n_events = n_rows + n_refused`, where the events of known records and of those to be delivered again are not counted, and an
/// unreadable record or the broken rest of an array counts as one event.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// The table; with routes the default one.
    pub table: String,
    /// The kind of trigger.
    pub source: &'static str,
    /// Records received.
    pub n_records: u64,
    /// Records of which at least one event became a row, or that hold no event.
    pub n_records_committed: u64,
    /// Records of which at least one event became a row of a receipt, or that hold no event, in staged mode.
    pub n_records_staged: u64,
    /// Records of which no event became a row, kept in the quarantine.
    pub n_records_quarantined: u64,
    /// Records of which no event became a row, left with their sender.
    pub n_records_refused: u64,
    /// Records that an earlier delivery brought together with others, of which nothing is done again.
    pub n_records_known: u64,
    /// Notifications of objects that were replaced or removed before they were read.
    pub n_records_superseded: u64,
    /// Records to be delivered again.
    pub n_records_retried: u64,
    /// Events found.
    pub n_events: u64,
    /// Events that are rows.
    pub n_rows: u64,
    /// Events that became no row.
    pub n_refused: u64,
    /// Refused events that are in the quarantine: all of them, or none if the sender has them.
    pub n_quarantined: u64,
    /// Refused events by kind of refusal.
    pub n_refused_by_kind: BTreeMap<&'static str, u64>,
    /// Values that went to `_doc` because they did not fit.
    pub n_rescued: u64,
    /// Columns that this run added to the table.
    pub n_new_columns: u64,
    /// Bodies as received.
    pub payload_bytes: u64,
    /// Bodies once inflated.
    pub inflated_bytes: u64,
    /// Data files of this run.
    pub n_files: u64,
    /// Their size.
    pub file_bytes: u64,
    /// Whether the rows are left to a committer, who has a durable receipt of them.
    pub is_staged: bool,
    /// The receipt, compressed; 0 when none was sent.
    pub receipt_bytes: u64,
    /// Tries that the commit took; 0 when there was nothing to commit.
    pub n_attempts: u32,
    /// The snapshot that the rows are in, when it is known and there is but one.
    pub snapshot_id: Option<i64>,
    /// Whether an earlier delivery of this payload had been committed already.
    pub is_repeat: bool,
    /// Where this run put the refused events: the object, or the place of several; for a repeat nowhere, they are where the first delivery put them.
    pub quarantine: Option<String>,
    /// Where the time went.
    pub elapsed_ms: ElapsedMs,
    /// The first refusals.
    pub refusals: Vec<RefusalNote>,
    /// With routes, the tables that events were for; all else counts over them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<LandedTable>,
    /// What became of each record, in the order of the payload.
    #[serde(skip)]
    pub outcomes: Vec<RecordOutcome>,
}

impl Report {
    /// The trigger's names of the records to be delivered again, in the order of the payload.
    pub fn retried(&self) -> impl Iterator<Item = &str> {
        let again = self
            .outcomes
            .iter()
            .filter(|record| record.outcome == Outcome::Retry);
        again.map(|record| record.delivery_id.as_str())
    }

    /// Counts the outcomes, which are complete from now on.
    pub(crate) fn set_outcomes(&mut self, outcomes: Vec<RecordOutcome>) {
        for record in &outcomes {
            match record.outcome {
                Outcome::Committed { .. } => self.n_records_committed += 1,
                Outcome::Staged { .. } => self.n_records_staged += 1,
                Outcome::Quarantined { .. } => self.n_records_quarantined += 1,
                Outcome::Refused { .. } => self.n_records_refused += 1,
                Outcome::Known => self.n_records_known += 1,
                Outcome::Superseded => self.n_records_superseded += 1,
                Outcome::Retry => self.n_records_retried += 1,
            }
        }
        self.outcomes = outcomes;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            table,
            n_events,
            n_rows,
            n_refused,
            n_files,
            file_bytes,
            ..
        } = self;
        let on_its_way = if self.is_staged {
            " on their way to"
        } else {
            " in"
        };
        write!(f, "{n_rows} of {n_events} events{on_its_way} `{table}`")?;
        if *n_refused > 0 {
            write!(
                f,
                ", {n_refused} refused ({} quarantined)",
                self.n_quarantined
            )?;
        }
        if self.n_records_retried > 0 {
            write!(
                f,
                ", {} records to be delivered again",
                self.n_records_retried
            )?;
        }
        write!(
            f,
            ", {n_files} files, {file_bytes} bytes, {:.0} ms",
            self.elapsed_ms.total
        )?;
        if self.is_repeat {
            f.write_str(", delivered before")?;
        }
        Ok(())
    }
}
