//! Messages to a queue of SQS or a stream of Kinesis.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use aws_smithy_http_client::Builder as HttpClient;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

use crate::args::{Args, Target};
use crate::messages::{Message, requests};

/// The most messages, and bytes in all, that SQS takes in one request. A queue may allow fewer bytes.
const MAX_QUEUE_MESSAGES: usize = 10;
const MAX_QUEUE_BYTES: usize = 1 << 20;

/// The same of Kinesis, with the keys; and of one record.
const MAX_STREAM_RECORDS: usize = 500;
const MAX_STREAM_BYTES: usize = 5 << 20;

/// The waits before what was refused is sent again are a random share of these, from the first to the last.
const FIRST_WAIT_MS: u64 = 50;
const LAST_WAIT_MS: u64 = 5_000;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Where messages go.
#[derive(Debug, Clone)]
pub(crate) enum Carrier {
    Queue {
        client: aws_sdk_sqs::Client,
        url: String,
        most_bytes: usize,
    },
    Stream {
        client: aws_sdk_kinesis::Client,
        name: String,
    },
}

/// What became of messages.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// The positions and names of those that were taken: message ids, or `shard/sequence number`.
    pub(crate) taken: Vec<(usize, String)>,
    /// The positions of those that were not, in the end.
    pub(crate) refused: Vec<usize>,
    /// How many were sent again, each time that they were.
    pub(crate) n_resent: u64,
    /// Why the last one was refused.
    pub(crate) reason: Option<String>,
}

impl Carrier {
    /// Makes the client, and asks a queue how large messages may be.
    ///
    /// # Errors
    ///
    /// When the queue does not answer.
    pub(crate) async fn open(args: &Args) -> Result<Option<Self>, Cause> {
        match &args.to {
            Target::Queue(url) => {
                let client = aws_sdk_sqs::Client::new(&sdk_config(args, host_of(url)).await);
                let asked = client.get_queue_attributes().queue_url(url);
                let asked = asked.attribute_names(QueueAttributeName::MaximumMessageSize);
                let answer = asked.send().await?;
                let attributes = answer.attributes();
                let most_bytes = attributes.and_then(|all| {
                    all.get(&QueueAttributeName::MaximumMessageSize)?
                        .parse()
                        .ok()
                });
                Ok(Some(Self::Queue {
                    client,
                    url: url.clone(),
                    most_bytes: most_bytes.unwrap_or(MAX_QUEUE_BYTES).min(MAX_QUEUE_BYTES),
                }))
            }
            Target::Stream(name) => Ok(Some(Self::Stream {
                client: aws_sdk_kinesis::Client::new(&sdk_config(args, None).await),
                name: name.clone(),
            })),
            Target::Stdout | Target::File(_) | Target::Http(_) => Ok(None),
        }
    }

    /// Whether messages have to be text.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::Queue { .. })
    }

    /// Sends messages in as few requests as possible, and what was refused again, so often at most.
    pub(crate) async fn send(&self, messages: &[Message], n_retries: u32) -> Sent {
        let mut sent = Sent::default();
        let mut pending: Vec<usize> = (0..messages.len()).collect();
        for round in 0..=n_retries {
            let mut refused = Vec::new();
            for request in self.requests(messages, &pending) {
                self.send_some(messages, &pending[request], &mut sent, &mut refused)
                    .await;
            }
            pending = refused;
            if pending.is_empty() {
                return sent;
            }
            if round < n_retries {
                sent.n_resent += pending.len() as u64;
                tokio::time::sleep(wait(round)).await;
            }
        }
        sent.refused = pending;
        sent
    }

    fn requests(&self, messages: &[Message], pending: &[usize]) -> Vec<std::ops::Range<usize>> {
        let message = |&position: &usize| &messages[position];
        match self {
            Self::Queue { most_bytes, .. } => {
                let lengths = pending.iter().map(|position| message(position).body.len());
                requests(lengths, MAX_QUEUE_MESSAGES, *most_bytes)
            }
            Self::Stream { .. } => {
                let length = |message: &Message| message.body.len() + message.key.len();
                let lengths = pending.iter().map(|position| length(message(position)));
                requests(lengths, MAX_STREAM_RECORDS, MAX_STREAM_BYTES)
            }
        }
    }

    /// Sends one request, and notes which of its messages were taken.
    async fn send_some(
        &self,
        messages: &[Message],
        positions: &[usize],
        sent: &mut Sent,
        refused: &mut Vec<usize>,
    ) {
        let answers = match self {
            Self::Queue { client, url, .. } => {
                send_to_queue(client, url, messages, positions).await
            }
            Self::Stream { client, name } => put_to_stream(client, name, messages, positions).await,
        };
        match answers {
            Ok(answers) => {
                for (&position, answer) in positions.iter().zip(answers) {
                    match answer {
                        Ok(name) => sent.taken.push((position, name)),
                        Err(reason) => {
                            refused.push(position);
                            sent.reason = Some(reason);
                        }
                    }
                }
            }
            Err(error) => {
                refused.extend(positions);
                sent.reason = Some(crate::load::causes(&*error));
            }
        }
    }
}

