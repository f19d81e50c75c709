//! Both functions as they are deployed, each a process behind AWS's own runtime interface emulator: real payloads, and
//! what becomes of those that are too large, take too long, or bring the process down. The README says the same in words.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[expect(
    dead_code,
    unused_imports,
    reason = "other tests look closer at warehouses"
)]
mod support;

#[path = "support/lambda.rs"]
mod lambda;

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use lambda::{Answer, Lambda, signal};
use pipeline::{
    Invocation, Payload, Pipeline, ReceiptSink, Record, SendError, Settings, SourceBatch, open_lake,
};
use serde_json::{Value, json};
use support::Warehouse;

/// Long enough for everything, on a busy machine too.
const TIMEOUT_S: u32 = 120;

/// As much as Lambda hands over.
const MAX_PAYLOAD_BYTES: usize = 6 << 20;

/// The ingest function over this warehouse.
fn ingest(warehouse: &Warehouse, timeout_s: u32) -> Lambda {
    Lambda::of(
        "ingest",
        timeout_s,
        &[("CALVE_WAREHOUSE", warehouse.root())],
    )
}

/// A payload of the ingest function's own tests.
fn payload(name: &str) -> Vec<u8> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions/ingest/tests/fixtures");
    std::fs::read(fixtures.join(name).with_extension("json")).unwrap()
}

/// What SQS hands over: messages `m0`, `m1`… with these bodies.
fn messages(bodies: impl IntoIterator<Item = impl Into<String>>) -> Value {
    let message = |(n, body): (usize, _)| {
        json!({
            "messageId": format!("m{n}"),
            "receiptHandle": "h",
            "body": Into::<String>::into(body),
            "attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": "1795219200000" },
            "messageAttributes": {},
            "md5OfBody": "",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:events",
            "awsRegion": "eu-central-1",
        })
    };
    let records: Vec<Value> = bodies.into_iter().enumerate().map(message).collect();
    json!({ "Records": records })
}

/// The messages that an answer names to be delivered again.
#[track_caller]
fn again(answer: &Answer) -> Vec<String> {
    let parsed: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let named = parsed["batchItemFailures"].as_array();
    let named = named.unwrap_or_else(|| panic!("this names no messages: {answer:?}"));
    named
        .iter()
        .map(|one| one["itemIdentifier"].as_str().unwrap().to_owned())
        .collect()
}

/// How many rows readers see.
fn n_rows(warehouse: &Warehouse) -> usize {
    warehouse.read("duckdb", &[]).n_rows
}

#[test]
#[ignore = "needs tools: scripts/infra_tools.sh"]
fn payloads_of_every_trigger_land_in_one_process() {
    let warehouse = Warehouse::new();
    let function = ingest(&warehouse, TIMEOUT_S);
    let mut n_sent = 0;
    for (name, n_events) in [
        ("api_gateway_v1", 2),
        ("api_gateway_v2", 2),
        ("function_url", 3),
        ("sqs", 3),
        ("sns", 1),
        ("sns_in_sqs", 1),
        ("kinesis", 3),
        ("eventbridge", 1),
    ] {
        n_sent += n_events;
        let answer = function.invoke(payload(name));
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        let parsed: Value = serde_json::from_str(&answer.body).unwrap();
        match parsed.get("batchItemFailures") {
            Some(failures) => assert_eq!(*failures, json!([]), "{name}"),
            None if name.starts_with("api") || name == "function_url" => {
                assert_eq!(parsed["statusCode"], 200, "{name}: {answer:?}");
            }
            None => assert_eq!(parsed["n_records_retried"], 0, "{name}: {answer:?}"),
        }
    }
    assert_eq!(n_rows(&warehouse), n_sent);
}

#[test]
#[ignore = "needs tools: scripts/infra_tools.sh"]
fn only_the_record_to_be_delivered_again_is_named_and_lands_when_it_comes() {
    let warehouse = Warehouse::new();
    let variables = [
        ("CALVE_WAREHOUSE", warehouse.root()),
        ("CALVE_MAX_PAYLOAD_INFLATED_BYTES", "256"),
    ];
    let function = Lambda::of("ingest", TIMEOUT_S, &variables);
    let mut batch: Value = serde_json::from_slice(&payload("sqs")).unwrap();
    // The third one has no room beside the first two, of which the second is no event.
    let left = again(&function.invoke(batch.to_string()));
    let records = batch["Records"].as_array_mut().unwrap();
    assert_eq!(left, [records[2]["messageId"].as_str().unwrap()]);
    assert_eq!(n_rows(&warehouse), 1);

    records.drain(..2);
    assert!(again(&function.invoke(batch.to_string())).is_empty());
    assert_eq!(n_rows(&warehouse), 3);
    let kept = warehouse.calve(&["quarantine", "list", "--output", "json"]);
    let kept: Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(
        kept["totals"]["n_events"], 2,
        "one of each of two records: {kept}"
    );
}

