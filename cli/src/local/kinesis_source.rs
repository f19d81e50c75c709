//! A stream that a function is invoked for, as Lambda's event source mapping does it with one invocation per shard.
//!
//! Each shard is read in order. After a partial batch response its records are delivered again from the lowest sequence
//! number that was named; a batch that failed as a whole, from its first. After as many retries without progress as are
//! allowed the rest of the batch is given up, which is told, and the shard goes on behind it. Where a shard was is
//! remembered only as long as this runs.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::{Shard, ShardIteratorType};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::answer::failed_positions;
use super::error::LocalError;
use super::event::{self, ENVELOPE_BYTES, EventRecord, Origin};
use super::function::{Function, MAX_PAYLOAD_BYTES};
use super::report::Counter;
use super::{BatchOptions, MAX_ASK_ERRORS, PAUSE, stopped};
use crate::printer::Printer;

/// How often a shard is asked for records when it had none; Kinesis allows five times a second.
const POLL: Duration = Duration::from_millis(250);

/// The waits between retries grow from the first to the last.
const FIRST_RETRY_WAIT: Duration = Duration::from_millis(100);
const LAST_RETRY_WAIT: Duration = Duration::from_secs(10);

/// A stream and the function behind it.
#[derive(Debug, Clone)]
pub(super) struct KinesisSource {
    client: Client,
    stream: String,
    origin: Origin,
    function: Arc<Function>,
    batches: BatchOptions,
    max_retries: Option<u32>,
    start: ShardIteratorType,
    pub(super) counter: Counter,
    printer: Printer,
}

/// A shard was read to its end, or was left for being told to stop.
enum Left {
    Closed(String),
    Stopped,
}

