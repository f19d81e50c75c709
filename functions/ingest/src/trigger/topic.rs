//! SNS, directly.

use aws_lambda_events::sns::SnsEvent;
use bytes::Bytes;
use pipeline::{Payload, SourceBatch};

use super::{Delivery, record};
use crate::answer::Reply;

pub(super) fn read(event: SnsEvent) -> Delivery {
    let records = event.records.into_iter().map(|delivered| {
        let message = delivered.sns;
        let arrival_us = message.timestamp.timestamp_micros();
        let id = &message.message_id;
        record(id, id, arrival_us, Bytes::from(message.message))
    });
    let records = records.collect();
    Delivery::Payload(
        Payload {
            records,
            source: SourceBatch::messages("sns"),
        },
        Reply::Report,
    )
}
