//! Kinesis.

use std::borrow::Cow;
use std::ops::Range;

use base64_simd::STANDARD;
use bytes::BytesMut;
use jiff::{SignedDuration, Timestamp};
use pipeline::{Payload, Record, SequenceNumber, SourceBatch};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::envelope::EnvelopeRecord;
use super::text::{place_of, unescape};
use super::{Delivery, parse, part, unreadable};
use crate::{Failure, answer::Reply};

/// What Kinesis says of a record.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    #[serde(borrow)]
    sequence_number: Cow<'a, str>,
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(borrow)]
    approximate_arrival_timestamp: &'a RawValue,
}

/// A record, its data still in the envelope.
#[derive(Debug)]
pub(super) struct StreamRecord {
    stream_arn: Option<String>,
    shard: Option<String>,
    sequence: String,
    arrival_us: i64,
    /// Where the base64 stands in the envelope.
    data: Range<usize>,
}

/// The records of an envelope.
pub(super) fn records(
    records: Vec<EnvelopeRecord<'_>>,
    text: &str,
) -> Result<Vec<StreamRecord>, Failure> {
    let records = records.into_iter().map(|record| {
        let missing = |what| unreadable("Kinesis", format!("a record has no {what}"));
        let told = record.kinesis.ok_or_else(|| missing("`kinesis`"))?;
        let told: Told<'_> = parse("Kinesis", told.get())?;
        let event_id: Option<String> = part("Kinesis", record.event_id)?;
        Ok(StreamRecord {
            stream_arn: part("Kinesis", record.event_source_arn)?,
            // `shardId-000000000006:4959…` → `shardId-000000000006`.
            shard: event_id.and_then(|id| Some(id.split_once(':')?.0.to_owned())),
            sequence: told.sequence_number.into_owned(),
            arrival_us: arrival_us(told.approximate_arrival_timestamp)
                .ok_or_else(|| missing("readable `approximateArrivalTimestamp`"))?,
            data: place_of(told.data, text).ok_or_else(|| missing("string as `data`"))?,
        })
    });
    records.collect()
}

/// Seconds with a fraction, as a number or the text of one, to the microsecond.
fn arrival_us(seconds: &RawValue) -> Option<i64> {
    let seconds: f64 = seconds.get().trim_matches('"').parse().ok()?;
    let since_1970 = SignedDuration::try_from_secs_f64(seconds).ok()?;
    let rounded = since_1970.checked_add(SignedDuration::from_nanos(500))?;
    Some(Timestamp::from_duration(rounded).ok()?.as_microsecond())
}

/// Reads records of one shard, whose numbers rise: a range of them is what keeps a repeat from being committed twice, so
/// nothing else is taken. AWS sends nothing else, with a parallelization factor of 1.
///
/// A stream is known by its ARN: its events do not say when it was created. The numbers of a stream that is made again under
/// the same name lie above those of the one before, since they begin with the time at which their shard was made.
pub(super) fn read(
    records: Vec<StreamRecord>,
    mut envelope: BytesMut,
) -> Result<Delivery, Failure> {
    let first = records.first();
    let arn = first.and_then(|record| record.stream_arn.clone());
    let arn = arn.unwrap_or_default();
    let shard = first.and_then(|record| record.shard.clone());
    let shard = shard.unwrap_or_default();
    check(&records, &arn, &shard)?;

    let mut all_data = Vec::with_capacity(records.len());
    for StreamRecord { data, sequence, .. } in &records {
        let decoded = decode(&mut envelope[data.clone()]).ok_or_else(|| {
            let what = format!("the `data` of record {sequence} is none that JSON allows");
            unreadable("Kinesis", what)
        })?;
        all_data.push((data.start, decoded));
    }
    let bodies = envelope.freeze();
    let stream = arn.rsplit_once('/').map_or(arn.as_str(), |(_, name)| name);
    let records = records
        .into_iter()
        .zip(all_data)
        .map(|(record, (start, decoded))| Record {
            source_id: format!("{stream}/{shard}/{}", record.sequence),
            delivery_id: record.sequence,
            arrival_us: record.arrival_us,
            body: bodies.slice(start..start + decoded.n_bytes),
            is_base64: !decoded.is_base64,
        });
    let records = records.collect();
    let source = SourceBatch::shard("kinesis", format!("{arn}/{shard}"));
    Ok(Delivery::Payload(
        Payload { records, source },
        Reply::Checkpoint,
    ))
}

