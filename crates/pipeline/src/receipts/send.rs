//! Sending receipts: durable before anything is acknowledged.

use std::fmt::Debug;

use async_trait::async_trait;
use lake::{Lake, Receipt, StorageError};

use super::wire::WireReceipt;
use crate::PipelineError;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Where receipts are sent.
#[async_trait]
pub trait ReceiptSink: Debug + Send + Sync {
    /// Sends these messages, each of [`super::MAX_MESSAGE_BYTES`] at most; all of them are durable when this returns.
    /// `seed` spreads the waits before what failed is sent again.
    ///
    /// # Errors
    ///
    /// When some are not known to be durable. They may be sent again: a receipt that arrives twice is committed once.
    async fn send(&self, messages: &[String], seed: u64) -> Result<(), SendError>;
}

/// Messages that were not acknowledged.
#[derive(Debug, thiserror::Error)]
#[error("{} of {n_messages} receipts were not acknowledged by the queue `{queue}`", unsent.len())]
pub struct SendError {
    /// The queue.
    pub queue: String,
    /// How many messages there were.
    pub n_messages: usize,
    /// Which of them are not known to have arrived, by position.
    pub unsent: Vec<usize>,
    /// Whether the same may succeed later without anybody's help.
    pub retryable: bool,
    /// The cause.
    pub source: Cause,
}

/// Sends the receipt, or puts it into the storage and sends where it is. Returns its size as sent or stored, in bytes.
pub(crate) async fn stage(
    lake: &Lake,
    sink: &dyn ReceiptSink,
    receipt: &Receipt,
    receipts_root: &str,
    seed: u64,
) -> Result<u64, PipelineError> {
    let (table, n_files) = (receipt.table.to_string(), receipt.data_files.len());
    let failed = |retryable, source| PipelineError::SendReceipt {
        table: table.clone(),
        n_files,
        retryable,
        source,
    };
    let wire = WireReceipt::new(receipt).map_err(|source| failed(false, source.into()))?;
    let message = if let Some(message) = wire.message() {
        message
    } else {
        let location = wire.location(receipts_root);
        // That it is there already is a success: it holds these very bytes.
        let put = lake.storage().put_new(&location, wire.object().clone());
        put.await
            .map_err(|source: StorageError| failed(source.retryable(), source.into()))?;
        wire.pointer(&location)
    };
    let sent = sink.send(&[message], seed).await;
    sent.map_err(|source| failed(source.retryable, source.into()))?;
    Ok(wire.object().len() as u64)
}