#[test]
#[ignore = "needs tools: scripts/infra_tools.sh"]
fn the_answer_to_as_many_messages_as_there_can_be_stays_far_below_the_limit() {
    let warehouse = Warehouse::new();
    let variables = [
        ("CALVE_WAREHOUSE", warehouse.root()),
        ("CALVE_MAX_PAYLOAD_INFLATED_BYTES", "64 KiB"),
    ];
    let function = Lambda::of("ingest", TIMEOUT_S, &variables);
    let bodies = (0..10_000).map(|n| json!({ "id": n, "text": "x".repeat(200) }).to_string());
    let batch = messages(bodies).to_string();
    assert!(batch.len() < MAX_PAYLOAD_BYTES);
    let answer = function.invoke(batch);
    let (left, n_rows) = (again(&answer), n_rows(&warehouse));
    assert!(left.len() > 9_000, "only {} come again", left.len());
    assert_eq!(left.len() + n_rows, 10_000, "all others are rows");
    assert!(answer.body.len() < 1 << 20, "{}", answer.body.len());
}

#[test]
#[ignore = "needs tools: scripts/infra_tools.sh"]
fn of_a_payload_that_was_cut_off_nothing_lands() {
    let warehouse = Warehouse::new();
    let function = ingest(&warehouse, TIMEOUT_S);
    let event = json!({ "text": "x".repeat(1_000) }).to_string();
    // The emulator hands over the first 6 MiB. Lambda itself refuses all of it.
    let events = vec![event.as_str(); MAX_PAYLOAD_BYTES / event.len() + 100];
    let answer = function.invoke(format!("[{}]", events.join(",")));
    assert!(answer.body.contains("NotJson"), "{answer:?}");
    let answer = function.invoke(format!("[{}]", events[..5_000].join(",")));
    assert!(answer.body.contains("\"n_rows\":5000"), "{answer:?}");
    assert_eq!(n_rows(&warehouse), 5_000);
}

