//! Staged mode: what each trigger is told once the receipt is durable, and when it is not.

use async_trait::async_trait;
use pipeline::{ReceiptSink, SendError};
use serde_json::{Value, json};

use crate::common::{Function, body_of, fixture};

/// A queue that takes everything, or nothing.
#[derive(Debug)]
struct Queue {
    is_open: bool,
}

#[async_trait]
impl ReceiptSink for Queue {
    async fn send(&self, messages: &[String], _seed: u64) -> Result<(), SendError> {
        if self.is_open {
            return Ok(());
        }
        Err(SendError {
            queue: "https://sqs.example/receipts".to_owned(),
            n_messages: messages.len(),
            unsent: (0..messages.len()).collect(),
            retryable: true,
            source: "it is not reached".into(),
        })
    }
}

async fn function(is_open: bool) -> Function {
    Function::start_staged(Queue { is_open }).await
}

#[tokio::test]
async fn an_http_sender_is_told_202_with_counts_once_the_receipt_is_durable() {
    for name in ["api_gateway_v1.json", "api_gateway_v2.json"] {
        let function = function(true).await;
        let answer = function.invoke("r1", &fixture(name)).await.unwrap();
        assert_eq!(answer["statusCode"], 202, "{answer}");
        let body = body_of(&answer);
        assert_eq!(
            (&body["n_rows"], &body["n_quarantined"], &body["table"]),
            (&json!(2), &json!(0), &json!("analytics.events"))
        );
        assert_eq!(body["snapshot_id"], Value::Null);
        assert_eq!(function.n_committed().await, 0);
        assert_eq!(function.rows().len(), 2);
    }
}

#[tokio::test]
async fn a_body_without_any_event_is_refused_as_in_direct_mode() {
    let function = function(true).await;
    let mut request = fixture("api_gateway_v2.json");
    request["body"] = "oops".into();
    let answer = function.invoke("r1", &request).await.unwrap();
    assert_eq!(answer["statusCode"], 400, "{answer}");
}

#[tokio::test]
async fn messages_and_records_are_done_once_the_receipt_is_durable() {
    let function = function(true).await;
    for name in ["sqs.json", "kinesis.json"] {
        let answer = function.invoke("r1", &fixture(name)).await.unwrap();
        assert_eq!(answer, json!({ "batchItemFailures": [] }), "{name}");
    }
    assert_eq!(function.n_committed().await, 0);
}

#[tokio::test]
async fn without_a_durable_receipt_everything_comes_again() {
    let function = function(false).await;
    let answer = function.invoke("r1", &fixture("sqs.json")).await.unwrap();
    let n_messages = fixture("sqs.json")["Records"].as_array().unwrap().len();
    let failures = answer["batchItemFailures"].as_array().unwrap();
    assert_eq!(failures.len(), n_messages);

    let answer = function.invoke("r2", &fixture("api_gateway_v1.json")).await;
    let answer = answer.unwrap();
    assert_eq!(answer["statusCode"], 503, "{answer}");
    assert!(!answer.to_string().contains("sqs.example"), "{answer}");

    let failure = function.invoke("r3", &json!({ "user": 1 })).await;
    let failure = failure.unwrap_err();
    assert_eq!(failure.kind, "NotLanded");
    assert!(
        failure
            .message
            .contains("1 of 1 receipts were not acknowledged"),
        "{failure}"
    );
}
