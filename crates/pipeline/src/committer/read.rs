//! Messages into receipts, round by round, so that only so many bytes are in memory at once.

use bytes::Bytes;
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use lake::Receipt;
use serde_json::value::RawValue;
use tokio::time::Instant as Deadline;

use super::{Committer, ReceiptMessage};
use crate::{
    receipts::{Carried, FetchError, UnreadableReceipt, fetch_object, open_message, read_object},
    telemetry::error_chain,
};

/// How many large receipts are fetched side by side.
const MAX_FETCHES: usize = 8;

/// What a receipt takes in memory for each byte of its JSON, its JSON included, never less.
const MEMORY_PER_BYTE: usize = 2;

/// A receipt that was read.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) receipt: Receipt,
    /// As it was written, with fields that this version does not know.
    pub(super) json: Box<RawValue>,
}

/// What a message turned out to be.
#[derive(Debug)]
pub(super) enum Opened {
    Receipt(Box<Message>),
    /// No receipt, or none that can be read by this program with these settings.
    Unreadable(UnreadableReceipt),
    /// It could not be fetched: it has to be delivered again.
    Later,
}

impl Opened {
    pub(super) fn inflated_bytes(&self) -> u64 {
        match self {
            Self::Receipt(message) => message.json.get().len() as u64,
            _ => 0,
        }
    }
}

/// What one round takes, in bytes of the JSON of receipts, unless one receipt alone is larger. With what is made of them on
/// their way into manifests that is some 25 MiB of memory.
const ROUND_BYTES: usize = 4 << 20;

/// The messages of one invocation, read as far as there is room for them.
pub(super) struct Reading<'a> {
    reads: BoxStream<'a, (usize, Opened)>,
    /// Read, and without room in the round before.
    carried: Option<(usize, Opened)>,
    room_bytes: usize,
}

impl Reading<'_> {
    /// The messages of the next round, by their positions; none when all were read or the time is up. There is always room for
    /// the first.
    pub(super) async fn round(&mut self, give_up: Option<Deadline>) -> Vec<(usize, Opened)> {
        let mut round = Vec::new();
        let mut left_bytes = self.room_bytes;
        while give_up.is_none_or(|give_up| Deadline::now() < give_up) {
            let next = match (self.carried.take(), give_up) {
                (Some(carried), _) => Some(carried),
                (None, None) => self.reads.next().await,
                (None, Some(give_up)) => tokio::time::timeout_at(give_up, self.reads.next())
                    .await
                    .unwrap_or_default(),
            };
            let Some((position, opened)) = next else {
                break;
            };
            let n_bytes = usize::try_from(opened.inflated_bytes()).unwrap_or(usize::MAX);
            if n_bytes > left_bytes && !round.is_empty() {
                self.carried = Some((position, opened));
                break;
            }
            left_bytes = left_bytes.saturating_sub(n_bytes);
            round.push((position, opened));
        }
        round
    }

    /// Whether nothing is left behind the rounds so far, as far as is known.
    pub(super) fn is_last_round(&self) -> bool {
        self.carried.is_none()
    }
}

impl Committer {
    /// Reads all messages, in their order, round by round.
    pub(super) fn reading<'a>(&'a self, messages: &'a [ReceiptMessage]) -> Reading<'a> {
        let cap_bytes = self.settings.max_payload_inflated_bytes.len() / MEMORY_PER_BYTE;
        let reads = messages.iter().enumerate().map(move |(position, message)| {
            let reading = self.read_one(message, cap_bytes);
            async move { (position, reading.await) }
        });
        let reads: Vec<_> = reads.collect();
        Reading {
            reads: stream::iter(reads).buffered(MAX_FETCHES).boxed(),
            carried: None,
            room_bytes: cap_bytes.min(ROUND_BYTES),
        }
    }

    async fn read_one(&self, message: &ReceiptMessage, cap_bytes: usize) -> Opened {
        let object = match open_message(&message.body) {
            Ok(Carried::Object(object)) => object,
            Ok(Carried::Location(location)) => match self.fetch(location).await {
                Ok(object) => object,
                Err(opened) => return opened,
            },
            Err(error) => return Opened::Unreadable(error),
        };
        match read_object(&object, cap_bytes) {
            Ok((receipt, json)) => Opened::Receipt(Box::new(Message { receipt, json })),
            Err(error) => Opened::Unreadable(error),
        }
    }

    async fn fetch(&self, location: String) -> Result<Bytes, Opened> {
        let storage = self.lake.storage().as_ref();
        let fetched = fetch_object(storage, &self.receipts_root, location).await;
        fetched.map_err(|error| match error {
            FetchError::Never(error) => Opened::Unreadable(error),
            FetchError::NotNow(error) => {
                tracing::error!(error = error_chain(&error), "receipt not fetched");
                Opened::Later
            }
        })
    }
}