#[test]
#[ignore = "needs tools: scripts/infra_tools.sh"]
fn an_invocation_that_outlives_its_time_is_ended_and_the_next_one_works() {
    let warehouse = Warehouse::new();
    let function = ingest(&warehouse, 10);
    // Too little time for the first rows, on a busy machine, would be another story.
    let answer = function.invoke(json!({ "id": 1 }).to_string());
    assert!(answer.body.contains("\"n_rows\":1"), "{answer:?}");
    let process = function.function_pid();
    let answer = function.invoke_stuck(br#"{"id":2}"#, |_| ());
    assert_eq!(answer.body, "Task timed out after 10.00 seconds");
    let answer = function.invoke(json!({ "id": 2 }).to_string());
    assert!(answer.body.contains("\"n_rows\":1"), "{answer:?}");
    assert_ne!(function.function_pid(), process);
    assert_eq!(n_rows(&warehouse), 2);
}

#[test]
#[ignore = "needs tools: scripts/infra_tools.sh"]
fn a_process_that_is_killed_fails_its_invocation_and_the_next_one_works() {
    let warehouse = Warehouse::new();
    for program in ["ingest", "commit"] {
        let variables = [("CALVE_WAREHOUSE", warehouse.root())];
        let function = Lambda::of(program, TIMEOUT_S, &variables);
        let batch = messages(["{\"id\":1}"]).to_string();
        // The commit function takes it for no receipt, which is settled too.
        assert!(again(&function.invoke(&batch)).is_empty());
        // As memory that does not suffice ends it.
        let answer = function.invoke_stuck(batch.as_bytes(), |pid| signal("KILL", pid));
        assert_eq!(answer.status, 502);
        let error: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(error["errorType"], "Runtime.ExitError", "{program}");
        let message = error["errorMessage"].as_str().unwrap();
        assert!(message.ends_with("signal: killed"), "{program}: {message}");
        assert!(again(&function.invoke(&batch)).is_empty());
    }
    assert_eq!(n_rows(&warehouse), 1, "the same delivery lands once");
}

#[test]
#[ignore = "needs tools: scripts/infra_tools.sh"]
fn a_panic_fails_its_invocation_and_the_process_goes_on() {
    let function = Lambda::of("examples/panicking", TIMEOUT_S, &[]);
    assert_eq!(function.invoke("1").body, "1");
    let process = function.function_pid();
    let answer = function.invoke("\"panic\"");
    assert!(answer.body.contains("\"errorType\":"), "{answer:?}");
    assert!(answer.body.contains("panic"), "{answer:?}");
    assert_eq!(function.invoke("2").body, "2");
    assert_eq!(function.function_pid(), process);
}

#[test]
#[ignore = "needs tools: scripts/infra_tools.sh"]
fn a_wrong_setting_fails_the_start_and_the_log_says_what_would_be_right() {
    let warehouse = Warehouse::new();
    for program in ["ingest", "commit"] {
        let variables = [
            ("CALVE_WAREHOUSE", warehouse.root()),
            ("CALVE_ZSTD_LEVLE", "3"),
        ];
        let function = Lambda::of(program, TIMEOUT_S, &variables);
        for _ in 0..2 {
            let answer = function.invoke(messages(["{\"id\":1}"]).to_string());
            assert_eq!(answer.status, 502, "{program}: {answer:?}");
        }
        for words in [
            &format!("error: cannot start `{program}`"),
            "`CALVE_ZSTD_LEVLE` is not a setting",
            "hint: did you mean `CALVE_ZSTD_LEVEL`?",
            "INIT RTDONE(status: error)",
            "Runtime.ExitError",
        ] {
            function.await_said(words);
        }
    }
    assert!(!Path::new(warehouse.root()).exists(), "nothing was made");
}

#[tokio::test]
#[ignore = "needs tools: scripts/infra_tools.sh"]
async fn receipts_become_rows_and_only_those_of_a_table_in_need_come_again() {
    let warehouse = Warehouse::new();
    let mut bodies = Vec::new();
    for table in ["analytics.events", "analytics.orders"] {
        bodies.extend(receipts(warehouse.root(), table).await);
    }
    bodies.insert(1, "no receipt".to_owned());
    let variables = [("CALVE_WAREHOUSE", warehouse.root())];
    let function = Lambda::of("commit", TIMEOUT_S, &variables);
    let batch = messages(bodies).to_string();

    let metadata = Path::new(warehouse.root()).join("analytics/orders/metadata");
    let aside = metadata.with_file_name("aside");
    std::fs::rename(&metadata, &aside).unwrap();
    std::fs::write(&metadata, "in the way").unwrap();
    assert_eq!(again(&function.invoke(&batch)), ["m2"]);
    std::fs::remove_file(&metadata).unwrap();
    std::fs::rename(&aside, &metadata).unwrap();
    assert!(again(&function.invoke(&batch)).is_empty());

    assert_eq!(n_rows(&warehouse), 2);
    assert_eq!(n_rows(&warehouse.with_table("analytics.orders")), 2);
}

/// A queue that keeps what it is sent.
#[derive(Debug, Default)]
struct Queue(Mutex<Vec<String>>);

#[async_trait]
impl ReceiptSink for Queue {
    async fn send(&self, messages: &[String], _seed: u64) -> Result<(), SendError> {
        self.0.lock().unwrap().extend_from_slice(messages);
        Ok(())
    }
}

/// The receipt of a batch of two events of this table.
async fn receipts(warehouse: &str, table: &str) -> Vec<String> {
    let variables = [("CALVE_WAREHOUSE", warehouse), ("CALVE_TABLE_NAME", table)];
    let settings = Settings::load(variables).unwrap();
    let lake = open_lake(&settings).await.unwrap();
    let queue = Arc::new(Queue::default());
    let writer = Pipeline::with_sink(settings, lake, queue.clone()).await;
    let now_us = jiff::Timestamp::now().as_microsecond();
    let payload = Payload {
        records: vec![Record {
            delivery_id: "e".to_owned(),
            source_id: "e".to_owned(),
            arrival_us: now_us,
            body: Bytes::from_static(b"{\"id\":1}\n{\"id\":2}"),
            is_base64: false,
        }],
        source: SourceBatch::messages("sqs"),
    };
    let invocation = Invocation {
        now_us,
        deadline: None,
        seed: 7,
    };
    writer.unwrap().run(payload, &invocation).await.unwrap();
    let sent = queue.0.lock().unwrap();
    sent.clone()
}
