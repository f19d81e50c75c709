//! Kinesis.

use aws_lambda_events::kinesis::{KinesisEvent, KinesisEventRecord};
use bytes::Bytes;
use pipeline::{Payload, Record, SequenceNumber, SourceBatch};

use super::Delivery;
use crate::{Failure, answer::Reply};

/// Reads records of one shard, whose numbers rise: a range of them is what keeps a repeat from being committed twice, so
/// nothing else is taken. AWS sends nothing else, with a parallelization factor of 1.
///
/// A stream is known by its ARN: its events do not say when it was created. The numbers of a stream that is made again under
/// the same name lie above those of the one before, since they begin with the time at which their shard was made.
pub(super) fn read(event: KinesisEvent) -> Result<Delivery, Failure> {
    let first = event.records.first();
    let arn = first.and_then(|record| record.event_source_arn.clone());
    let arn = arn.unwrap_or_default();
    let shard = first.and_then(shard_of).unwrap_or_default().to_owned();
    check(&event.records, &arn, &shard)?;

    let stream = arn.rsplit_once('/').map_or(arn.as_str(), |(_, name)| name);
    let records = event.records.into_iter().map(|record| {
        let sequence = record.kinesis.sequence_number;
        Record {
            source_id: format!("{stream}/{shard}/{sequence}"),
            delivery_id: sequence,
            arrival_us: record
                .kinesis
                .approximate_arrival_timestamp
                .timestamp_micros(),
            body: Bytes::from(record.kinesis.data.0),
            is_base64: false,
        }
    });
    let records = records.collect();
    let source = SourceBatch::shard("kinesis", format!("{arn}/{shard}"));
    Ok(Delivery::Payload(
        Payload { records, source },
        Reply::Checkpoint,
    ))
}

/// Refuses what is not a range of one shard.
fn check(records: &[KinesisEventRecord], arn: &str, shard: &str) -> Result<(), Failure> {
    let refused = |message: String| {
        Err(Failure {
            kind: "UnreadableEnvelope",
            message,
        })
    };
    let mut last: Option<SequenceNumber> = None;
    for record in records {
        let (of_stream, of_shard) = (record.event_source_arn.as_deref(), shard_of(record));
        if of_stream != Some(arn) || of_shard != Some(shard) {
            return refused(format!(
                "the Kinesis records are of more than one shard (`{}` beside `{shard}`) or name none: invoke with one shard at a time",
                of_shard.unwrap_or_default()
            ));
        }
        let number = match record.kinesis.sequence_number.parse() {
            Ok(number) => number,
            Err(error) => return refused(format!("a Kinesis record of `{shard}`: {error}")),
        };
        if last.as_ref().is_some_and(|last| *last >= number) {
            return refused(format!(
                "the sequence numbers of the Kinesis records of `{shard}` do not rise at {number}"
            ));
        }
        last = Some(number);
    }
    Ok(())
}

/// `shardId-000000000006:4959…` → `shardId-000000000006`.
fn shard_of(record: &KinesisEventRecord) -> Option<&str> {
    Some(record.event_id.as_deref()?.split_once(':')?.0)
}
