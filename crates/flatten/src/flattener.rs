//! The fast flattener: chunks in parallel, and a second pass when events bring new columns.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use arrow_schema::ArrowError;
use rayon::prelude::*;

use crate::chunk::{self, Chunk};
use crate::plan::Plan;
use crate::{Column, Event, FlattenError, Flattened, Input, Schema, SchemaError, Shape};

/// For the threads alone no chunk gets fewer bytes of JSON: with fewer rows it costs more by itself than another thread saves.
const MIN_CHUNK_BYTES: usize = 1 << 20;

/// Events for which chunks of [`MAX_CHUNK_BYTES`] would be fewer are cut into up to so many, for the threads of a function. Part of
/// the result (law 8), so not a setting.
const N_CHUNKS: usize = 4;

/// A chunk has no more bytes of JSON than these and one event: what it costs by itself hardly counts then.
const MAX_CHUNK_BYTES: usize = 4 << 20;

/// A chunk is complete, too, when its rows times the columns of the table reach this: one value of a column makes room for all
/// rows of its chunk, and tiny events in a wide table must not make room for millions.
const CHUNK_CELLS: usize = 1 << 18;

/// Flattens events into the rows of one table. Made once per version of the table's schema, used for many batches.
#[derive(Debug)]
pub struct Flattener {
    plan: Plan,
}

impl Flattener {
    /// Prepares to flatten into a table with this schema, by the rules of this shape.
    ///
    /// # Errors
    ///
    /// When the schema lacks a system column, or has one of another type.
    pub fn new(schema: Schema, shape: Shape) -> Result<Self, SchemaError> {
        Ok(Self {
            plan: Plan::new(schema, shape)?,
        })
    }

    /// The columns of the table that it was made for.
    pub fn columns(&self) -> &[Column] {
        &self.plan.columns
    }

    /// Flattens the events, on the threads of the current rayon pool. The result does not depend on their number.
    ///
    /// # Errors
    ///
    /// When Arrow refuses an array that was built, which no input is known to cause. No event alone can make this fail.
    pub fn flatten(&self, input: &Input<'_>) -> Result<Flattened, FlattenError> {
        let ranges = cut(input.events, self.plan.columns.len());
        let chunks = flatten_chunks(&self.plan, input, &ranges)?;
        let (candidates, missing_siblings) = merge(&chunks);
        if candidates.is_empty() && missing_siblings.is_empty() {
            return Ok(assemble(&self.plan, Vec::new(), chunks));
        }
        drop(chunks);
        let (plan, new_columns) = self.plan.with_candidates(&candidates, &missing_siblings);
        let chunks = flatten_chunks(&plan, input, &ranges)?;
        Ok(assemble(&plan, new_columns, chunks))
    }
}

/// Where the chunks begin and end: by bytes and cells, never by threads.
fn cut(events: &[Event<'_>], n_columns: usize) -> Vec<Range<usize>> {
    let max_rows = (CHUNK_CELLS / n_columns.max(1)).max(1);
    let all_bytes: usize = events.iter().map(|event| event.bytes.len()).sum();
    let n_chunks = (all_bytes / MIN_CHUNK_BYTES).clamp(1, N_CHUNKS);
    let n_chunks = n_chunks.max(all_bytes.div_ceil(MAX_CHUNK_BYTES));
    let n_chunks = n_chunks.max(events.len().div_ceil(max_rows));
    // All of about one size where events are: a small one at the end would cost as much by itself as a large one.
    let chunk_bytes = all_bytes.div_ceil(n_chunks).max(1);
    let mut ranges = Vec::new();
    let (mut first, mut n_bytes) = (0, 0);
    for (position, event) in events.iter().enumerate() {
        n_bytes += event.bytes.len();
        if n_bytes >= chunk_bytes || position + 1 - first >= max_rows {
            ranges.push(first..position + 1);
            (first, n_bytes) = (position + 1, 0);
        }
    }
    if first < events.len() {
        ranges.push(first..events.len());
    }
    ranges
}

fn flatten_chunks(
    plan: &Plan,
    input: &Input<'_>,
    ranges: &[Range<usize>],
) -> Result<Vec<Chunk>, FlattenError> {
    ranges
        .par_iter()
        .map(|range| chunk::flatten(plan, input, range.start, range.end))
        .collect::<Result<_, ArrowError>>()
        .map_err(|source| FlattenError::BuildBatch {
            n_events: input.events.len(),
            source,
        })
}

type Merged = (
    HashMap<crate::Pointer, crate::candidate::Candidate>,
    BTreeMap<(usize, crate::candidate::SiblingType), crate::candidate::Position>,
);

/// What all chunks show about paths and siblings without a column.
fn merge(chunks: &[Chunk]) -> Merged {
    let (mut candidates, mut siblings) = Merged::default();
    for chunk in chunks {
        for (pointer, candidate) in &chunk.findings.candidates {
            candidates
                .entry(pointer.clone())
                .and_modify(|known: &mut crate::candidate::Candidate| known.merge(candidate))
                .or_insert_with(|| candidate.clone());
        }
        for (&key, &position) in &chunk.findings.missing_siblings {
            // Chunks come in the order of their events, so the first position is the earliest.
            siblings.entry(key).or_insert(position);
        }
    }
    (candidates, siblings)
}

fn assemble(plan: &Plan, new_columns: Vec<crate::NewColumn>, chunks: Vec<Chunk>) -> Flattened {
    let mut flattened = Flattened {
        columns: Arc::clone(&plan.told),
        new_columns,
        batches: Vec::with_capacity(chunks.len()),
        refused: Vec::new(),
        n_rescued: 0,
    };
    for chunk in chunks {
        flattened.batches.extend(chunk.rows);
        flattened.refused.extend(chunk.refused);
        flattened.n_rescued += chunk.n_rescued;
    }
    flattened
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the chunks of so many such events end.
    #[track_caller]
    fn check(event: &[u8], n_events: usize, n_columns: usize, expected: &[usize]) {
        let event = Event {
            bytes: event,
            record: 0,
            index: 0,
        };
        let chunks = cut(&vec![event; n_events], n_columns);
        assert!(chunks.windows(2).all(|two| two[0].end == two[1].start));
        let ends: Vec<usize> = chunks.iter().map(|chunk| chunk.end).collect();
        assert_eq!(ends, expected);
    }

    #[test]
    fn chunks_are_cut_by_bytes_and_tiny_events_by_cells() {
        let kib_600 = vec![b' '; 600 << 10];
        check(&kib_600, 1, 10, &[1]);
        check(&kib_600, 3, 10, &[3]);
        check(&kib_600, 4, 10, &[2, 4]);
        check(&kib_600, 12, 10, &[3, 6, 9, 12]);
        // More than four chunks of 4 MiB.
        check(&kib_600, 30, 10, &[6, 12, 18, 24, 30]);
        check(&vec![b' '; 20 << 20], 2, 10, &[1, 2]);
        check(b"{}", 1200, 500, &[400, 800, 1200]);
        check(b"", 1200, 500, &[524, 1048, 1200]);
        check(b"{}", 2, usize::MAX, &[1, 2]);
        check(b"{}", 0, 0, &[]);
    }
}
