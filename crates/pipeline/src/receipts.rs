//! Receipts on their way from the writers to the committer: as messages of a queue, the large ones as objects.

mod send;
mod sqs;
mod wire;

pub(crate) use self::{
    send::stage,
    wire::{Carried, hash_of, open_message, read_object},
};
pub use self::{
    send::{ReceiptSink, SendError},
    sqs::SqsQueue,
    wire::{MAX_MESSAGE_BYTES, UnreadableReceipt},
};

use lake::S3Options;

use crate::{PipelineError, Settings, open_lake::s3_options};

/// Asks the queue of receipts that the settings name, to see whether it is there and answers.
///
/// # Errors
///
/// When it does not.
pub async fn check_queue(settings: &Settings) -> Result<(), PipelineError> {
    let queue = open_queue(settings).await?;
    queue
        .check()
        .await
        .map_err(|source| PipelineError::OpenQueue {
            queue: settings.receipt_queue_url.clone().unwrap_or_default(),
            source,
        })
}

/// The queue of receipts that the settings name.
pub(crate) async fn open_queue(settings: &Settings) -> Result<SqsQueue, PipelineError> {
    let queue = settings.receipt_queue_url.clone().unwrap_or_default();
    let options = S3Options {
        endpoint: settings.sqs_endpoint.clone(),
        region: region_of(&queue),
        ..s3_options(settings)
    };
    let opened = SqsQueue::open(&*queue, &options).await;
    opened.map_err(|source| PipelineError::OpenQueue { queue, source })
}

/// `https://sqs.eu-west-1.amazonaws.com/…` → `eu-west-1`. Queues elsewhere do not say.
fn region_of(queue_url: &str) -> Option<String> {
    let (_, host) = queue_url.split_once("://sqs.")?;
    let (region, _) = host.split_once(".amazonaws.com")?;
    Some(region.to_owned())
}

/// Where large receipts are, without a `/` behind. `root` is the location of the warehouse.
pub(crate) fn receipts_root(settings: &Settings, root: &str) -> String {
    let prefix = &settings.receipt_bucket_prefix;
    if prefix.contains("://") {
        prefix.clone()
    } else {
        format!("{root}/{prefix}")
    }
}