/// What became of the content of a JSON string, where it stands.
#[derive(Debug, PartialEq)]
struct Decoded {
    n_bytes: usize,
    /// Whether it was base64, and is decoded. Anything else stays as it came.
    is_base64: bool,
}

/// Decodes the content of a JSON string where it stands. `None` when it is none that JSON allows.
///
/// What is not base64 goes on as a record that still is to be decoded, since the pipeline then refuses that record alone, with
/// its bytes and the reason. The whole delivery would never land, or the record, given back by name: the shard would stand until
/// its records are given up.
fn decode(base64: &mut [u8]) -> Option<Decoded> {
    // Some write `/` as `\/`.
    let n_bytes = unescape(base64)?;
    let base64 = &mut base64[..n_bytes];
    // Decoding begins to write before it knows.
    let decoded = STANDARD.check(base64).ok();
    let decoded = decoded.and_then(|()| Some(STANDARD.decode_inplace(base64).ok()?.len()));
    Some(Decoded {
        n_bytes: decoded.unwrap_or(n_bytes),
        is_base64: decoded.is_some(),
    })
}

/// Refuses what is not a range of one shard.
fn check(records: &[StreamRecord], arn: &str, shard: &str) -> Result<(), Failure> {
    let refused = |message: String| {
        Err(Failure {
            kind: "UnreadableEnvelope",
            message,
        })
    };
    let mut last: Option<SequenceNumber> = None;
    for record in records {
        let (of_stream, of_shard) = (record.stream_arn.as_deref(), record.shard.as_deref());
        if of_stream != Some(arn) || of_shard != Some(shard) {
            return refused(format!(
                "the Kinesis records are of more than one shard (`{}` beside `{shard}`) or name none: invoke with one shard at a time",
                of_shard.unwrap_or_default()
            ));
        }
        let number = match record.sequence.parse() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_decoded(base64: &str, is_base64: bool, expected: &[u8]) {
        let mut bytes = base64.as_bytes().to_vec();
        let decoded = decode(&mut bytes).unwrap();
        assert_eq!(&bytes[..decoded.n_bytes], expected, "{base64}");
        assert_eq!(decoded.is_base64, is_base64, "{base64}");
    }

    #[test]
    fn data_is_decoded_where_it_stands() {
        check_decoded("e30=", true, b"{}");
        check_decoded("", true, b"");
        check_decoded(r"Pz8\/Pz8\/", true, b"??????");
    }

    #[test]
    fn what_is_not_base64_stays_as_it_came() {
        let long_and_broken_late = format!("{}!", "Pz8/".repeat(100));
        for data in ["e30", "e3 0=", "-_-_", &long_and_broken_late] {
            check_decoded(data, false, data.as_bytes());
        }
        check_decoded(r"\/\ud800", false, b"/\xed\xa0\x80");
        assert_eq!(decode(&mut br"e30=\x".to_owned()), None);
    }

    #[track_caller]
    fn check_arrival(seconds: &str, expected_us: Option<i64>) {
        let raw = RawValue::from_string(seconds.to_owned()).unwrap();
        assert_eq!(arrival_us(&raw), expected_us, "{seconds}");
    }

    #[test]
    fn arrivals_are_read_to_the_microsecond() {
        check_arrival("1545084650.987", Some(1_545_084_650_987_000));
        check_arrival("1.545084650987654E9", Some(1_545_084_650_987_654));
        check_arrival("1545084650.98", Some(1_545_084_650_980_000));
        check_arrival("1545084650", Some(1_545_084_650_000_000));
        check_arrival("\"1545084650.001\"", Some(1_545_084_650_001_000));
        check_arrival("null", None);
        check_arrival("1e300", None);
    }
}
