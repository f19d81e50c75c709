//! A standard queue that a function is invoked for, as Lambda's event source mapping does it.
//!
//! Messages are deleted when the function did not name them as failed. All others come again by themselves once their
//! visibility timeout is over, and go to the dead-letter queue by the queue's own redrive policy.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, MessageSystemAttributeName, QueueAttributeName,
};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::answer::failed_positions;
use super::error::LocalError;
use super::event::{self, ENVELOPE_BYTES, EventRecord, Origin};
use super::function::{Function, MAX_PAYLOAD_BYTES, Turn};
use super::report::Counter;
use super::{BatchOptions, MAX_ASK_ERRORS, PAUSE, stopped};
use crate::printer::Printer;

/// How many messages one request receives or deletes at most.
const MAX_REQUEST_MESSAGES: usize = 10;

/// How long a request waits for a message, in seconds; SQS allows no more.
const LONG_POLL_S: i32 = 20;

/// How often is looked for more messages in the last second of a window.
const SHORT_POLL: Duration = Duration::from_millis(100);

/// A queue and the function behind it.
#[derive(Debug, Clone)]
pub(super) struct SqsSource {
    client: Client,
    url: String,
    origin: Origin,
    function: Arc<Function>,
    batches: BatchOptions,
    pub(super) counter: Counter,
    printer: Printer,
}

/// A message that the function is to be given.
#[derive(Debug)]
struct Received {
    record: EventRecord,
    receipt_handle: String,
}

impl SqsSource {
    /// Asks the queue what it is.
    ///
    /// # Errors
    ///
    /// When it does not answer, or AWS would not take it as a source of this function.
    pub(super) async fn open(
        client: Client,
        url: &str,
        function: Arc<Function>,
        batches: BatchOptions,
        printer: Printer,
    ) -> Result<Self, LocalError> {
        if url.rsplit_once('.').is_some_and(|(_, kind)| kind == "fifo") {
            return Err(LocalError::Fifo {
                queue: url.to_owned(),
            });
        }
        if batches.size > MAX_REQUEST_MESSAGES && batches.window.is_zero() {
            return Err(LocalError::NoWindow {
                batch_size: batches.size,
            });
        }
        let asked = client
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(QueueAttributeName::QueueArn)
            .attribute_names(QueueAttributeName::VisibilityTimeout)
            .send()
            .await
            .map_err(|error| LocalError::ask("use the queue", url, error))?;
        let attribute = |name| asked.attributes().and_then(|all| all.get(&name));
        let arn = attribute(QueueAttributeName::QueueArn).cloned();
        let arn = arn.unwrap_or_default();
        let visibility_s = attribute(QueueAttributeName::VisibilityTimeout);
        let visibility_s = visibility_s
            .and_then(|text| text.parse().ok())
            .unwrap_or(u64::MAX);
        let timeout_s = function.timeout().as_secs();
        if visibility_s < timeout_s {
            return Err(LocalError::Visibility {
                queue: url.to_owned(),
                function: function.name(),
                visibility_s,
                timeout_s,
            });
        }
        let region = arn.split(':').nth(3).unwrap_or_default().to_owned();
        Ok(Self {
            client,
            url: url.to_owned(),
            origin: Origin { arn, region },
            counter: Counter::new(function.name(), url),
            function,
            batches,
            printer,
        })
    }

    /// Hands batches to the function until told to stop; then those under way are finished.
    ///
    /// # Errors
    ///
    /// When the queue does not answer any more.
    pub(super) async fn run(self, mut stop: watch::Receiver<bool>) -> Result<(), LocalError> {
        let mut running = JoinSet::new();
        let mut held = VecDeque::new();
        let mut ended = Ok(());
        while ended.is_ok() && !(*stop.borrow() && held.is_empty()) {
            // Messages are not received before somebody can work on them: they are hidden only for so long.
            let turn = tokio::select! {
                turn = self.function.turn() => turn,
                () = stopped(&mut stop), if held.is_empty() => None,
            };
            let Some(turn) = turn else { break };
            ended = self.gather(&mut held, &mut stop).await;
            let batch = cut(&mut held, self.batches.size);
            if !batch.is_empty() {
                running.spawn(self.clone().deliver(batch, turn));
            }
            while running.try_join_next().is_some() {}
        }
        running.join_all().await;
        ended
    }