/// For each message its id, or why it was refused.
async fn send_to_queue(
    client: &aws_sdk_sqs::Client,
    url: &str,
    messages: &[Message],
    positions: &[usize],
) -> Result<Vec<Result<String, String>>, Cause> {
    let mut request = client.send_message_batch().queue_url(url);
    for &position in positions {
        let entry = SendMessageBatchRequestEntry::builder()
            .id(position.to_string())
            .message_body(String::from_utf8_lossy(&messages[position].body))
            .build()?;
        request = request.entries(entry);
    }
    let answer = request.send().await?;
    let answers = positions.iter().map(|position| {
        let id = position.to_string();
        let taken = answer.successful().iter().find(|entry| entry.id() == id);
        taken
            .map(|entry| entry.message_id().to_owned())
            .ok_or_else(|| {
                let failed = answer.failed().iter().find(|entry| entry.id() == id);
                failed.map_or("no answer".to_owned(), |entry| {
                    format!("{}: {}", entry.code(), entry.message().unwrap_or_default())
                })
            })
    });
    Ok(answers.collect())
}

/// For each record its shard and sequence number, or why it was refused.
async fn put_to_stream(
    client: &aws_sdk_kinesis::Client,
    name: &str,
    messages: &[Message],
    positions: &[usize],
) -> Result<Vec<Result<String, String>>, Cause> {
    let mut request = client.put_records().stream_name(name);
    for &position in positions {
        let message = &messages[position];
        let entry = PutRecordsRequestEntry::builder()
            .data(Blob::new(message.body.clone()))
            .partition_key(&message.key)
            .build()?;
        request = request.records(entry);
    }
    let answer = request.send().await?;
    let mut entries = answer.records().iter();
    let answers = positions.iter().map(|_| {
        let entry = entries.next().ok_or("no answer")?;
        match (entry.shard_id(), entry.sequence_number()) {
            (Some(shard), Some(sequence)) => Ok(format!("{shard}/{sequence}")),
            _ => Err(format!(
                "{}: {}",
                entry.error_code().unwrap_or_default(),
                entry.error_message().unwrap_or_default()
            )),
        }
    });
    Ok(answers.collect())
}

/// What the environment says of AWS: credentials, region, and where it is asked if not at this host.
pub(crate) async fn sdk_config(args: &Args, host: Option<String>) -> SdkConfig {
    let http = HttpClient::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
    if let Some(endpoint) = args.endpoint.clone().or(host) {
        loader = loader.endpoint_url(endpoint);
    }
    loader.load().await
}

/// Where a queue that is not one of AWS is asked: at its own host.
fn host_of(queue_url: &str) -> Option<String> {
    let (scheme, rest) = queue_url.split_once("://")?;
    let host = rest.split('/').next()?;
    (!host.contains(".amazonaws.com")).then(|| format!("{scheme}://{host}"))
}

/// A random share of a wait that grows from round to round.
fn wait(round: u32) -> Duration {
    let most_ms = (FIRST_WAIT_MS << round.min(10)).min(LAST_WAIT_MS);
    // Not seeded: it decides no byte of any event.
    let random = RandomState::new().hash_one(round);
    Duration::from_millis(random % (most_ms + 1))
}
