//! Messages into receipts, of which only so many bytes are in memory at once.

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use lake::{Receipt, StorageError};
use serde_json::value::RawValue;
use tokio::time::Instant as Deadline;

use super::{Committer, ReceiptMessage};
use crate::{
    receipts::{Carried, UnreadableReceipt, open_message, read_object},
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
    /// No receipt, or none that can be read, ever.
    Unreadable(UnreadableReceipt),
    /// It could not be fetched, or has no room beside the others: it has to be delivered again.
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

impl Committer {
    /// Reads all messages, in their order, until there is no room or no time for more.
    pub(super) async fn read(
        &self,
        messages: &[ReceiptMessage],
        give_up: Option<Deadline>,
    ) -> Vec<Opened> {
        let cap_bytes = self.settings.max_payload_inflated_bytes.len() / MEMORY_PER_BYTE;
        let mut left_bytes = cap_bytes;
        let mut opened = Vec::with_capacity(messages.len());
        let reads: Vec<_> = messages
            .iter()
            .map(|message| self.read_one(message, cap_bytes))
            .collect();
        let mut reads = stream::iter(reads).buffered(MAX_FETCHES);
        loop {
            let next = match give_up {
                None => reads.next().await,
                Some(give_up) => tokio::time::timeout_at(give_up, reads.next())
                    .await
                    .unwrap_or_default(),
            };
            let Some(next) = next else { break };
            let n_bytes = usize::try_from(next.inflated_bytes()).unwrap_or(usize::MAX);
            if n_bytes > left_bytes {
                break; // The first has all the room, so there is always some progress.
            }
            left_bytes -= n_bytes;
            opened.push(next);
        }
        drop(reads);
        opened.resize_with(messages.len(), || Opened::Later);
        opened
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

    /// Fetches a large receipt, from the place of receipts and from nowhere else.
    async fn fetch(&self, location: String) -> Result<Bytes, Opened> {
        let below = location
            .strip_prefix(&self.receipts_root)
            .and_then(|rest| rest.strip_prefix('/'));
        let is_below = below.is_some_and(|rest| !rest.split('/').any(|part| part == ".."));
        if !is_below {
            return Err(Opened::Unreadable(UnreadableReceipt::Elsewhere {
                location,
            }));
        }
        match self.lake.storage().get(&location).await {
            Ok(object) => Ok(object),
            Err(StorageError::NotFound { .. }) => {
                Err(Opened::Unreadable(UnreadableReceipt::Gone { location }))
            }
            Err(error) => {
                tracing::error!(error = error_chain(&error), "receipt not fetched");
                Err(Opened::Later)
            }
        }
    }
}
