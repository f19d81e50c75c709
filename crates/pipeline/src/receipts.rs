//! Receipts on their way from the writers to the committer: as messages of a queue, the large ones as objects.

mod send;
mod sqs;
mod wire;

pub(crate) use self::{
    send::stage,
    wire::{
        Carried, FetchError, fetch_object, hash_of, open_message, read_object, table_of_message,
    },
};
pub use self::{
    send::{ReceiptSink, SendError},
    sqs::SqsQueue,
    wire::{MAX_MESSAGE_BYTES, UnreadableReceipt},
};

use lake::S3Options;

use crate::{PipelineError, Settings, open_lake::s3_options, settings::place_in};

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
    let opened = SqsQueue::open(&*queue, &queue_options(settings, &queue)).await;
    opened.map_err(|source| PipelineError::OpenQueue { queue, source })
}

/// What a client of AWS is made from that talks to this queue, or to a service beside it.
///
/// # Errors
///
/// When the endpoint of the settings is no URL, or nothing names a region.
pub async fn queue_config(
    settings: &Settings,
    queue_url: &str,
) -> Result<aws_config::SdkConfig, PipelineError> {
    let config = queue_options(settings, queue_url).sdk_config().await;
    config.map_err(|source| PipelineError::OpenQueue {
        queue: queue_url.to_owned(),
        source,
    })
}

fn queue_options(settings: &Settings, queue_url: &str) -> S3Options {
    S3Options {
        endpoint: settings.sqs_endpoint.clone(),
        region: region_of(queue_url),
        ..s3_options(settings)
    }
}

/// `https://sqs.eu-west-1.amazonaws.com/…` → `eu-west-1`. Queues elsewhere do not say.
fn region_of(queue_url: &str) -> Option<String> {
    let (_, host) = queue_url.split_once("://sqs.")?;
    let (region, _) = host.split_once(".amazonaws.com")?;
    Some(region.to_owned())
}

/// Where large receipts are, without a `/` behind. `root` is the location of the warehouse.
pub(crate) fn receipts_root(settings: &Settings, root: &str) -> String {
    place_in(root, &settings.receipt_bucket_prefix)
}
