//! An invocation as Lambda sends it, with receipts as writers send them.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use commit::{Context, Moment, handle};
use lambda_runtime::LambdaEvent;
use pipeline::{
    Invocation, Payload, Pipeline, ReceiptSink, Record, SendError, Settings, SourceBatch, open_lake,
};
use serde_json::{Value, json};
use tempfile::TempDir;

const NOW_US: i64 = 1_763_640_000_000_000;

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

/// The function after its cold start, and what feeds it.
struct Function {
    settings: Settings,
    context: Context,
    directory: TempDir,
}

impl Function {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let warehouse = directory.path().to_str().unwrap();
        let variables = [
            ("CALVE_WAREHOUSE", warehouse),
            ("CALVE_THREADS", "1"),
            ("CALVE_EMBEDDED_METRICS", "false"),
        ];
        let settings = Settings::load(variables).unwrap();
        Self {
            context: Context::open(settings.clone()).await.unwrap(),
            settings,
            directory,
        }
    }

    /// Receipts of this many batches of one event.
    async fn receipts(&self, n_batches: u64) -> Vec<String> {
        let queue = Arc::new(Queue::default());
        let lake = open_lake(&self.settings).await.unwrap();
        let opened = Pipeline::with_sink(self.settings.clone(), lake, queue.clone()).await;
        let writer = opened.unwrap();
        for batch in 0..n_batches {
            let record = Record {
                delivery_id: format!("e{batch}"),
                source_id: format!("e{batch}"),
                arrival_us: NOW_US,
                body: Bytes::from_static(b"{\"a\":1}"),
                is_base64: false,
            };
            let payload = Payload {
                records: vec![record],
                source: SourceBatch::messages("sqs"),
            };
            let invocation = Invocation {
                now_us: NOW_US,
                deadline: None,
                seed: batch,
            };
            writer.run(payload, &invocation).await.unwrap();
        }
        let sent = queue.0.lock().unwrap();
        sent.clone()
    }

    async fn invoke(&self, event: Value, left_ms: u64) -> Result<Value, String> {
        let mut lambda = lambda_runtime::Context::default();
        lambda.request_id = "r1".to_owned();
        lambda.deadline = u64::try_from(NOW_US / 1_000).unwrap() + left_ms;
        let event = LambdaEvent::new(serde_json::from_value(event).unwrap(), lambda);
        let moment = Moment {
            now_us: NOW_US,
            seed: 7,
        };
        let answer = handle(&self.context, event, moment).await;
        answer
            .map(|answer| serde_json::to_value(answer).unwrap())
            .map_err(|error| error.to_string())
    }

    async fn n_rows(&self) -> u64 {
        let name = self.settings.table_name().unwrap();
        let table = self.context.committer().lake().load_table(&name).await;
        let table = table.unwrap().unwrap();
        table.metadata().current_snapshot().map_or(0, |snapshot| {
            let summary = &snapshot.summary().additional_properties;
            summary["total-records"].parse().unwrap()
        })
    }
}

/// An event of SQS with these bodies, whose messages are called `m0`, `m1`…
fn event(bodies: &[&str]) -> Value {
    let record = |(position, body): (usize, &&str)| {
        json!({
            "messageId": format!("m{position}"),
            "receiptHandle": "h",
            "body": body,
            "attributes": {
                "ApproximateReceiveCount": "1",
                "SentTimestamp": (NOW_US / 1_000 - 2_000).to_string(),
            },
            "messageAttributes": {},
            "md5OfBody": "",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:receipts",
            "awsRegion": "eu-west-1",
        })
    };
    let records: Vec<Value> = bodies.iter().enumerate().map(record).collect();
    json!({ "Records": records })
}

#[tokio::test]
async fn receipts_become_rows_and_what_is_no_receipt_is_settled_too() {
    let function = Function::start().await;
    let receipts = function.receipts(3).await;
    let bodies = [&receipts[0], &receipts[1], "garbage", &receipts[2]];
    let answer = function.invoke(event(&bodies), 60_000).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    assert_eq!(function.n_rows().await, 3);
    let again = function.invoke(event(&bodies), 60_000).await.unwrap();
    assert_eq!(again, json!({ "batchItemFailures": [] }));
    assert_eq!(function.n_rows().await, 3);
}

#[tokio::test]
async fn without_time_or_a_table_that_can_be_written_every_message_comes_again() {
    let function = Function::start().await;
    let receipts = function.receipts(2).await;
    let bodies = [receipts[0].as_str(), receipts[1].as_str()];
    let all =
        json!({ "batchItemFailures": [{ "itemIdentifier": "m0" }, { "itemIdentifier": "m1" }] });
    assert_eq!(function.invoke(event(&bodies), 0).await.unwrap(), all);
    assert_eq!(function.n_rows().await, 0);

    let metadata = function.directory.path().join("analytics/events/metadata");
    let aside = function.directory.path().join("aside");
    std::fs::rename(&metadata, &aside).unwrap();
    std::fs::write(&metadata, "in the way").unwrap();
    assert_eq!(function.invoke(event(&bodies), 60_000).await.unwrap(), all);
    std::fs::remove_file(&metadata).unwrap();
    std::fs::rename(&aside, &metadata).unwrap();

    let answer = function.invoke(event(&bodies), 60_000).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    assert_eq!(function.n_rows().await, 2);
}

#[tokio::test]
async fn a_message_without_an_id_fails_the_invocation() {
    let function = Function::start().await;
    let mut event = event(&["garbage"]);
    event["Records"][0]["messageId"] = Value::Null;
    let error = function.invoke(event, 60_000).await.unwrap_err();
    assert_eq!(error, "an SQS message has no `messageId`");
}
