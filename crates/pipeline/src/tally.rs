//! Counting what became of the events and records of one run.

use lake::DataFile;

use crate::{
    Outcome, Payload, RecordOutcome, RefusalNote, Report, events::Refused, pipeline::Landing,
    read::Content, report::MAX_REFUSALS_TOLD,
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

    pub(crate) fn set_files(&mut self, files: &[DataFile]) {
        self.n_files = files.len() as u64;
        self.file_bytes = files.iter().map(|file| file.file_bytes).sum();
    }

    /// Counts the events and gives every record its outcome.
    pub(crate) fn set_events(&mut self, landing: &Landing) {
        let refused = &landing.refused;
        self.n_rows = landing.flattened.n_rows() as u64;
        self.n_refused = refused.len() as u64;
        self.n_events = self.n_rows + self.n_refused;
        self.n_quarantined = if landing.is_kept() { self.n_refused } else { 0 };
        self.n_rescued = landing.flattened.n_rescued;
        for refused in refused {
            *self.n_refused_by_kind.entry(refused.kind).or_default() += 1;
        }
        let note = |refused: &Refused| RefusalNote {
            source_id: landing.payload.records[refused.record].source_id.clone(),
            source_index: refused.index,
            offset: refused.range.start,
            kind: refused.kind,
            reason: refused.reason.clone(),
        };
        self.refusals = refused.iter().take(MAX_REFUSALS_TOLD).map(note).collect();
        self.set_outcomes(outcomes(landing));
    }
}

fn outcomes(landing: &Landing) -> Vec<RecordOutcome> {
    let (contents, records) = (&landing.contents, &landing.payload.records);
    let mut n_refused_of = vec![0_u64; contents.len()];
    for refused in &landing.refused {
        n_refused_of[refused.record] += 1;
    }
    let outcome = |(record, content): (usize, &Content)| {
        let n_refused = n_refused_of[record];
        let n_pieces = n_pieces(content);
        match content {
            Content::Again => Outcome::Retry,
            _ if n_pieces > n_refused || n_pieces == 0 => Outcome::Committed {
                n_rows: n_pieces - n_refused,
                n_refused,
            },
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
            frames.events.len() as u64 + u64::from(frames.broken.is_some())
        }
        Content::Unreadable(_) => 1,
        Content::Again => 0,
    }
}

/// Events found.
pub(crate) fn n_events(contents: &[Content]) -> usize {
    let n_events = contents.iter().map(|content| match content {
        Content::Events { frames, .. } => frames.events.len(),
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
