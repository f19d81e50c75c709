//! Counting what became of the events and records of one run.

use lake::DataFile;

use crate::{
    Outcome, Payload, RecordOutcome, Report, SourceObject, pipeline::Landing, read::Content,
    report::MAX_REFUSALS_TOLD,
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

    /// Adds what became of the events of a piece.
    pub(crate) fn add_piece(&mut self, landing: &Landing, quarantine: Option<String>) {
        let refusals = &landing.refusals;
        self.n_rows += landing.flattened.n_rows() as u64;
        self.n_refused += refusals.n;
        self.n_events = self.n_rows + self.n_refused;
        self.n_quarantined = self.n_refused;
        self.n_rescued += landing.flattened.n_rescued;
        self.n_new_columns += landing.flattened.new_columns.len() as u64;
        self.inflated_bytes += inflated_bytes(&landing.contents);
        for (kind, n) in &refusals.n_by_kind {
            *self.n_refused_by_kind.entry(kind).or_default() += n;
        }
        let room = MAX_REFUSALS_TOLD.saturating_sub(self.refusals.len());
        let notes = refusals.notes.iter().take(room).cloned();
        self.refusals.extend(notes);
        self.quarantine = self.quarantine.take().or(quarantine);
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

    pub(crate) fn set_files(&mut self, files: &[DataFile]) {
        self.n_files = files.len() as u64;
        self.file_bytes = files.iter().map(|file| file.file_bytes).sum();
    }

    /// Counts the events and gives every record its outcome.
    pub(crate) fn set_events(&mut self, landing: &Landing) {
        let refusals = &landing.refusals;
        self.n_rows = landing.flattened.n_rows() as u64;
        self.n_refused = refusals.n;
        self.n_events = self.n_rows + self.n_refused;
        self.n_quarantined = if landing.is_kept() { self.n_refused } else { 0 };
        self.n_rescued = landing.flattened.n_rescued;
        self.n_refused_by_kind.clone_from(&refusals.n_by_kind);
        self.refusals.clone_from(&refusals.notes);
        self.set_outcomes(outcomes(landing, self.is_staged));
    }
}

fn outcomes(landing: &Landing, is_staged: bool) -> Vec<RecordOutcome> {
    let (contents, records) = (&landing.contents, &landing.payload.records);
    let outcome = |(record, content): (usize, &Content)| {
        let n_refused = landing.refusals.n_of_record[record];
        let n_pieces = n_pieces(content);
        match content {
            Content::Again => Outcome::Retry,
            Content::Known => Outcome::Known,
            _ if n_pieces > n_refused || n_pieces == 0 => {
                let n_rows = n_pieces - n_refused;
                if is_staged {
                    Outcome::Staged { n_rows, n_refused }
                } else {
                    Outcome::Committed { n_rows, n_refused }
                }
            }
            _ if landing.is_kept() => Outcome::Quarantined { n_refused },
            _ => Outcome::Refused { n_refused },
        }
    };
    let all = contents.iter().enumerate().map(outcome).zip(records);
    let all = all.map(|(outcome, record)| RecordOutcome {
        delivery_id: record.delivery_id.clone(),
        outcome,
    });
    all.collect()
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
