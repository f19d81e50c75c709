//! Receipts into a standard SQS queue.

use std::ops::Range;

use async_trait::async_trait;
use aws_sdk_sqs::{
    Client,
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    types::{BatchResultErrorEntry, QueueAttributeName, SendMessageBatchRequestEntry},
};
use lake::{Backoff, S3Options, StorageError};

use super::{MAX_MESSAGE_BYTES, ReceiptSink, SendError};

/// How many messages one request may hold.
const MAX_BATCH_MESSAGES: usize = 10;

/// How often what the queue did not take is sent again. The SDK repeats whole requests besides.
const MAX_ROUNDS: u32 = 5;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A standard SQS queue. Clones share the connections.
#[derive(Debug, Clone)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

impl SqsQueue {
    /// Makes the client. `options` say where SQS is, who asks and how patiently, as for S3. Nothing is asked yet.
    ///
    /// # Errors
    ///
    /// [`StorageError::Open`] when the endpoint is no URL, or nothing names a region.
    pub async fn open(url: impl Into<String>, options: &S3Options) -> Result<Self, StorageError> {
        Ok(Self {
            client: Client::new(&options.sdk_config().await?),
            url: url.into(),
        })
    }

    /// Asks the queue for its name, to see whether it is there and answers.
    ///
    /// # Errors
    ///
    /// [`StorageError::Open`] when it does not.
    pub async fn check(&self) -> Result<(), StorageError> {
        let asked = self.client.get_queue_attributes().queue_url(&self.url);
        let answer = asked.attribute_names(QueueAttributeName::QueueArn).send();
        let answer = answer.await.map_err(|source| StorageError::Open {
            store: self.url.clone(),
            source: source.into(),
        });
        answer.map(|_| ())
    }

    /// Sends one batch, and moves what the queue did not take to `unsent`.
    async fn send_batch(
        &self,
        messages: &[String],
        batch: &[usize],
        unsent: &mut Vec<usize>,
    ) -> Result<(), Refusal> {
        let mut request = self.client.send_message_batch().queue_url(&self.url);
        for &position in batch {
            let entry = SendMessageBatchRequestEntry::builder()
                .id(position.to_string())
                .message_body(&messages[position])
                .build();
            request = request.entries(entry.map_err(|error| Refusal::new(false, error))?);
        }
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                unsent.extend(batch);
                return Err(Refusal::new(may_pass(&error), error));
            }
        };
        // What is not named as taken was not taken.
        let is_taken = |position: &&usize| {
            let id = position.to_string();
            answer.successful().iter().any(|entry| entry.id() == id)
        };
        unsent.extend(batch.iter().filter(|position| !is_taken(position)));
        match answer.failed().first() {
            None => Ok(()),
            Some(entry) => Err(Refusal {
                is_passing: !answer
                    .failed()
                    .iter()
                    .any(BatchResultErrorEntry::sender_fault),
                is_partial: true,
                cause: format!(
                    "{}: {}",
                    entry.code(),
                    entry.message().unwrap_or("no reason")
                )
                .into(),
            }),
        }
    }
}

/// Why messages were not taken.
struct Refusal {
    /// Whether the same may succeed later.
    is_passing: bool,
    /// Whether the queue answered for each message: then trying again at once is worth it.
    is_partial: bool,
    cause: Cause,
}

impl Refusal {
    fn new(is_passing: bool, cause: impl Into<Cause>) -> Self {
        Self {
            is_passing,
            is_partial: false,
            cause: cause.into(),
        }
    }

    fn may_go_on(&self) -> bool {
        self.is_passing && self.is_partial
    }
}

#[async_trait]
impl ReceiptSink for SqsQueue {
    async fn send(&self, messages: &[String], seed: u64) -> Result<(), SendError> {
        let mut backoff = Backoff::new(seed);
        let mut pending: Vec<usize> = (0..messages.len()).collect();
        let mut n_rounds = 0;
        loop {
            n_rounds += 1;
            let mut unsent = Vec::new();
            let mut refusal: Option<Refusal> = None;
            for batch in batches(messages, &pending) {
                let sent = self
                    .send_batch(messages, &pending[batch], &mut unsent)
                    .await;
                // The refusal that makes it useless to go on is the one to tell.
                if let Err(other) = sent
                    && refusal.as_ref().is_none_or(Refusal::may_go_on)
                {
                    refusal = Some(other);
                }
            }
            let Some(refusal) = refusal.or_else(|| {
                (!unsent.is_empty()).then(|| Refusal {
                    is_partial: true,
                    ..Refusal::new(true, "the queue did not answer for every message")
                })
            }) else {
                return Ok(());
            };
            if !refusal.may_go_on() || n_rounds == MAX_ROUNDS {
                return Err(SendError {
                    queue: self.url.clone(),
                    n_messages: messages.len(),
                    unsent,
                    retryable: refusal.is_passing,
                    source: refusal.cause,
                });
            }
            backoff.wait(None).await;
            pending = unsent;
        }
    }
}

/// Whether the error may pass by itself.
fn may_pass<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    match error {
        SdkError::ConstructionFailure(_) => false,
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or_default();
            service.raw().status().as_u16() >= 500
                || code.contains("Throttl")
                || matches!(code, "RequestExpired" | "ExpiredToken" | "KmsThrottled")
        }
        _ => true,
    }
}

/// Cuts messages into as few requests as may be sent, each of so many messages and bytes at most.
fn batches(messages: &[String], pending: &[usize]) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut batch_bytes = 0;
    for (place, &position) in pending.iter().enumerate() {
        let message_bytes = messages[position].len();
        batch_bytes += message_bytes;
        match batches.last_mut() {
            Some(batch) if batch.len() < MAX_BATCH_MESSAGES && batch_bytes <= MAX_MESSAGE_BYTES => {
                batch.end = place + 1;
            }
            _ => {
                batch_bytes = message_bytes;
                batches.push(place..place + 1);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sizes: &[usize], expected: &[(usize, usize)]) {
        let messages: Vec<String> = sizes.iter().map(|&size| "x".repeat(size)).collect();
        let pending: Vec<usize> = (0..sizes.len()).collect();
        let found = batches(&messages, &pending).into_iter();
        let found: Vec<_> = found.map(|batch| (batch.start, batch.end)).collect();
        assert_eq!(found, expected, "{sizes:?}");
    }

    #[test]
    fn a_request_holds_ten_messages_and_256_kib_at_most() {
        const KIB: usize = 1 << 10;
        check(&[], &[]);
        check(&[1; 10], &[(0, 10)]);
        check(&[1; 11], &[(0, 10), (10, 11)]);
        check(&[256 * KIB, 1, 256 * KIB], &[(0, 1), (1, 2), (2, 3)]);
        check(&[128 * KIB, 128 * KIB, 1, 1], &[(0, 2), (2, 4)]);
    }
}
