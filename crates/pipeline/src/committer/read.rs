//! Messages into receipts, of which only so many bytes are in memory at once.

use bytes::Bytes;
use futures::{StreamExt as _, stream};
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
