//! Counting what became of the events and records of one run.

use lake::DataFile;

use crate::{
    Outcome, Payload, RecordOutcome, Report, SourceObject,
    pipeline::Landing,
    read::Content,
    report::{ElapsedMs, LandedTable, MAX_REFUSALS_TOLD},
};

impl Report {
    /// What is known before anything is done.
    pub(crate) fn of(payload: &Payload, table: &str) -> Self {
        Self {
            table: table.to_owned(),
            source: payload.source.kind,
            n_records: payload.records.len() as u64,
            payload_bytes: payload
                .records
                .iter()
                .map(|record| record.body.len() as u64)
                .sum(),
            ..Self::default()
        }
    }

    /// What is known of an object before it is read.
    pub(crate) fn of_object(table: &str, is_staged: bool) -> Self {
        Self {
            table: table.to_owned(),
            source: "s3",
            n_records: 1,
            is_staged,
            ..Self::default()
        }
    }

    /// Adds up what became of the tables, and keeps them when there are routes.
    pub(crate) fn set_tables(&mut self, tables: Vec<LandedTable>, is_routed: bool) {
        for table in &tables {
            self.n_events += table.n_events;
            self.n_rows += table.n_rows;
            self.n_refused += table.n_refused;
            self.n_quarantined += table.n_quarantined;
            self.n_rescued += table.n_rescued;
            self.n_new_columns += table.n_new_columns;
            self.n_files += table.n_files;
            self.file_bytes += table.file_bytes;
            self.receipt_bytes += table.receipt_bytes;
            self.n_attempts += table.n_attempts;
            for (kind, n) in &table.n_refused_by_kind {
                *self.n_refused_by_kind.entry(kind).or_default() += n;
            }
            tell(&mut self.refusals, &table.refusals);
            self.elapsed_ms.wait_for(&table.elapsed_ms);
        }
        let mut snapshots = tables.iter().filter_map(|table| table.snapshot_id);
        self.snapshot_id = snapshots.next().filter(|_| snapshots.next().is_none());
        let mut places = tables.iter().filter_map(|table| table.quarantine.as_ref());
        self.quarantine = places.next().cloned();
        self.is_repeat = !tables.is_empty() && tables.iter().all(|table| table.is_repeat);
        if is_routed {
            self.tables = tables;
        }
    }

    /// What became of an object whose pieces all landed.
    pub(crate) fn outcome_of_object(&self) -> Outcome {
        let (n_rows, n_refused) = (self.n_rows, self.n_refused);
        match (n_rows, n_refused) {
            (0, 1..) => Outcome::Quarantined { n_refused },
            _ if self.is_staged => Outcome::Staged { n_rows, n_refused },
            _ => Outcome::Committed { n_rows, n_refused },
        }
    }

    /// Gives the one object its outcome.
    pub(crate) fn set_outcome(&mut self, object: &SourceObject, outcome: Outcome) {
        self.set_outcomes(vec![RecordOutcome {
            delivery_id: object.delivery_id.clone(),
            outcome,
        }]);
    }
}

impl ElapsedMs {
    /// Tables are worked on side by side: a stage takes as long as its slowest.
    fn wait_for(&mut self, other: &Self) {
        self.flatten = self.flatten.max(other.flatten);
        self.schema = self.schema.max(other.schema);
        self.write = self.write.max(other.write);
        self.quarantine = self.quarantine.max(other.quarantine);
        self.commit = self.commit.max(other.commit);
    }
}

impl LandedTable {
    /// What is known before anything is done.
    pub(crate) fn of(table: &str) -> Self {
        Self {
            table: table.to_owned(),
            ..Self::default()
        }
    }

    pub(crate) fn set_files(&mut self, files: &[DataFile]) {
        self.n_files = files.len() as u64;
        self.file_bytes = files.iter().map(|file| file.file_bytes).sum();
    }

