//! What a trigger delivered: its records, and the identity by which a repeated delivery is recognised.

use bytes::Bytes;
use lake::{ReceiptSource, SequenceNumber, SourceRecords};

/// One message of a payload, as the trigger delivered it.
#[derive(Debug, Clone)]
pub struct Record {
    /// The trigger's name for it: what a partial batch response calls it.
    pub delivery_id: String,
    /// Goes to `_source_id`: message id, `stream/shard/sequence`, file name, request id.
    pub source_id: String,
    /// When it arrived, in microseconds since 1970-01-01T00:00:00Z.
    pub arrival_us: i64,
    /// Its body, not yet decoded.
    pub body: Bytes,
    /// Whether the envelope says that the body is base64.
    pub is_base64: bool,
}

impl Record {
    /// Its number in its shard, for a record of a shard.
    pub(crate) fn sequence(&self) -> Option<SequenceNumber> {
        self.delivery_id.parse().ok()
    }
}

/// All that one invocation received.
#[derive(Debug, Clone)]
pub struct Payload {
    /// Its records, in the trigger's order.
    pub records: Vec<Record>,
    /// What it is, and how a repeat of it is recognised.
    pub source: SourceBatch,
}

/// What a payload is, and how a repeat of it is recognised.
#[derive(Debug, Clone)]
pub struct SourceBatch {
    /// The kind of trigger in one word: `sqs`, `kinesis`, `http`, `direct`, `file`…
    pub kind: &'static str,
    /// What makes two deliveries the same.
    pub identity: Identity,
    /// Whether records must be taken in order: after the first to be delivered again, all others are too.
    pub is_ordered: bool,
    /// Whether the sender is told of refused events and still has them: then nothing is quarantined when no event
    /// of the payload became a row.
    pub is_answered: bool,
    /// How long after its arrival, as its records tell it, a payload may already have been delivered once, in
    /// seconds: 0 where a repeat tells the arrival of the first delivery, or there are no repeats.
    pub repeat_window_s: u32,
    /// How many bytes of the record came before the body, once inflated: 0, unless it is a piece of something larger.
    pub before_bytes: usize,
    /// Whether bodies are lines whatever they begin with: those of a piece that goes on with the lines of a file.
    pub is_lines: bool,
    /// The routes that its events are dealt by, when there are any: known under other routes is not known.
    pub routes: Option<String>,
}

/// Lambda repeats an asynchronous invocation for six hours; senders repeat a request for a day at most.
const REQUEST_REPEAT_WINDOW_S: u32 = 86_400;

/// What makes two deliveries the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// The records that were taken, in any order: SQS.
    Records,
    /// All records from the first to the last one that were taken, of this stream and shard: Kinesis. Their delivery ids
    /// are sequence numbers and rise.
    Range {
        /// The stream and its shard.
        shard: String,
    },
    /// This text: a request id, an idempotency key, a path with a hash of the content.
    Given(String),
}

impl SourceBatch {
    /// Messages of a queue: the same messages are the same batch, whatever their order.
    pub fn messages(kind: &'static str) -> Self {
        Self {
            kind,
            identity: Identity::Records,
            is_ordered: false,
            is_answered: false,
            repeat_window_s: 0,
            before_bytes: 0,
            is_lines: false,
            routes: None,
        }
    }

    /// Records of one shard of a stream, which must be taken in order.
    pub fn shard(kind: &'static str, shard: impl Into<String>) -> Self {
        let identity = Identity::Range {
            shard: shard.into(),
        };
        Self {
            kind,
            identity,
            is_ordered: true,
            is_answered: false,
            repeat_window_s: 0,
            before_bytes: 0,
            is_lines: false,
            routes: None,
        }
    }

    /// One request that nobody waits for.
    pub fn request(kind: &'static str, id: impl Into<String>) -> Self {
        let identity = Identity::Given(id.into());
        Self {
            kind,
            identity,
            is_ordered: false,
            is_answered: false,
            repeat_window_s: REQUEST_REPEAT_WINDOW_S,
            before_bytes: 0,
            is_lines: false,
            routes: None,
        }
    }

    /// One request whose sender reads the answer; `id` is its idempotency key, or the request id.
    pub fn answered(kind: &'static str, id: impl Into<String>) -> Self {
        Self {
            is_answered: true,
            ..Self::request(kind, id)
        }
    }

    /// A piece of a file: the same path, content and piece are the same batch. `content_sha256` in hex; `is_lines` when the
    /// piece goes on with lines.
    pub fn file(path: &str, content_sha256: &str, piece: u64, is_lines: bool) -> Self {
        let identity = format!("{path}\n{content_sha256}\n{piece}");
        Self {
            repeat_window_s: u32::MAX,
            is_lines,
            ..Self::request("file", identity)
        }
    }

    /// A piece of an object of a bucket, which is one batch: `identity` names the very version of the object.
    pub fn object(identity: &str, before_bytes: usize) -> Self {
        Self {
            repeat_window_s: 0, // The object was written before it was delivered.
            before_bytes,
            ..Self::request("s3", identity)
        }
    }

    /// The same, dealt by these routes.
    pub(crate) fn under(&mut self, routes: &str) {
        match &mut self.identity {
            Identity::Range { shard } => *shard = format!("{shard}#{routes}"),
            Identity::Records | Identity::Given(_) => self.routes = Some(routes.to_owned()),
        }
    }

