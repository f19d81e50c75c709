//! The events of a payload, dealt by the tables that they go to.

use std::{collections::HashMap, ops::Range, sync::Arc};

use rayon::iter::{
    IndexedParallelIterator as _, IntoParallelRefIterator as _, ParallelIterator as _,
};

use crate::{
    Payload,
    open_table::OpenTable,
    read::Content,
    report::LandedTable,
    route::{Routes, Way},
};

/// A thread is given this many events at a time at least.
const MIN_EVENTS: usize = 256;

/// The events of a payload that go to one table: from here on a payload of its own.
#[derive(Debug)]
pub(crate) struct Lot {
    pub(crate) open: Arc<OpenTable>,
    /// The records that have something for the table.
    pub(crate) payload: Arc<Payload>,
    /// What they have for it.
    pub(crate) contents: Arc<Vec<Content>>,
    /// For each of these records its position among those that were delivered, rising.
    pub(crate) positions: Vec<usize>,
    /// How often its events were flattened.
    pub(crate) n_rounds: u32,
    pub(crate) facts: LandedTable,
}

impl Lot {
    /// All that was delivered.
    pub(crate) fn of_all(
        open: Arc<OpenTable>,
        payload: Arc<Payload>,
        contents: Arc<Vec<Content>>,
    ) -> Self {
        let positions = (0..contents.len()).collect();
        Self::new(open, payload, contents, positions)
    }

    fn new(
        open: Arc<OpenTable>,
        payload: Arc<Payload>,
        contents: Arc<Vec<Content>>,
        positions: Vec<usize>,
    ) -> Self {
        let facts = LandedTable::of(&open.table.name().to_string());
        Self {
            open,
            payload,
            contents,
            positions,
            n_rounds: 0,
            facts,
        }
    }
}

/// Which way each event goes.
#[derive(Debug)]
pub(crate) struct Sorted {
    /// The ways that events go, each once. The first is that to the default table.
    pub(crate) ways: Vec<Way>,
    /// For each record the way of each of its events, as a position among the ways.
    of_events: Vec<Vec<u32>>,
}

/// Looks which way each event goes, on the threads that this is called on.
pub(crate) fn sort(routes: &Routes, contents: &[Content]) -> Sorted {
    let mut ways = vec![Way::Default];
    let mut numbers = HashMap::from([(Way::Default, 0)]);
    let mut number = |way: Way| {
        *numbers.entry(way).or_insert_with_key(|way| {
            ways.push(way.clone());
            u32::try_from(ways.len() - 1).unwrap_or(0) // A body has fewer events.
        })
    };
    let of_events = contents.iter().map(|content| {
        let Content::Events { body, frames } = content else {
            return Vec::new();
        };
        let events: Vec<Range<usize>> = frames.events().collect();
        let ways = events.par_iter().with_min_len(MIN_EVENTS);
        let ways: Vec<Way> = ways
            .map(|event| routes.way_of(&body[event.clone()]))
            .collect();
        ways.into_iter().map(&mut number).collect()
    });
    let of_events = of_events.collect();
    Sorted { ways, of_events }
}

/// What became of a payload that was dealt.
#[derive(Debug)]
pub(crate) struct Dealt {
    /// One for each table that something goes to.
    pub(crate) lots: Vec<Lot>,
    /// The positions of the records that are in none of them, since they have to be delivered again.
    pub(crate) again: Vec<usize>,
}

/// Deals the events to the tables that their ways lead to, in the order of these tables. The first is the default table.
///
/// `table_of_way` says for each way the position of its table; nothing when it could not be opened. Records with events for such
/// a table come again, and in an ordered payload all behind them.
pub(crate) fn deal(
    payload: &Payload,
    contents: &[Content],
    sorted: &Sorted,
    tables: &[Arc<OpenTable>],
    table_of_way: &[Option<usize>],
) -> Dealt {
    let mut hands: Vec<Hand> = tables.iter().map(|_| Hand::default()).collect();
    let mut again = Vec::new();
    let mut is_stopped = false;
    for (position, content) in contents.iter().enumerate() {
        let ways = &sorted.of_events[position];
        let is_lost = ways.iter().any(|&way| table_of_way[way as usize].is_none());
        if is_stopped || is_lost || !content.is_taken() {
            is_stopped |= payload.source.is_ordered;
            again.push(position);
            continue;
        }
        for (event, &way) in (0..).zip(ways) {
            if let Some(table) = table_of_way[way as usize] {
                hands[table].chosen.push(event);
            }
        }
        for (table, hand) in hands.iter_mut().enumerate() {
            hand.take(position, content, table == 0);
        }
    }
    let lots = hands
        .into_iter()
        .zip(tables)
        .filter(|(hand, _)| !hand.positions.is_empty());
    let lots = lots.map(|(hand, open)| {
        let records = hand.positions.iter();
        let own = Payload {
            records: records
                .map(|&position| payload.records[position].clone())
                .collect(),
            source: payload.source.clone(),
        };
        let contents = Arc::new(hand.contents);
        Lot::new(Arc::clone(open), Arc::new(own), contents, hand.positions)
    });
    Dealt {
        lots: lots.collect(),
        again,
    }
}

/// What one table gets.
#[derive(Debug, Default)]
struct Hand {
    positions: Vec<usize>,
    contents: Vec<Content>,
    /// The events of the record at hand.
    chosen: Vec<u32>,
}

impl Hand {
    /// Takes what was chosen of a record; the default table also takes what is no event.
    fn take(&mut self, position: usize, content: &Content, is_default: bool) {
        let own = match content {
            Content::Events { body, frames } => {
                let with_rest = is_default && frames.broken.is_some();
                (with_rest || !self.chosen.is_empty()).then(|| Content::Events {
                    body: body.clone(),
                    frames: frames.chosen(&self.chosen, with_rest),
                })
            }
            other => is_default.then(|| other.clone()),
        };
        self.chosen.clear();
        if let Some(own) = own {
            self.positions.push(position);
            self.contents.push(own);
        }
    }
}
