//! Where receipts go that can never be committed: each with its reason, as zstd JSON. Their data files stay.

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use lake::{TableName, Token};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant as Deadline;

use super::{Committer, ReceiptAnswer, ReceiptMessage};
use crate::{
    InflateError, MAX_BODY_BYTES, inflate,
    quarantine::rfc3339,
    receipts::{UnreadableReceipt, hash_of, table_of_message},
    telemetry::error_chain,
};

/// How many objects are written side by side.
pub(super) const MAX_PUTS: usize = 8;

/// How hard they are compressed; they are small and rarely written.
const ZSTD_LEVEL: i32 = 3;

/// A receipt that can never be committed, or a message that is none, as the quarantine keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QuarantinedReceipt {
    /// The kind of refusal in one word.
    pub kind: String,
    /// The reason for a person.
    pub reason: String,
    /// The receipt as it was written; none when it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Box<RawValue>>,
    /// The message as it was sent, when no receipt could be read from it: a replay tries again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl QuarantinedReceipt {
    /// Reads an object of the quarantine of receipts.
    ///
    /// # Errors
    ///
    /// When it is not one.
    pub fn read(object: &Bytes) -> Result<Self, ReadReceiptError> {
        let json = inflate(object, false, MAX_BODY_BYTES).map_err(ReadReceiptError::Inflate)?;
        serde_json::from_slice(&json).map_err(ReadReceiptError::Json)
    }
}

/// An object of the quarantine that is no receipt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadReceiptError {
    /// It is not compressed, or not whole.
    #[error("the quarantined receipt cannot be decompressed")]
    Inflate(#[source] InflateError),
    /// It does not hold what it should.
    #[error("the object is not a quarantined receipt")]
    Json(#[source] serde_json::Error),
}

/// Why a receipt can never be committed.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    kind: &'static str,
    reason: String,
}

impl Refusal {
    pub(super) fn new(kind: &'static str, reason: String) -> Self {
        Self { kind, reason }
    }
}

impl Committer {
    /// Puts a receipt into the quarantine, the same one always under the same name.
    ///
    /// # Errors
    ///
    /// The reason for a person, when it could not be written.
    pub(super) async fn keep_receipt(
        &self,
        table: &TableName,
        token: Token,
        written_at_ms: i64,
        refusal: Refusal,
        receipt: Box<RawValue>,
    ) -> Result<ReceiptAnswer, String> {
        let day = day_of(written_at_ms.saturating_mul(1_000));
        let hash = hash_of(receipt.get().as_bytes());
        let place = format!("{table}/{day}/{token}-{hash:08x}");
        let kept = QuarantinedReceipt {
            kind: refusal.kind.to_owned(),
            reason: refusal.reason,
            receipt: Some(receipt),
            message: None,
        };
        self.put(&place, &kept).await?;
        Ok(ReceiptAnswer::Quarantined { kind: refusal.kind })
    }

    /// Puts the messages into the quarantine that are no receipts. What cannot be written comes again.
    pub(super) async fn keep_unreadable(
        &self,
        messages: &[ReceiptMessage],
        unreadable: &[(usize, UnreadableReceipt)],
        give_up: Option<Deadline>,
    ) -> Vec<(usize, ReceiptAnswer)> {
        let puts: Vec<_> = unreadable
            .iter()
            .map(|(position, error)| self.keep_until(&messages[*position], error, give_up))
            .collect();
        let answers: Vec<ReceiptAnswer> = stream::iter(puts).buffered(MAX_PUTS).collect().await;
        let positions = unreadable.iter().map(|(position, _)| *position);
        positions.zip(answers).collect()
    }

    async fn keep_until(
        &self,
        message: &ReceiptMessage,
        error: &UnreadableReceipt,
        give_up: Option<Deadline>,
    ) -> ReceiptAnswer {
        let put = self.keep_message(message, error);
        let put = match give_up {
            None => put.await,
            Some(give_up) => tokio::time::timeout_at(give_up, put)
                .await
                .unwrap_or_else(|late| Err(late.to_string())),
        };
        put.unwrap_or_else(|error| {
            tracing::error!(error, "unreadable receipt not quarantined");
            ReceiptAnswer::Retry
        })
    }

    async fn keep_message(
        &self,
        message: &ReceiptMessage,
        error: &UnreadableReceipt,
    ) -> Result<ReceiptAnswer, String> {
        let day = day_of(message.sent_us);
        let hash = Sha256::digest(message.body.as_bytes());
        let mut name = [0; 16];
        name.copy_from_slice(&hash[..16]);
        let name = u128::from_be_bytes(name);
        let kept = QuarantinedReceipt {
            kind: error.kind().to_owned(),
            reason: error.to_string(),
            receipt: None,
            message: Some(message.body.clone()),
        };
        // One that names its table may be readable by another program, or under other settings: then it can be replayed.
        let table = table_of_message(&message.body).map(|table| table.to_string());
        let table = table.as_deref().unwrap_or("unreadable");
        self.put(&format!("{table}/{day}/{name:032x}"), &kept)
            .await?;
        Ok(ReceiptAnswer::Quarantined { kind: error.kind() })
    }

    async fn put(&self, place: &str, kept: &QuarantinedReceipt) -> Result<(), String> {
        let failed = |error: &dyn std::error::Error| {
            format!("not quarantined: {}: {}", kept.reason, error_chain(error))
        };
        let json = serde_json::to_vec(kept).map_err(|error| failed(&error))?;
        let object = zstd::bulk::compress(&json, ZSTD_LEVEL).map_err(|error| failed(&error))?;
        let (root, prefix) = (&self.root, &self.settings.quarantine_prefix);
        let location = format!("{root}/{prefix}/receipts/{place}.json.zst");
        // That it is there already is a success: an earlier delivery of the same put it there.
        let put = self.lake.storage().put_new(&location, object.into()).await;
        put.map(|_| ()).map_err(|error| failed(&error))
    }
}

/// `2026-11-21`.
fn day_of(time_us: i64) -> String {
    let day = rfc3339(time_us);
    day.get(..10).unwrap_or("0001-01-01").to_owned()
}
