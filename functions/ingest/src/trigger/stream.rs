//! Kinesis.

use aws_lambda_events::kinesis::KinesisEvent;
use bytes::Bytes;
use pipeline::{Payload, Record, SourceBatch};

use super::Delivery;
use crate::answer::Reply;

pub(super) fn read(event: KinesisEvent) -> Delivery {
    let first = event.records.first();
    let arn = first
        .and_then(|record| record.event_source_arn.clone())
        .unwrap_or_default();
    let shard = first
        .and_then(|record| shard_of(record.event_id.as_deref()?))
        .unwrap_or_default();
    let source = SourceBatch::shard("kinesis", format!("{arn}/{shard}"));
    let stream = arn.rsplit_once('/').map_or(arn.as_str(), |(_, name)| name);
    let records = event.records.into_iter().map(|record| {
        let shard = record
            .event_id
            .as_deref()
            .and_then(shard_of)
            .unwrap_or_default();
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
    Delivery::Payload(Payload { records, source }, Reply::Checkpoint)
}

/// `shardId-000000000006:4959…` → `shardId-000000000006`.
fn shard_of(event_id: &str) -> Option<String> {
    Some(event_id.split_once(':')?.0.to_owned())
}
