//! A given number of events, held in memory.

use crate::{Generator, Kind, Settings};

/// So many events of one stream: what benches and tests work on.
#[derive(Debug)]
pub struct Corpus {
    ndjson: Vec<u8>,
    ends: Vec<usize>,
    kinds: Vec<Kind>,
}

impl Corpus {
    /// The first `n_events` events of the stream that these settings decide.
    pub fn new(settings: &Settings, n_events: usize) -> Self {
        let mut generator = Generator::new(settings);
        let mut corpus = Self {
            ndjson: Vec::new(),
            ends: Vec::with_capacity(n_events),
            kinds: Vec::with_capacity(n_events),
        };
        for _ in 0..n_events {
            let kind = generator.write_event(&mut corpus.ndjson);
            corpus.kinds.push(kind);
            corpus.ends.push(corpus.ndjson.len());
        }
        corpus
    }

    /// How many events there are.
    pub fn n_events(&self) -> usize {
        self.ends.len()
    }

    /// All events, each with a new line behind it.
    pub fn ndjson(&self) -> &[u8] {
        &self.ndjson
    }

    /// The events one by one, without their new lines.
    pub fn events(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.ends.len()).map(|n| {
            let start = if n == 0 { 0 } else { self.ends[n - 1] };
            &self.ndjson[start..self.ends[n] - 1]
        })
    }

    /// What is wrong with each event, in order.
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// How many of the events no flattener may accept.
    pub fn n_refused(&self) -> usize {
        self.kinds.iter().filter(|kind| kind.is_refused()).count()
    }
}