impl KinesisSource {
    /// Asks the stream what it is.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub(super) async fn open(
        client: Client,
        stream: &str,
        function: Arc<Function>,
        batches: BatchOptions,
        max_retries: Option<u32>,
        start: ShardIteratorType,
        printer: Printer,
    ) -> Result<Self, LocalError> {
        let asked = client.describe_stream_summary().stream_name(stream).send();
        let asked = asked
            .await
            .map_err(|error| LocalError::ask("use the stream", stream, error))?;
        let summary = asked.stream_description_summary();
        let arn = summary.map(|summary| summary.stream_arn().to_owned());
        let arn = arn.unwrap_or_default();
        let region = arn.split(':').nth(3).unwrap_or_default().to_owned();
        Ok(Self {
            client,
            stream: stream.to_owned(),
            origin: Origin { arn, region },
            counter: Counter::new(function.name(), stream),
            function,
            batches,
            max_retries,
            start,
            printer,
        })
    }

    /// Reads all shards until told to stop; those that a shard was split or merged into once it is read to its end.
    ///
    /// # Errors
    ///
    /// When the stream does not answer any more.
    pub(super) async fn run(self, stop: watch::Receiver<bool>) -> Result<(), LocalError> {
        let mut readers = JoinSet::new();
        let (mut begun, mut closed) = (BTreeSet::new(), BTreeSet::new());
        let mut start = self.start.clone();
        loop {
            let shards = self.shards().await?;
            for shard in due(&shards, &begun, &closed, &start) {
                begun.insert(shard.clone());
                let reader = self.clone();
                readers.spawn(reader.read_shard(shard, start.clone(), stop.clone()));
            }
            // What comes later has never been read.
            start = ShardIteratorType::TrimHorizon;
            match readers.join_next().await {
                None => return Ok(()),
                Some(Ok(left)) => match left? {
                    Left::Closed(shard) => drop(closed.insert(shard)),
                    Left::Stopped => {}
                },
                Some(Err(error)) => {
                    return Err(LocalError::ask("read a shard of", &self.stream, error));
                }
            }
        }
    }

    async fn shards(&self) -> Result<Vec<Shard>, LocalError> {
        let mut shards = Vec::new();
        let mut request = self.client.list_shards().stream_name(&self.stream);
        loop {
            let answer = request.send().await;
            let answer = answer
                .map_err(|error| LocalError::ask("list the shards of", &self.stream, error))?;
            shards.extend(answer.shards.unwrap_or_default());
            let Some(token) = answer.next_token else {
                return Ok(shards);
            };
            request = self.client.list_shards().next_token(token);
        }
    }

    async fn read_shard(
        self,
        shard: String,
        start: ShardIteratorType,
        mut stop: watch::Receiver<bool>,
    ) -> Result<Left, LocalError> {
        let mut place = Place {
            start,
            last_read: None,
            iterator: None,
            is_closed: false,
        };
        let mut held = VecDeque::new();
        loop {
            tokio::select! {
                gathered = self.gather(&shard, &mut place, &mut held) => gathered?,
                () = stopped(&mut stop) => return Ok(Left::Stopped),
            }
            let lengths = held.iter().map(|record: &EventRecord| record.json.len());
            let limit = MAX_PAYLOAD_BYTES - ENVELOPE_BYTES;
            let n_records = super::n_fitting(lengths, self.batches.size, limit);
            let batch: Vec<EventRecord> = held.drain(..n_records).collect();
            if batch.is_empty() && place.is_closed {
                return Ok(Left::Closed(shard));
            }
            if !self.deliver(&shard, &batch, &mut stop).await {
                return Ok(Left::Stopped);
            }
        }
    }

    /// Reads records until a batch is full or its window is over, which begins with its first record.
    async fn gather(
        &self,
        shard: &str,
        place: &mut Place,
        held: &mut VecDeque<EventRecord>,
    ) -> Result<(), LocalError> {
        let mut window_end = (!held.is_empty()).then(|| Instant::now() + self.batches.window);
        let mut n_errors = 0;
        let is_full = |held: &VecDeque<EventRecord>| {
            let n_bytes: usize = held.iter().map(|record| record.json.len()).sum();
            held.len() >= self.batches.size || n_bytes >= MAX_PAYLOAD_BYTES
        };
        while !is_full(held)
            && !place.is_closed
            && window_end.is_none_or(|end| Instant::now() < end)
        {
            let n_wanted = self.batches.size - held.len();
            match self.read(shard, place, n_wanted).await {
                Ok(records) => {
                    n_errors = 0;
                    let had_none = records.is_empty();
                    held.extend(records);
                    if window_end.is_none() && !held.is_empty() {
                        window_end = Some(Instant::now() + self.batches.window);
                    }
                    if had_none && !place.is_closed {
                        tokio::time::sleep(POLL).await;
                    }
                }
                Err(error) => {
                    n_errors += 1;
                    if n_errors == MAX_ASK_ERRORS {
                        return Err(error);
                    }
                    // An iterator lives for five minutes only; the next one begins where this one was.
                    place.iterator = None;
                    self.printer.note(pipeline::telemetry::error_chain(&error));
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        Ok(())
    }

    /// The next records of the shard, if there are some.
    async fn read(
        &self,
        shard: &str,
        place: &mut Place,
        n_wanted: usize,
    ) -> Result<Vec<EventRecord>, LocalError> {
        let iterator = match place.iterator.take() {
            Some(iterator) => iterator,
            None => self.iterator(shard, place).await?,
        };
        let answer = self
            .client
            .get_records()
            .shard_iterator(iterator)
            .limit(i32::try_from(n_wanted.clamp(1, 10_000)).unwrap_or(1))
            .send()
            .await
            .map_err(|error| LocalError::ask("read records of", &self.stream, error))?;
        place.is_closed = answer.next_shard_iterator.is_none();
        place.iterator = answer.next_shard_iterator;
        if let Some(last) = answer.records.last() {
            place.last_read = Some(last.sequence_number.clone());
        }
        let records = answer.records.iter();
        let records = records.map(|record| event::of_record(record, shard, &self.origin));
        Ok(records.collect())
    }

    async fn iterator(&self, shard: &str, place: &Place) -> Result<String, LocalError> {
        let request = self
            .client
            .get_shard_iterator()
            .stream_name(&self.stream)
            .shard_id(shard);
        let request = match &place.last_read {
            Some(sequence) => request
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .starting_sequence_number(sequence),
            None => request.shard_iterator_type(place.start.clone()),
        };
        let answer = request.send().await;
        let answer =
            answer.map_err(|error| LocalError::ask("find a place in", &self.stream, error))?;
        Ok(answer.shard_iterator.unwrap_or_default())
    }

    /// Has a batch worked on until nothing of it is left; false when told to stop before that.
    async fn deliver(
        &self,
        shard: &str,
        batch: &[EventRecord],
        stop: &mut watch::Receiver<bool>,
    ) -> bool {
        let mut rest = batch;
        let mut n_retries = 0;
        while !rest.is_empty() {
            if *stop.borrow() {
                return false;
            }
            let (n_done, problem) = self.invoke(rest).await;
            rest = &rest[n_done..];
            let Some(problem) = problem else { break };
            let name = self.function.name();
            let from = rest.first().map_or("", |record| &record.id);
            let n_left = rest.len();
            if n_done > 0 {
                n_retries = 0;
            }
            if self.max_retries.is_some_and(|most| n_retries >= most) {
                let last = rest.last().map_or("", |record| &record.id);
                self.counter
                    .add(|counts| counts.n_given_up += n_left as u64);
                self.printer.note(format_args!(
                    "{name}: {n_left} records of {shard} are given up, {from} to {last}: {problem}"
                ));
                return true;
            }
            self.printer.note(format_args!(
                "{name}: {n_left} records of {shard} come again from {from} on: {problem}"
            ));
            let wait = FIRST_RETRY_WAIT * 2_u32.pow(n_retries.min(10));
            n_retries += 1;
            tokio::select! {
                () = tokio::time::sleep(wait.min(LAST_RETRY_WAIT)) => {}
                () = stopped(stop) => return false,
            }
        }
        true
    }

    /// How many of the records, from the first on, are done, and why the next one is not.
    async fn invoke(&self, records: &[EventRecord]) -> (usize, Option<String>) {
        let ids: Vec<String> = records.iter().map(|record| record.id.clone()).collect();
        let answer = match self.function.turn().await {
            Some(turn) => self.function.invoke(event::event(records), turn).await,
            None => return (0, Some("there are no more turns".to_owned())),
        };
        let failed = match answer {
            Ok(answer) => failed_positions(&answer, &ids).map_err(|error| error.to_string()),
            Err(error) => Err(pipeline::telemetry::error_chain(&error)),
        };
        let n_done = match &failed {
            Ok(failed) => failed.first().copied().unwrap_or(records.len()),
            Err(_) => 0,
        };
        self.counter.add(|counts| {
            counts.n_batches += 1;
            counts.n_records += records.len() as u64;
            counts.n_done += n_done as u64;
            match &failed {
                Ok(failed) => counts.n_named_failed += failed.len() as u64,
                Err(_) => counts.n_failed_batches += 1,
            }
        });
        match failed {
            Ok(failed) if failed.is_empty() => (n_done, None),
            Ok(_) => (n_done, Some("the function named it".to_owned())),
            Err(reason) => (n_done, Some(reason)),
        }
    }
}

/// Where a shard is read.
struct Place {
    /// Where to begin.
    start: ShardIteratorType,
    /// The sequence number of the last record that was read.
    last_read: Option<String>,
    /// Where to read next, as Kinesis names it.
    iterator: Option<String>,
    /// Whether there will be no more.
    is_closed: bool,
}

/// The shards to begin with: not begun, and all that they came from read to its end. From the latest record on, only those
/// that still take records.
fn due(
    shards: &[Shard],
    begun: &BTreeSet<String>,
    closed: &BTreeSet<String>,
    start: &ShardIteratorType,
) -> Vec<String> {
    let is_listed = |id: &str| shards.iter().any(|shard| shard.shard_id() == id);
    let is_read = |parent: Option<&str>| {
        parent.is_none_or(|parent| closed.contains(parent) || !is_listed(parent))
    };
    let is_due = |shard: &&Shard| {
        if begun.contains(shard.shard_id()) {
            return false;
        }
        if *start == ShardIteratorType::Latest {
            let range = shard.sequence_number_range();
            return range.is_none_or(|range| range.ending_sequence_number().is_none());
        }
        is_read(shard.parent_shard_id()) && is_read(shard.adjacent_parent_shard_id())
    };
    let due = shards.iter().filter(is_due);
    due.map(|shard| shard.shard_id().to_owned()).collect()
}