    /// When this payload may have been delivered for the first time, in milliseconds since 1970.
    pub(crate) fn first_delivery_ms(&self, records: &[Record], now_us: i64) -> i64 {
        let earliest_us = records
            .iter()
            .map(|record| record.arrival_us)
            .min()
            .unwrap_or(now_us);
        let window_ms = i64::from(self.repeat_window_s) * 1_000;
        earliest_us
            .min(now_us)
            .div_euclid(1_000)
            .saturating_sub(window_ms)
    }

    /// Whether its records may come again in other company.
    pub(crate) fn is_cut_anew(&self) -> bool {
        matches!(self.identity, Identity::Range { .. })
    }

    /// What a receipt says of the records that were taken.
    pub(crate) fn told<'a>(
        &self,
        taken: impl Iterator<Item = &'a Record> + Clone,
    ) -> ReceiptSource {
        let mut ids = taken.clone().map(|record| record.source_id.clone());
        let records = match &self.identity {
            Identity::Given(_) => SourceRecords::One(ids.next().unwrap_or_default()),
            Identity::Records => SourceRecords::Ids(ids.collect()),
            Identity::Range { shard } => match ends(taken) {
                Some((first, last)) => SourceRecords::Range {
                    shard: shard.clone(),
                    first,
                    last,
                },
                None => SourceRecords::Ids(ids.collect()),
            },
        };
        ReceiptSource {
            kind: self.kind.to_owned(),
            records,
        }
    }

    /// The bytes that a token is made of, given the records that were taken. Never those that go back: they come
    /// again, and must not be taken for known then.
    pub(crate) fn identity_of<'a>(&self, taken: impl Iterator<Item = &'a Record>) -> Vec<u8> {
        let mut ids: Vec<&str> = taken.map(|record| record.delivery_id.as_str()).collect();
        let mut identity = match &self.identity {
            Identity::Given(id) => id.clone().into_bytes(),
            Identity::Records => {
                ids.sort_unstable();
                joined(&ids)
            }
            Identity::Range { shard } => {
                let ends = [ids.first(), ids.last()].into_iter().flatten().copied();
                joined(&[shard.as_str()].into_iter().chain(ends).collect::<Vec<_>>())
            }
        };
        if let Some(routes) = &self.routes {
            identity.extend(joined(&["routes", routes]));
        }
        identity
    }
}

/// The first and last number of records that have numbers.
fn ends<'a>(
    mut records: impl Iterator<Item = &'a Record>,
) -> Option<(SequenceNumber, SequenceNumber)> {
    let first = records.next()?.sequence()?;
    let last = match records.last() {
        Some(record) => record.sequence()?,
        None => first.clone(),
    };
    Some((first, last))
}

/// Texts with their lengths before them, so that no two lists give the same bytes.
fn joined(texts: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in texts {
        bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(ids: &[&str]) -> Vec<Record> {
        let record = |id: &&str| Record {
            delivery_id: (*id).to_owned(),
            source_id: (*id).to_owned(),
            arrival_us: 0,
            body: Bytes::new(),
            is_base64: false,
        };
        ids.iter().map(record).collect()
    }

    #[track_caller]
    fn check(source: &SourceBatch, left: &[&str], right: &[&str], same: bool) {
        let identity = |ids: &[&str]| source.identity_of(records(ids).iter());
        assert_eq!(
            identity(left) == identity(right),
            same,
            "{left:?} {right:?}"
        );
    }

    #[test]
    fn the_same_messages_are_the_same_batch_in_any_order() {
        let queue = SourceBatch::messages("sqs");
        check(&queue, &["a", "b"], &["b", "a"], true);
        check(&queue, &["a", "b"], &["a"], false);
        check(&queue, &["ab", "c"], &["a", "bc"], false);
    }

    #[test]
    fn a_shorter_range_of_a_shard_is_another_batch() {
        let shard = SourceBatch::shard("kinesis", "stream/shard-1");
        check(&shard, &["1", "2", "3"], &["1", "2"], false);
        check(&shard, &["1", "2", "3"], &["1", "2", "3"], true);
    }

    #[test]
    fn a_receipt_tells_the_range_of_numbers_that_was_taken() {
        let shard = SourceBatch::shard("kinesis", "stream/shard-1");
        let told = shard.told(records(&["9", "10", "11"]).iter());
        let number = |text: &str| text.parse().unwrap();
        let expected = SourceRecords::Range {
            shard: "stream/shard-1".to_owned(),
            first: number("9"),
            last: number("11"),
        };
        assert_eq!(told.records, expected);
        let told = shard.told(records(&["a"]).iter());
        assert_eq!(told.records, SourceRecords::Ids(vec!["a".to_owned()]));
    }

    #[test]
    fn the_first_delivery_is_not_after_the_arrival_of_any_record_nor_after_a_repeat_may_come() {
        let mut records = records(&["a", "b"]);
        records[0].arrival_us = 5_000_000;
        records[1].arrival_us = 3_000_000;
        let queue = SourceBatch::messages("sqs");
        assert_eq!(queue.first_delivery_ms(&records, 9_000_000), 3_000);
        assert_eq!(queue.first_delivery_ms(&records, 1_000_000), 1_000);
        let request = SourceBatch::request("direct", "r");
        assert_eq!(
            request.first_delivery_ms(&records, 9_000_000),
            3_000 - 86_400_000
        );
    }

    #[test]
    fn a_file_is_known_by_its_path_content_and_piece() {
        let file = |path, hash, piece| SourceBatch::file(path, hash, piece, false).identity;
        assert_eq!(file("a", "00", 0), file("a", "00", 0));
        assert_ne!(file("a", "00", 0), file("a", "00", 1));
        assert_ne!(file("a", "00", 0), file("a", "01", 0));
        assert_ne!(file("a", "00", 0), file("b", "00", 0));
    }
}
