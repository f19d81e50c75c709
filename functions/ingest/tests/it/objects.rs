//! Objects that notifications of S3 tell of, with a store that is only remembered.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::Write as _,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use pipeline::{ObjectPart, ObjectPartError, ObjectReader, ObjectVersion, SourceObject};
use serde_json::{Value, json};

use crate::common::{Function, fixture, row};

const BUCKET: &str = "amzn-s3-demo-bucket";

/// Objects by location and version; the current ones by location.
#[derive(Debug, Default)]
struct Store {
    objects: Mutex<BTreeMap<(String, String), Vec<u8>>>,
    /// The `ETag` that each name has now.
    current: Mutex<BTreeMap<String, String>>,
    n_reads: Mutex<u64>,
}

impl Store {
    fn put(&self, key: &str, version: &str, bytes: impl Into<Vec<u8>>) {
        let location = format!("s3://{BUCKET}/{key}");
        let place = (location.clone(), version.to_owned());
        self.objects.lock().unwrap().insert(place, bytes.into());
        self.current
            .lock()
            .unwrap()
            .insert(location, version.to_owned());
    }
}

#[async_trait]
impl ObjectReader for Store {
    async fn read(
        &self,
        object: &SourceObject,
        offset: u64,
        n_bytes: usize,
    ) -> Result<ObjectPart, ObjectPartError> {
        *self.n_reads.lock().unwrap() += 1;
        let location = object.location();
        let (version, is_there) = match &object.version {
            ObjectVersion::Id(id) => (id, true),
            ObjectVersion::ETag(tag) => {
                let current = self.current.lock().unwrap();
                (tag, current.get(&location) == Some(tag))
            }
        };
        let objects = self.objects.lock().unwrap();
        match objects.get(&(location.clone(), version.clone())) {
            Some(bytes) if is_there => {
                let start = bytes.len().min(usize::try_from(offset).unwrap());
                let end = bytes.len().min(start + n_bytes);
                Ok(ObjectPart {
                    bytes: bytes[start..end].to_vec().into(),
                    modified_ms: Some(1_763_632_800_000),
                })
            }
            _ => Err(ObjectPartError::Superseded { location }),
        }
    }
}

async fn start(store: &Arc<Store>) -> Function {
    let variables = [("CALVE_SOURCE_BUCKETS", BUCKET)];
    Function::start_with_objects(store.clone(), &variables).await
}

/// The notification of S3 for this key, as it stands in the query of a URL.
fn notification(key: &str, etag: &str) -> Value {
    let mut notification = fixture("s3.json");
    let object = &mut notification["Records"][0]["s3"]["object"];
    object["key"] = key.into();
    object["eTag"] = etag.into();
    notification
}

fn in_queue(bodies: &[Value]) -> Value {
    let mut payload = fixture("sqs.json");
    let records = payload["Records"].as_array_mut().unwrap();
    let first = records[0].clone();
    records.clear();
    for (n, body) in bodies.iter().enumerate() {
        let mut record = first.clone();
        record["messageId"] = format!("message-{n}").into();
        record["body"] = body.to_string().into();
        records.push(record);
    }
    payload
}