    /// Receives messages until a batch is full or its window is over, which begins with its first message.
    async fn gather(
        &self,
        held: &mut VecDeque<Received>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), LocalError> {
        let mut window_end = (!held.is_empty()).then(|| Instant::now() + self.batches.window);
        let mut n_errors = 0;
        while !is_full(held, self.batches.size) && !*stop.borrow() {
            let left = window_end.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                break;
            }
            let n_wanted = self.batches.size.saturating_sub(held.len());
            let received = tokio::select! {
                received = self.receive(n_wanted, left) => received,
                () = stopped(stop) => break,
            };
            match received {
                Ok(received) => {
                    n_errors = 0;
                    let pause = received.is_empty() && left.is_some_and(|left| left.as_secs() == 0);
                    held.extend(received);
                    if window_end.is_none() && !held.is_empty() {
                        window_end = Some(Instant::now() + self.batches.window);
                    }
                    if pause {
                        tokio::time::sleep(SHORT_POLL.min(left.unwrap_or_default())).await;
                    }
                }
                Err(error) => {
                    n_errors += 1;
                    if n_errors == MAX_ASK_ERRORS {
                        return Err(error);
                    }
                    self.printer.note(pipeline::telemetry::error_chain(&error));
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        Ok(())
    }

    /// Waits for some messages, no longer than the window has left.
    async fn receive(
        &self,
        n_wanted: usize,
        left: Option<Duration>,
    ) -> Result<Vec<Received>, LocalError> {
        let wait_s = left.map_or(LONG_POLL_S, |left| {
            i32::try_from(left.as_secs()).map_or(LONG_POLL_S, |left_s| left_s.min(LONG_POLL_S))
        });
        let n_wanted = n_wanted.clamp(1, MAX_REQUEST_MESSAGES);
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::try_from(n_wanted).unwrap_or(1))
            .wait_time_seconds(wait_s)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .send()
            .await
            .map_err(|error| LocalError::ask("receive messages of", &self.url, error))?;
        let messages = answer.messages.unwrap_or_default().into_iter();
        let received = messages.map(|message| Received {
            record: event::of_message(&message, &self.origin),
            receipt_handle: message.receipt_handle.unwrap_or_default(),
        });
        Ok(received.collect())
    }

    /// Has one batch worked on, and deletes what is done.
    async fn deliver(self, batch: Vec<Received>, turn: Turn) {
        let n_records = batch.len();
        let (records, handles): (Vec<EventRecord>, Vec<String>) = batch
            .into_iter()
            .map(|received| (received.record, received.receipt_handle))
            .unzip();
        let payload = event::event(&records);
        let ids: Vec<String> = records.into_iter().map(|record| record.id).collect();
        let answer = self.function.invoke(payload, turn).await;
        let failed = match answer {
            Ok(answer) => failed_positions(&answer, &ids).map_err(|error| error.to_string()),
            Err(error) => Err(pipeline::telemetry::error_chain(&error)),
        };
        self.counter.add(|counts| {
            counts.n_batches += 1;
            counts.n_records += n_records as u64;
            match &failed {
                Ok(failed) => counts.n_named_failed += failed.len() as u64,
                Err(_) => counts.n_failed_batches += 1,
            }
        });
        let name = self.function.name();
        match failed {
            Ok(failed) => {
                let is_failed = |position: &usize| failed.binary_search(position).is_ok();
                let done = handles.iter().enumerate();
                let done = done.filter(|(position, _)| !is_failed(position));
                self.delete(done.map(|(_, handle)| handle.as_str()).collect())
                    .await;
            }
            Err(reason) => self.printer.note(format_args!(
                "{name}: {n_records} messages come again: {reason}"
            )),
        }
    }

    /// Deletes messages. What cannot be deleted is delivered again: so is every queue of this kind.
    async fn delete(&self, handles: Vec<&str>) {
        for some in handles.chunks(MAX_REQUEST_MESSAGES) {
            let entries = some.iter().enumerate().map(|(position, handle)| {
                DeleteMessageBatchRequestEntry::builder()
                    .id(position.to_string())
                    .receipt_handle(*handle)
                    .build()
            });
            // Both fields that it needs are there.
            let entries: Vec<_> = entries.filter_map(Result::ok).collect();
            let request = self.client.delete_message_batch().queue_url(&self.url);
            match request.set_entries(Some(entries)).send().await {
                Ok(answer) => {
                    let n_done = answer.successful().len() as u64;
                    self.counter.add(|counts| counts.n_done += n_done);
                    if let Some(failed) = answer.failed().first() {
                        let (n, code) = (answer.failed().len(), failed.code());
                        self.printer
                            .note(format_args!("{n} messages could not be deleted: {code}"));
                    }
                }
                Err(error) => {
                    let error = LocalError::ask("delete messages of", &self.url, error);
                    self.printer.note(pipeline::telemetry::error_chain(&error));
                }
            }
        }
    }
}

/// Whether there is enough for a batch: in number, or in bytes of the event.
fn is_full(held: &VecDeque<Received>, size: usize) -> bool {
    let n_bytes: usize = held.iter().map(|received| received.record.json.len()).sum();
    held.len() >= size || n_bytes >= MAX_PAYLOAD_BYTES
}

/// Takes the next batch: so many messages and bytes at most, one message at least.
fn cut(held: &mut VecDeque<Received>, size: usize) -> Vec<Received> {
    let lengths = held.iter().map(|received| received.record.json.len());
    let n_records = super::n_fitting(lengths, size, MAX_PAYLOAD_BYTES - ENVELOPE_BYTES);
    held.drain(..n_records).collect()
}
