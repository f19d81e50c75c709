//! Streams.

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::StreamStatus;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::desk::{Desk, await_that, kinesis, unique};

/// A stream of one test.
struct Stream {
    client: Client,
    endpoint: String,
    name: String,
}

impl Stream {
    async fn new(n_shards: i32) -> Self {
        let (client, endpoint) = kinesis();
        let name = unique("stream");
        let making = client.create_stream().stream_name(&name);
        making.shard_count(n_shards).send().await.unwrap();
        await_that("an active stream", async || {
            let asked = client.describe_stream_summary().stream_name(&name);
            let answer = asked.send().await.unwrap();
            let summary = answer.stream_description_summary().unwrap();
            *summary.stream_status() == StreamStatus::Active
        })
        .await;
        Self {
            client,
            endpoint,
            name,
        }
    }

    /// Puts a record; its key decides the shard.
    async fn put(&self, key: &str, id: &str, actions: &Value) {
        let body = json!({ "id": id, "do": actions }).to_string();
        let putting = self.client.put_record().stream_name(&self.name);
        let putting = putting.partition_key(key).data(Blob::new(body));
        putting.send().await.unwrap();
    }

    fn options<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let ours = ["--stream", &self.name, "--endpoint", &self.endpoint];
        [&ours, more].concat()
    }
}

/// The ids in the bodies of an event's records, and the shard that they came from.
fn ids(event: &Value) -> (String, Vec<String>) {
    let records = event["Records"].as_array().unwrap();
    let id = |record: &Value| {
        let data = record["kinesis"]["data"].as_str().unwrap();
        let body: Value = serde_json::from_slice(&BASE64_STANDARD.decode(data).unwrap()).unwrap();
        body["id"].as_str().unwrap().to_owned()
    };
    let event_id = records[0]["eventID"].as_str().unwrap();
    let shard = event_id.split_once(':').unwrap().0.to_owned();
    (shard, records.iter().map(id).collect())
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn each_shard_is_read_in_order_and_again_from_the_record_that_was_named() {
    let (desk, stream) = (Desk::new(), Stream::new(2).await);
    let names: Vec<String> = (0..20).map(|n| format!("r{n:02}")).collect();
    for (n, name) in names.iter().enumerate() {
        let actions = if n == 7 {
            json!(["fail", "fail", "ok"])
        } else {
            json!(["ok"])
        };
        stream.put(&format!("key{}", n % 6), name, &actions).await;
    }
    let running = desk.start(&stream.options(&["--stream-batch-size", "4"]));
    let wanted: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    desk.await_deliveries(&wanted).await;
    desk.await_deliveries(&[("r07", 3)]).await;
    let (report, said) = running.stop();
    assert_eq!(report["sources"][0]["n_done"], 20, "{report}");
    assert_eq!(report["sources"][0]["n_named_failed"], 2, "{report}");

    let events: Vec<(String, Vec<String>)> = desk.events().iter().map(ids).collect();
    let (failing, _) = events
        .iter()
        .find(|(_, ids)| ids.contains(&"r07".to_owned()))
        .unwrap();
    let mut shards: Vec<&String> = events.iter().map(|(shard, _)| shard).collect();
    shards.sort();
    shards.dedup();
    assert_eq!(shards.len(), 2, "both shards hold records: {said}");
    for shard in shards {
        let batches: Vec<&Vec<String>> = events
            .iter()
            .filter(|(of, _)| of == shard)
            .map(|(_, ids)| ids)
            .collect();
        assert!(batches.iter().all(|ids| ids.len() <= 4), "{batches:?}");
        // Each batch follows the one before, or begins where that was named.
        let mut delivered: Vec<&String> = Vec::new();
        for ids in &batches {
            if let Some(place) = delivered.iter().position(|id| *id == &ids[0]) {
                assert_eq!(ids[0], "r07", "{batches:?}");
                delivered.truncate(place);
            }
            delivered.extend(ids.iter());
        }
        assert!(delivered.is_sorted(), "{shard} out of order: {delivered:?}");
        let n_repeats = batches.iter().filter(|ids| ids[0] == "r07").count();
        assert!((shard != failing) || n_repeats >= 2, "{batches:?}");
    }
    let first = &desk.events()[0]["Records"][0];
    assert!(first["kinesis"]["approximateArrivalTimestamp"].is_f64());
    assert_eq!(first["eventSource"], "aws:kinesis");
    let arn = first["eventSourceARN"].as_str().unwrap();
    assert!(arn.ends_with(&format!("stream/{}", stream.name)), "{arn}");
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn a_batch_that_fails_as_a_whole_holds_up_its_shard_until_it_goes_through() {
    let (desk, stream) = (Desk::new(), Stream::new(1).await);
    for (id, actions) in [
        ("a", json!(["exit", "error", "garbage", "ok"])),
        ("b", json!(["ok"])),
        ("c", json!(["ok"])),
    ] {
        stream.put("key", id, &actions).await;
    }
    let running = desk.start(&stream.options(&["--stream-batch-size", "2"]));
    desk.await_deliveries(&[("c", 1)]).await;
    let (report, said) = running.stop();
    let events: Vec<Vec<String>> = desk.events().iter().map(|event| ids(event).1).collect();
    assert_eq!(
        events,
        [
            vec!["a", "b"],
            vec!["a", "b"],
            vec!["a", "b"],
            vec!["a", "b"],
            vec!["c"]
        ],
        "{said}"
    );
    assert_eq!(report["sources"][0]["n_failed_batches"], 3, "{report}");
    assert_eq!(report["functions"][0]["n_instances"], 2, "{report}");
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn after_as_many_retries_as_allowed_a_batch_is_given_up_and_named() {
    let (desk, stream) = (Desk::new(), Stream::new(1).await);
    for (id, actions) in [
        ("a", json!(["ok"])),
        ("b", json!(["fail"])),
        ("c", json!(["ok"])),
    ] {
        stream.put("key", id, &actions).await;
    }
    let options = ["--stream-batch-size", "2", "--stream-retries", "2"];
    let running = desk.start(&stream.options(&options));
    desk.await_deliveries(&[("c", 1)]).await;
    let (report, said) = running.stop();
    let deliveries = desk.deliveries();
    assert_eq!((deliveries["a"], deliveries["b"]), (1, 3), "{said}");
    assert_eq!(report["sources"][0]["n_given_up"], 1, "{report}");
    assert_eq!(report["sources"][0]["n_done"], 2, "{report}");
    assert!(
        said.contains("1 records of shardId-000000000000 are given up"),
        "{said}"
    );
}