#[tokio::test]
async fn the_events_of_an_object_land_under_its_name_and_version_and_once() {
    let store = Arc::new(Store::default());
    store.put(
        "my events/a+b.json",
        "tag-1",
        "{\"a\":1}\noops\n{\"a\":2}\n",
    );
    let function = start(&store).await;
    let payload = notification("my+events/a%2Bb.json", "tag-1");
    let answer = function.invoke("r1", &payload).await.unwrap();
    assert_eq!(
        (&answer[0]["n_rows"], &answer[0]["n_quarantined"]),
        (&json!(2), &json!(1))
    );
    let id = format!("s3://{BUCKET}/my events/a+b.json?tag-1");
    let arrival = "2025-11-20T10:00:00Z";
    let expected = [
        row(&id, 0, arrival, "arrival"),
        row(&id, 2, arrival, "arrival"),
    ];
    assert_eq!(function.rows(), expected);
    assert_eq!(function.quarantined(), [format!("{id}: oops")]);

    let answer = function.invoke("r2", &payload).await.unwrap();
    assert_eq!(
        (&answer[0]["is_repeat"], &answer[0]["n_records_known"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(function.n_committed().await, 2);
    assert_eq!(function.rows(), expected);
    assert_eq!(function.quarantined().len(), 1);
}

#[tokio::test]
async fn an_object_that_was_replaced_is_superseded_and_a_version_is_not() {
    let store = Arc::new(Store::default());
    store.put("a.json", "tag-1", "{\"a\":1}");
    store.put("a.json", "tag-2", "{\"a\":2}\n{\"a\":3}");
    let function = start(&store).await;
    let answer = function
        .invoke("r1", &notification("a.json", "tag-1"))
        .await
        .unwrap();
    assert_eq!(
        (&answer[0]["n_records_superseded"], &answer[0]["n_rows"]),
        (&json!(1), &json!(0))
    );
    function
        .invoke("r2", &notification("a.json", "tag-2"))
        .await
        .unwrap();
    assert_eq!(function.n_committed().await, 2);

    let mut versioned = notification("a.json", "whatever");
    versioned["Records"][0]["s3"]["object"]["versionId"] = "tag-1".into();
    function.invoke("r3", &versioned).await.unwrap();
    assert_eq!(function.n_committed().await, 3);

    let gone = notification("removed.json", "tag-1");
    let answer = function.invoke("r4", &gone).await.unwrap();
    assert_eq!(answer[0]["n_records_superseded"], 1);
}

#[tokio::test]
async fn an_object_of_many_pieces_is_one_batch_whose_events_are_counted_through() {
    let mut lines = String::new();
    let filler = "x".repeat(900);
    for n in 0..80_000 {
        writeln!(lines, "{{\"n\":{n},\"s\":\"{filler}\"}}").unwrap();
        if n == 70_000 {
            lines.push_str("oops\n");
        }
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(lines.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::bulk::compress(lines.as_bytes(), 1).unwrap();
    for (form, bytes) in [
        ("plain", lines.clone().into_bytes()),
        ("gzip", gzip),
        ("zstd", zstd),
    ] {
        let store = Arc::new(Store::default());
        store.put("large", "tag", bytes);
        let function = start(&store).await;
        let answer = function
            .invoke("r1", &notification("large", "tag"))
            .await
            .unwrap();
        assert_eq!(answer[0]["n_rows"], 80_000, "{form}: {answer}");
        assert!(
            answer[0]["n_files"].as_u64().unwrap() > 1,
            "{form}: {answer}"
        );
        assert_eq!(function.n_committed().await, 80_000);
        let rows = function.rows();
        let indices: Vec<_> = rows
            .iter()
            .map(|row| row["_source_index"].as_i64().unwrap())
            .collect();
        let expected: Vec<i64> = (0..80_001).filter(|n| *n != 70_001).collect();
        assert!(indices == expected, "{form}");
        let refused = &answer[0]["refusals"][0];
        let offset = usize::try_from(refused["offset"].as_u64().unwrap()).unwrap();
        assert_eq!(&lines[offset..offset + 5], "oops\n");
        assert_eq!(refused["source_index"], 70_001);

        let answer = function
            .invoke("r2", &notification("large", "tag"))
            .await
            .unwrap();
        assert_eq!(answer[0]["is_repeat"], true);
        assert_eq!(function.n_committed().await, 80_000);
    }
}

#[tokio::test]
async fn an_object_that_cannot_be_read_to_its_end_is_quarantined_by_its_place() {
    let store = Arc::new(Store::default());
    let mut whole = zstd::bulk::compress(b"{\"a\":1}\n{\"a\":2}\n", 1).unwrap();
    whole.extend(b"no frame of zstd");
    store.put("broken", "tag", whole);
    let function = start(&store).await;
    let answer = function
        .invoke("r1", &notification("broken", "tag"))
        .await
        .unwrap();
    assert_eq!(
        answer[0]["n_refused_by_kind"]["unreadable_rest"], 1,
        "{answer}"
    );
    let id = format!("s3://{BUCKET}/broken?tag");
    assert_eq!(function.quarantined(), [format!("{id}: ")]);

    store.put("empty", "tag", "");
    let answer = function
        .invoke("r2", &notification("empty", "tag"))
        .await
        .unwrap();
    assert_eq!(
        (&answer[0]["n_events"], &answer[0]["n_records_committed"]),
        (&json!(0), &json!(1))
    );
}

#[tokio::test]
async fn messages_of_a_queue_tell_of_objects_in_the_named_buckets_only() {
    let store = Arc::new(Store::default());
    store.put("a.json", "tag", "{\"a\":1}\n{\"a\":2}");
    let function = start(&store).await;
    let mut elsewhere = notification("a.json", "tag");
    elsewhere["Records"][0]["s3"]["bucket"]["name"] = "another".into();
    let test = json!({
        "Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2014-10-13T15:57:02.089Z",
        "Bucket": BUCKET, "RequestId": "5582815E1AEA5ADF", "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3e",
    });
    let by_sns = json!({
        "Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:eu-west-1:1:t",
        "Message": notification("a.json", "tag").to_string(),
    });
    let mut removed = notification("a.json", "tag");
    removed["Records"][0]["eventName"] = "ObjectRemoved:Delete".into();
    let none = json!({ "Records": [], "order": 7 });
    let bodies = [elsewhere, test, by_sns, removed, json!({ "b": 1 }), none];
    let answer = function.invoke("r1", &in_queue(&bodies)).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    let rows = function.rows().into_iter();
    let ids: Vec<String> = rows
        .map(|row| row["_source_id"].as_str().unwrap().to_owned())
        .collect();
    let object = format!("s3://{BUCKET}/a.json?tag");
    // What tells of another bucket, or of nothing, is an event like any other: it is never followed.
    let events = ["message-0", "message-4", "message-5"];
    assert_eq!(ids[..3], events);
    assert_eq!(ids[3..], [object.as_str(), &object]);
}

#[tokio::test]
async fn a_notification_of_another_bucket_is_refused_and_nothing_is_read() {
    let store = Arc::new(Store::default());
    let function = start(&store).await;
    let mut elsewhere = notification("a.json", "tag");
    elsewhere["Records"][0]["s3"]["bucket"]["name"] = "another".into();
    let failure = function.invoke("r1", &elsewhere).await.unwrap_err();
    assert!(
        failure.message.contains("CALVE_SOURCE_BUCKETS"),
        "{failure}"
    );
    assert_eq!(*store.n_reads.lock().unwrap(), 0);

    let none = Function::start().await;
    let failure = none.invoke("r1", &fixture("s3.json")).await.unwrap_err();
    assert!(
        failure.message.contains("CALVE_SOURCE_BUCKETS"),
        "{failure}"
    );
}

#[tokio::test]
async fn eventbridge_tells_of_objects_too() {
    let store = Arc::new(Store::default());
    store.put("a b+c.json", "tag", "[{\"a\":1},{\"a\":2}]");
    let function = start(&store).await;
    let mut event = json!({
        "version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": "Object Created",
        "source": "aws.s3", "account": "111122223333", "time": "2021-11-12T00:00:00Z",
        "region": "ca-central-1", "resources": [format!("arn:aws:s3:::{BUCKET}")],
        "detail": {
            "version": "0", "bucket": { "name": BUCKET },
            "object": { "key": "a b+c.json", "size": 5, "etag": "tag", "sequencer": "617f08299329d189" },
            "request-id": "N4N7GDK58NMKJ12R", "requester": "123456789012", "reason": "PutObject",
        },
    });
    function.invoke("r1", &event).await.unwrap();
    assert_eq!(function.n_committed().await, 2);
    event["detail"]["bucket"]["name"] = "another".into();
    function.invoke("r2", &event).await.unwrap();
    assert_eq!(function.n_committed().await, 3); // The envelope itself, as of any other event.
}

#[tokio::test]
async fn the_events_of_an_object_land_in_the_tables_that_they_name_and_once_in_each() {
    let store = Arc::new(Store::default());
    let line = "{\"type\":\"clicks\",\"pad\":\"";
    let pad = "x".repeat(1 << 20);
    let mut body = String::new();
    // More than a piece: the numbers of the events go on from one to the next.
    for n in 0..40 {
        let _ = writeln!(
            body,
            "{line}{pad}\",\"n\":{n}}}\n{{\"type\":\"order\"}}\noops"
        );
    }
    store.put("a.ndjson", "tag-1", body);
    let variables = [
        ("CALVE_SOURCE_BUCKETS", BUCKET),
        ("CALVE_ROUTES_FIELD", "type"),
        ("CALVE_ROUTES_TABLES", "clicks"),
        ("CALVE_TABLE_SHAPE_MAX_EVENT_BYTES", "2000000"),
    ];
    let function = Function::start_with_objects(store.clone(), &variables).await;
    let payload = notification("a.ndjson", "tag-1");
    let answer = function.invoke("r1", &payload).await.unwrap();
    let of_tables = answer[0]["tables"].as_array().unwrap().iter();
    let of_tables: Vec<_> = of_tables
        .map(|table| json!([table["table"], table["n_rows"], table["n_refused"]]))
        .collect();
    assert_eq!(
        of_tables,
        [
            json!(["analytics.clicks", 40, 0]),
            json!(["analytics.events", 40, 40])
        ]
    );
    let rows = function.rows();
    let numbers: Vec<i64> = rows
        .iter()
        .map(|row| row["_source_index"].as_i64().unwrap())
        .collect();
    let expected: Vec<i64> = (0..120).filter(|number| number % 3 < 2).collect();
    assert_eq!((numbers, function.n_committed().await), (expected, 40));
    assert_eq!(function.quarantined().len(), 40);

    let again = function.invoke("r2", &payload).await.unwrap();
    assert_eq!(again[0]["n_records_known"], 1);
    assert_eq!(function.rows(), rows);
}