    /// Adds what became of events, all of them or those of a piece.
    pub(crate) fn add_events(&mut self, landing: &Landing, is_kept: bool) {
        let refusals = &landing.refusals;
        self.n_rows += landing.flattened.n_rows() as u64;
        self.n_refused += refusals.n;
        self.n_events = self.n_rows + self.n_refused;
        self.n_quarantined += if is_kept { refusals.n } else { 0 };
        self.n_rescued += landing.flattened.n_rescued;
        for (kind, n) in &refusals.n_by_kind {
            *self.n_refused_by_kind.entry(kind).or_default() += n;
        }
        tell(&mut self.refusals, &refusals.notes);
    }
}

/// Adds notes as long as they are few.
fn tell(told: &mut Vec<crate::RefusalNote>, notes: &[crate::RefusalNote]) {
    let room = MAX_REFUSALS_TOLD.saturating_sub(told.len());
    told.extend(notes.iter().take(room).cloned());
}

/// What became of one record, in one table or in all that it has events for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    n_rows: u64,
    n_refused: u64,
    /// Some of it landed, or was refused, now.
    is_done: bool,
    /// Some of it came with others before.
    is_known: bool,
    /// Some of it has to come again.
    is_again: bool,
}

impl Fate {
    /// It has to be delivered again.
    pub(crate) const AGAIN: Self = Self {
        n_rows: 0,
        n_refused: 0,
        is_done: false,
        is_known: false,
        is_again: true,
    };

    /// Whether it has to be delivered again.
    pub(crate) fn is_again(self) -> bool {
        self.is_again
    }

    /// Adds what became of it in another table.
    pub(crate) fn add(&mut self, other: Self) {
        self.n_rows += other.n_rows;
        self.n_refused += other.n_refused;
        self.is_done |= other.is_done;
        self.is_known |= other.is_known;
        self.is_again |= other.is_again;
    }

    /// The outcome of a record with this fate. `is_kept`: whether refused events are in the quarantine.
    pub(crate) fn outcome(self, is_staged: bool, is_kept: bool) -> Outcome {
        let (n_rows, n_refused) = (self.n_rows, self.n_refused);
        if self.is_again {
            Outcome::Retry
        } else if self.is_known && !self.is_done {
            Outcome::Known
        } else if n_rows == 0 && n_refused > 0 {
            if is_kept {
                Outcome::Quarantined { n_refused }
            } else {
                Outcome::Refused { n_refused }
            }
        } else if is_staged {
            Outcome::Staged { n_rows, n_refused }
        } else {
            Outcome::Committed { n_rows, n_refused }
        }
    }
}

/// What became of each record in one table.
pub(crate) fn fates(landing: &Landing) -> Vec<Fate> {
    let fate = |(content, &n_refused): (&Content, &u64)| match content {
        Content::Again => Fate::AGAIN,
        Content::Known => Fate {
            is_known: true,
            ..Fate::default()
        },
        _ => Fate {
            n_rows: n_pieces(content).saturating_sub(n_refused),
            n_refused,
            is_done: true,
            ..Fate::default()
        },
    };
    let contents = landing.contents.iter();
    contents
        .zip(&landing.refusals.n_of_record)
        .map(fate)
        .collect()
}

/// Events, unreadable records and broken rests in one record.
fn n_pieces(content: &Content) -> u64 {
    match content {
        Content::Events { frames, .. } => {
            frames.n_events() as u64 + u64::from(frames.broken.is_some())
        }
        Content::Unreadable(_) => 1,
        Content::Again | Content::Known => 0,
    }
}

/// Events found.
pub(crate) fn n_events(contents: &[Content]) -> usize {
    let n_events = contents.iter().map(|content| match content {
        Content::Events { frames, .. } => frames.n_events(),
        _ => 0,
    });
    n_events.sum()
}

/// Bodies once inflated.
pub(crate) fn inflated_bytes(contents: &[Content]) -> u64 {
    let bytes = contents.iter().map(|content| match content {
        Content::Events { body, .. } => body.len() as u64,
        _ => 0,
    });
    bytes.sum()
}
