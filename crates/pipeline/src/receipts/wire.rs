//! A receipt as bytes: the zstd of its JSON, in a message whose envelope a person can read.
//!
//! ```text
//! {"calve_receipt":1,"table":"analytics.events","token":"4f0c…","zstd":"KLUv/…"}
//! {"calve_receipt":1,"table":"analytics.events","token":"4f0c…","location":"s3://lake/receipts/…"}
//! ```

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use lake::{RECEIPT_FORMAT, Receipt, Storage, StorageError, TableName};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::{InflateError, inflate};

/// The largest message that is sent, in bytes as sent: what every SQS queue takes.
pub const MAX_MESSAGE_BYTES: usize = 256 << 10;

/// How hard receipts are compressed.
const ZSTD_LEVEL: i32 = 3;

/// Why a message is no receipt that this version can read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnreadableReceipt {
    /// Not the envelope of a receipt.
    #[error("the message is not a receipt: {0}")]
    Envelope(serde_json::Error),
    /// Written by a later version.
    #[error(
        "the receipt has format {format}, and this version knows formats up to {RECEIPT_FORMAT}"
    )]
    NewerFormat {
        /// Its format.
        format: u64,
    },
    /// An envelope with nothing in it.
    #[error("the message holds neither a receipt nor the location of one")]
    Empty,
    /// The receipt cannot be decompressed.
    #[error("the receipt cannot be decompressed: {0}")]
    Inflate(InflateError),
    /// The receipt does not hold what its format says.
    #[error("the receipt is not one of format {RECEIPT_FORMAT}: {0}")]
    Receipt(serde_json::Error),
    /// The location is not below the place of receipts: a message must not make anybody read other objects.
    #[error("`{location}` is not a place of receipts")]
    Elsewhere {
        /// The location.
        location: String,
    },
    /// The object is not there.
    #[error("the receipt `{location}` is not there")]
    Gone {
        /// The location.
        location: String,
    },
}

impl UnreadableReceipt {
    /// The reason in one word, for metrics: its variety is bounded.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NewerFormat { .. } => "newer_format",
            Self::Elsewhere { .. } | Self::Gone { .. } => "not_found",
            _ => "unreadable",
        }
    }
}

/// The envelope of a message.
#[derive(Serialize, Deserialize)]
struct Envelope {
    calve_receipt: u64,
    table: String,
    token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zstd: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    location: Option<String>,
}

/// As much of an envelope, or of a receipt, as every version can read.
#[derive(Deserialize)]
struct EnvelopeHead {
    calve_receipt: u64,
}

#[derive(Deserialize)]
struct ReceiptHead {
    format: u64,
}

/// A receipt ready to be sent.
#[derive(Debug)]
pub(crate) struct WireReceipt {
    table: String,
    token: String,
    object: Bytes,
}

impl WireReceipt {
    /// # Errors
    ///
    /// When it cannot be written as JSON, or not be compressed.
    pub(crate) fn new(receipt: &Receipt) -> Result<Self, std::io::Error> {
        let json = serde_json::to_vec(receipt)?;
        Ok(Self {
            table: receipt.table.to_string(),
            token: receipt.token.to_string(),
            object: zstd::bulk::compress(&json, ZSTD_LEVEL)?.into(),
        })
    }

    /// The message that holds the receipt; none when that would be too large.
    pub(crate) fn message(&self) -> Option<String> {
        // Below this length the envelope is still to be added, above it is too long without.
        if self.object.len() > MAX_MESSAGE_BYTES / 4 * 3 {
            return None;
        }
        let message = self.envelope(Some(STANDARD.encode(&self.object)), None);
        (message.len() <= MAX_MESSAGE_BYTES).then_some(message)
    }

    /// The message that points to the receipt.
    pub(crate) fn pointer(&self, location: &str) -> String {
        self.envelope(None, Some(location.to_owned()))
    }

    /// The receipt as an object of the storage.
    pub(crate) fn object(&self) -> &Bytes {
        &self.object
    }

    /// Where that object is: the same receipt always at the same place, another one of the same batch at another.
    pub(crate) fn location(&self, receipts_root: &str) -> String {
        let hash = hash_of(&self.object);
        format!(
            "{receipts_root}/{}/{}-{hash:08x}.json.zst",
            self.table, self.token
        )
    }

