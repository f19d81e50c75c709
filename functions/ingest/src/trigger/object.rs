//! Notifications of S3: by themselves, in messages of a queue, and from EventBridge.

use std::borrow::Cow;

use pipeline::{ObjectVersion, Settings, SourceObject};
use serde::Deserialize;

use super::Delivery;
use crate::{Failure, answer::Reply};

/// What S3 sends.
#[derive(Deserialize)]
struct Notification<'a> {
    #[serde(rename = "Records", borrow)]
    records: Vec<Told<'a>>,
}

/// What happened to one object.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    #[serde(borrow)]
    event_source: Cow<'a, str>,
    #[serde(borrow)]
    event_name: Cow<'a, str>,
    #[serde(borrow)]
    event_time: Option<Cow<'a, str>>,
    #[serde(borrow)]
    s3: Place<'a>,
}

/// Where it happened.
#[derive(Deserialize)]
struct Place<'a> {
    #[serde(borrow)]
    bucket: Bucket<'a>,
    #[serde(borrow)]
    object: Object<'a>,
}

#[derive(Deserialize)]
struct Bucket<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(rename = "eTag", alias = "etag", borrow)]
    etag: Option<Cow<'a, str>>,
    #[serde(rename = "versionId", alias = "version-id", borrow)]
    version_id: Option<Cow<'a, str>>,
}

/// What S3 sends to a queue or topic when its notifications are set up.
#[derive(Deserialize)]
struct TestEvent<'a> {
    #[serde(rename = "Service", borrow)]
    service: Cow<'a, str>,
    #[serde(rename = "Event", borrow)]
    event: Cow<'a, str>,
    #[serde(rename = "Bucket", borrow)]
    bucket: Cow<'a, str>,
}

/// What EventBridge says of an object.
#[derive(Deserialize)]
struct EventBridge<'a> {
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(rename = "detail-type", borrow)]
    detail_type: Cow<'a, str>,
    #[serde(borrow)]
    time: Option<Cow<'a, str>>,
    #[serde(borrow)]
    detail: Place<'a>,
}

/// Reads a notification that S3 sent to the function itself.
pub(super) fn read(
    body: &str,
    request_id: &str,
    now_us: i64,
    settings: &Settings,
) -> Result<Delivery, Failure> {
    let notification: Notification<'_> = super::parse("S3", body)?;
    let mut objects = Vec::new();
    for told in notification.records.iter().filter(|told| told.is_created()) {
        let Some(object) = told.object(request_id, now_us, settings) else {
            let (bucket, key) = (&told.s3.bucket.name, &told.s3.object.key);
            let message = format!(
                "`s3://{bucket}/{key}` is of no source: name its bucket in `CALVE_SOURCE_BUCKETS`, or send no notifications of it"
            );
            return Err(Failure {
                kind: "NoSource",
                message,
            });
        };
        objects.push(object);
    }
    Ok(Delivery::Objects(objects, None, Reply::Report))
}

/// The objects that the body of a message tells of; none when it is no notification, or tells of an object that may not be
/// read: then it is an event like any other, since anybody can write such a message.
pub(super) fn told(
    body: &str,
    delivery_id: &str,
    now_us: i64,
    settings: &Settings,
) -> Option<Vec<SourceObject>> {
    if settings.source_buckets.is_empty() || !body.starts_with('{') {
        return None;
    }
    if let Ok(test) = serde_json::from_str::<TestEvent<'_>>(body) {
        let is_test = test.service == "Amazon S3" && test.event == "s3:TestEvent";
        return (is_test && settings.is_source_bucket(&test.bucket)).then(Vec::new);
    }
    let notification: Notification<'_> = serde_json::from_str(body).ok()?;
    let records = notification.records.iter();
    // S3 never sends an empty one: whatever else has such a list is an event.
    if notification.records.is_empty() || !records.clone().all(|told| told.is_of_source(settings)) {
        return None;
    }
    let created = records.filter(|told| told.is_created());
    created
        .map(|told| told.object(delivery_id, now_us, settings))
        .collect()
}

/// The object that an event of EventBridge tells of, when it may be read.
pub(super) fn of_event_bridge(
    body: &str,
    delivery_id: &str,
    now_us: i64,
    settings: &Settings,
) -> Option<SourceObject> {
    let event: EventBridge<'_> = serde_json::from_str(body).ok()?;
    if event.source != "aws.s3" || event.detail_type != "Object Created" {
        return None;
    }
    // Here the key is as it is.
    let key = event.detail.object.key.clone().into_owned();
    let time_us = time_us(event.time.as_deref(), now_us);
    event.detail.object_of(key, delivery_id, time_us, settings)
}

impl Told<'_> {
    fn is_created(&self) -> bool {
        self.event_name.starts_with("ObjectCreated:")
    }

    fn is_of_source(&self, settings: &Settings) -> bool {
        let key = decoded(&self.s3.object.key);
        self.event_source == "aws:s3"
            && key.is_some_and(|key| settings.is_source(&self.s3.bucket.name, &key))
    }

    /// The object, when it may be read.
    fn object(&self, delivery_id: &str, now_us: i64, settings: &Settings) -> Option<SourceObject> {
        if self.event_source != "aws:s3" {
            return None;
        }
        let key = decoded(&self.s3.object.key)?;
        let time_us = time_us(self.event_time.as_deref(), now_us);
        self.s3.object_of(key, delivery_id, time_us, settings)
    }
}

impl Place<'_> {
    fn object_of(
        &self,
        key: String,
        delivery_id: &str,
        notified_us: i64,
        settings: &Settings,
    ) -> Option<SourceObject> {
        if !settings.is_source(&self.bucket.name, &key) {
            return None;
        }
        let object = &self.object;
        // Where a bucket has stopped to keep versions, `null` is the id of whatever was written last.
        let version = object.version_id.as_ref().filter(|id| *id != "null");
        let version = match (version, &object.etag) {
            (Some(id), _) => ObjectVersion::Id(id.clone().into_owned()),
            (None, Some(etag)) => ObjectVersion::ETag(etag.trim_matches('"').to_owned()),
            (None, None) => return None,
        };
        Some(SourceObject {
            delivery_id: delivery_id.to_owned(),
            bucket: self.bucket.name.clone().into_owned(),
            key,
            version,
            notified_us,
        })
    }
}

fn time_us(time: Option<&str>, now_us: i64) -> i64 {
    let time = time.and_then(|time| time.parse::<jiff::Timestamp>().ok());
    time.map_or(now_us, jiff::Timestamp::as_microsecond)
}

/// Keys stand in notifications as in the query of a URL.
fn decoded(key: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let digits = str::from_utf8(&digits).ok()?;
                u8::from_str_radix(digits, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded_as_s3_encodes_them() {
        for (encoded, key) in [
            ("a/b-1.json", Some("a/b-1.json")),
            ("my+events/2025%3A11%2B.gz", Some("my events/2025:11+.gz")),
            ("%C3%BCber+uns", Some("über uns")),
            ("100%", None),
            ("%zz", None),
            ("%FF", None),
        ] {
            assert_eq!(decoded(encoded).as_deref(), key, "{encoded}");
        }
    }
}
