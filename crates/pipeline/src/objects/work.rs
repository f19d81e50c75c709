//! What is shared by the pieces of an object, and what each table gets of them.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use lake::{BatchId, DataFile, TableName};

use super::SourceObject;
use crate::{
    Invocation, Payload, Record, SourceBatch, open_table::OpenTable, pieces::Piece, read::Content,
    report::LandedTable,
};

/// What one table gets of an object.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) open: Arc<OpenTable>,
    pub(super) batch: BatchId,
    /// Whether an earlier notification brought it.
    pub(super) is_known: bool,
    pub(super) files: Vec<DataFile>,
    pub(super) facts: LandedTable,
}

/// What every piece of an object shares.
pub(super) struct Work<'a> {
    pub(super) object: &'a SourceObject,
    pub(super) invocation: &'a Invocation,
    /// The routes, when there are any: what is known under others is not known.
    pub(super) routes: Option<&'a str>,
    /// Another one for each time that the object is read.
    pub(super) attempt: u64,
    pub(super) arrival_us: i64,
    pub(super) n_pieces: u64,
    pub(super) n_events: i64,
    pub(super) before_bytes: usize,
    pub(super) shares: BTreeMap<TableName, Share>,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        object: &'a SourceObject,
        invocation: &'a Invocation,
        routes: Option<&'a str>,
        read: u32,
    ) -> Self {
        Self {
            object,
            invocation,
            routes,
            attempt: invocation.seed.wrapping_add(u64::from(read) << 32),
            arrival_us: object.notified_us,
            n_pieces: 0,
            n_events: 0,
            before_bytes: 0,
            shares: BTreeMap::new(),
        }
    }

    /// Its events arrived when it was written, where the store says when that was.
    pub(super) fn arrive(&mut self, modified_ms: Option<i64>) {
        let written_us = modified_ms.and_then(|ms| ms.checked_mul(1_000));
        self.arrival_us = written_us.unwrap_or(self.arrival_us);
    }

    /// The events of a piece.
    pub(super) fn content(&mut self, piece: Piece) -> Content {
        self.before_bytes = usize::try_from(piece.offset).unwrap_or(usize::MAX);
        let frames = piece.frames().numbered_from(self.n_events);
        let body = Bytes::from(piece.body);
        Content::Events { body, frames }
    }

    /// A payload for what comes next of the object. Its body is in its content.
    pub(super) fn payload(&self) -> Payload {
        let source_id = self.object.source_id();
        let mut source = SourceBatch::object(&source_id, self.before_bytes);
        if let Some(routes) = self.routes {
            source.under(routes);
        }
        Payload {
            source,
            records: vec![Record {
                delivery_id: self.object.delivery_id.clone(),
                source_id,
                arrival_us: self.arrival_us,
                body: Bytes::new(),
                is_base64: false,
            }],
        }
    }

    /// Counts what is done.
    pub(super) fn pass(&mut self, contents: &[Content]) {
        for content in contents {
            if let Content::Events { body, frames } = content {
                let n_events = frames.n_events() + usize::from(frames.broken.is_some());
                self.n_events += i64::try_from(n_events).unwrap_or(i64::MAX);
                self.before_bytes += body.len();
            }
        }
    }
}