    fn envelope(&self, zstd: Option<String>, location: Option<String>) -> String {
        let envelope = Envelope {
            calve_receipt: u64::from(RECEIPT_FORMAT),
            table: self.table.clone(),
            token: self.token.clone(),
            zstd,
            location,
        };
        // Texts and a number are always JSON.
        serde_json::to_string(&envelope).unwrap_or_default()
    }
}

/// The first four bytes of SHA-256.
pub(crate) fn hash_of(bytes: &[u8]) -> u32 {
    let hash = Sha256::digest(bytes);
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

/// What a message brings.
#[derive(Debug)]
pub(crate) enum Carried {
    /// The receipt, compressed.
    Object(Bytes),
    /// The location of it.
    Location(String),
}

/// Reads the envelope of a message.
pub(crate) fn open_message(body: &str) -> Result<Carried, UnreadableReceipt> {
    let head: EnvelopeHead = serde_json::from_str(body).map_err(UnreadableReceipt::Envelope)?;
    check_format(head.calve_receipt)?;
    let envelope: Envelope = serde_json::from_str(body).map_err(UnreadableReceipt::Envelope)?;
    match (envelope.zstd, envelope.location) {
        (Some(zstd), _) => {
            let object = STANDARD.decode(zstd).map_err(|error| {
                UnreadableReceipt::Inflate(InflateError::Base64(error.to_string()))
            })?;
            Ok(Carried::Object(object.into()))
        }
        (None, Some(location)) => Ok(Carried::Location(location)),
        (None, None) => Err(UnreadableReceipt::Empty),
    }
}

/// The table that the message is for, whatever else may be wrong with it.
pub(crate) fn table_of_message(body: &str) -> Option<TableName> {
    #[derive(Deserialize)]
    struct EnvelopeTable {
        #[serde(rename = "calve_receipt")]
        _format: u64,
        table: TableName,
    }
    let envelope: EnvelopeTable = serde_json::from_str(body).ok()?;
    Some(envelope.table)
}

/// Fetches a large receipt, from the place of receipts and from nowhere else: a message must not make anybody read other
/// objects.
pub(crate) async fn fetch_object(
    storage: &dyn Storage,
    receipts_root: &str,
    location: String,
) -> Result<Bytes, FetchError> {
    let below = location
        .strip_prefix(receipts_root)
        .and_then(|rest| rest.strip_prefix('/'));
    let is_below = below.is_some_and(|rest| !rest.split('/').any(|part| part == ".."));
    if !is_below {
        return Err(FetchError::Never(UnreadableReceipt::Elsewhere { location }));
    }
    match storage.get(&location).await {
        Ok(object) => Ok(object),
        Err(StorageError::NotFound { .. }) => {
            Err(FetchError::Never(UnreadableReceipt::Gone { location }))
        }
        Err(error) => Err(FetchError::NotNow(error)),
    }
}

/// Why a large receipt was not fetched.
#[derive(Debug)]
pub(crate) enum FetchError {
    /// It cannot be, as things are.
    Never(UnreadableReceipt),
    /// The storage did not answer well.
    NotNow(StorageError),
}

/// Reads a compressed receipt; also returns its JSON as it is, for whoever has to keep it.
pub(crate) fn read_object(
    object: &Bytes,
    cap_bytes: usize,
) -> Result<(Receipt, Box<RawValue>), UnreadableReceipt> {
    let json = inflate(object, false, cap_bytes).map_err(UnreadableReceipt::Inflate)?;
    let raw: Box<RawValue> = serde_json::from_slice(&json).map_err(UnreadableReceipt::Receipt)?;
    let head: ReceiptHead = serde_json::from_str(raw.get()).map_err(UnreadableReceipt::Receipt)?;
    check_format(head.format)?;
    let receipt = serde_json::from_str(raw.get()).map_err(UnreadableReceipt::Receipt)?;
    Ok((receipt, raw))
}

fn check_format(format: u64) -> Result<(), UnreadableReceipt> {
    if format > u64::from(RECEIPT_FORMAT) {
        return Err(UnreadableReceipt::NewerFormat { format });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
