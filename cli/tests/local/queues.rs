//! Queues.

use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName};
use serde_json::{Value, json};

use crate::desk::{Desk, Queue};

/// Sends records that misbehave at first, and checks how often each was delivered until the queue was empty.
async fn check(
    records: &[(&str, Value)],
    options: &[&str],
    expected: &[(&str, u64)],
) -> (Value, String) {
    let (desk, queue) = (Desk::new(), Queue::new().await);
    for (id, actions) in records {
        queue
            .send(&json!({ "id": id, "do": actions }).to_string())
            .await;
    }
    let options = [&["--events-queue", &queue.url, "--timeout-s", "1"], options].concat();
    let running = desk.start(&options);
    desk.await_deliveries(expected).await;
    queue.await_empty().await;
    let (report, said) = running.stop();
    let deliveries = desk.deliveries();
    for (id, n) in expected {
        assert_eq!(deliveries[*id], *n, "deliveries of `{id}`: {said}");
    }
    assert_eq!(report["sources"][0]["n_done"], records.len(), "{report}");
    (report, said)
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn only_the_messages_that_are_named_come_again_and_go_to_the_dead_letters_in_the_end() {
    let (desk, dead) = (Desk::new(), Queue::new().await);
    let asked = dead.client.get_queue_attributes().queue_url(&dead.url);
    let asked = asked
        .attribute_names(QueueAttributeName::QueueArn)
        .send()
        .await
        .unwrap();
    let arn = &asked.attributes().unwrap()[&QueueAttributeName::QueueArn];
    let redrive = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": "2" }).to_string();
    let attributes = [
        (QueueAttributeName::VisibilityTimeout, "2"),
        (QueueAttributeName::RedrivePolicy, &redrive),
    ];
    let queue = Queue::with(&attributes).await;
    for (id, actions) in [
        ("well", json!(["ok"])),
        ("once", json!(["fail", "ok"])),
        ("never", json!(["fail"])),
    ] {
        queue
            .send(&json!({ "id": id, "do": actions }).to_string())
            .await;
    }

    let options = [
        "--events-queue",
        &queue.url,
        "--timeout-s",
        "2",
        "--window-s",
        "1",
    ];
    let running = desk.start(&options);
    let received = dead.client.receive_message().queue_url(&dead.url);
    let received = received.wait_time_seconds(20).send().await.unwrap();
    let body: Value = serde_json::from_str(received.messages()[0].body().unwrap()).unwrap();
    assert_eq!(body["id"], "never");
    queue.await_empty().await;
    let (report, said) = running.stop();

    let deliveries = desk.deliveries();
    let n = |id: &str| deliveries[id];
    assert_eq!((n("well"), n("once"), n("never")), (1, 2, 2), "{said}");
    let counts = &report["sources"][0];
    assert_eq!(
        (&counts["n_done"], &counts["n_named_failed"]),
        (&json!(2), &json!(3))
    );
    assert_eq!(report["functions"][0]["n_instances"], 1, "{report}");
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn a_message_arrives_as_lambda_hands_it_on() {
    let (desk, queue) = (Desk::new(), Queue::new().await);
    let body = r#"{"id":"a","text":"Grüße\n"}"#;
    let attribute = MessageAttributeValue::builder()
        .data_type("String")
        .string_value("event");
    let sent = queue
        .client
        .send_message()
        .queue_url(&queue.url)
        .message_body(body)
        .message_attributes("kind", attribute.build().unwrap())
        .send()
        .await
        .unwrap();
    let running = desk.start(&["--events-queue", &queue.url, "--timeout-s", "2"]);
    desk.await_deliveries(&[("a", 1)]).await;
    queue.await_empty().await;
    running.stop();

    let log = desk.log();
    let record = &log[0]["event"]["Records"][0];
    assert_eq!(record["body"], body);
    assert_eq!(record["messageId"], sent.message_id().unwrap());
    assert_eq!(record["md5OfBody"], sent.md5_of_message_body().unwrap());
    assert_eq!(record["eventSource"], "aws:sqs");
    assert_eq!(record["attributes"]["ApproximateReceiveCount"], "1");
    let sent_ms: i64 = record["attributes"]["SentTimestamp"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(
        record["messageAttributes"],
        json!({"kind": {"stringValue": "event", "stringListValues": [], "binaryListValues": [], "dataType": "String"}})
    );
    let arn = record["eventSourceARN"].as_str().unwrap();
    let name = queue.url.rsplit_once('/').unwrap().1;
    assert!(
        arn.starts_with("arn:aws:sqs:us-east-1:") && arn.ends_with(name),
        "{arn}"
    );

    let headers = &log[0]["headers"];
    let deadline_ms: i64 = headers["lambda-runtime-deadline-ms"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(deadline_ms > sent_ms + 1_999, "{deadline_ms} {sent_ms}");
    assert_eq!(
        headers["lambda-runtime-invoked-function-arn"],
        "arn:aws:lambda:us-east-1:000000000000:function:ingest"
    );
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn a_function_that_ends_in_the_midst_of_a_batch_is_replaced_and_the_batch_comes_again() {
    let records = [("breaks", json!(["exit", "ok"])), ("beside", json!(["ok"]))];
    let (report, said) = check(
        &records,
        &["--window-s", "1"],
        &[("breaks", 2), ("beside", 2)],
    )
    .await;
    assert!(said.contains("ended with exit status: 3"), "{said}");
    assert_eq!(report["functions"][0]["n_instances"], 2, "{report}");
    assert_eq!(report["sources"][0]["n_failed_batches"], 1, "{report}");
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn a_function_that_does_not_answer_is_ended_and_the_batch_comes_again() {
    let records = [("hangs", json!(["hang", "ok"]))];
    let (report, said) = check(&records, &[], &[("hangs", 2)]).await;
    assert!(said.contains("did not answer within 1 s"), "{said}");
    assert_eq!(report["functions"][0]["n_instances"], 2, "{report}");
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn a_function_that_says_it_failed_is_kept_and_the_batch_comes_again() {
    let records = [("fails", json!(["error", "ok"])), ("beside", json!(["ok"]))];
    let (report, said) = check(
        &records,
        &["--window-s", "1"],
        &[("fails", 2), ("beside", 2)],
    )
    .await;
    assert!(said.contains("Scripted: as told"), "{said}");
    assert_eq!(report["functions"][0]["n_instances"], 1, "{report}");
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn an_answer_that_cannot_be_understood_fails_the_whole_batch() {
    for (action, reason) in [
        ("garbage", "no partial batch response"),
        ("stranger", "names `nobody`"),
    ] {
        let records = [("odd", json!([action, "ok"])), ("beside", json!(["ok"]))];
        let (_, said) = check(&records, &["--window-s", "1"], &[("odd", 2), ("beside", 2)]).await;
        assert!(said.contains(reason), "{said}");
    }
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn as_many_instances_work_at_once_as_allowed_and_no_more() {
    let (desk, queue) = (
        Desk::new(),
        Queue::with(&[(QueueAttributeName::VisibilityTimeout, "30")]).await,
    );
    // The first two do not answer before both are there.
    let names: Vec<String> = (0..8).map(|n| format!("m{n}")).collect();
    for name in &names {
        queue
            .send(&json!({ "id": name, "do": ["meet"] }).to_string())
            .await;
    }
    let options = [
        "--events-queue",
        &queue.url,
        "--batch-size",
        "1",
        "--concurrency",
        "2",
    ];
    let running = desk.start(&options);
    let wanted: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    desk.await_deliveries(&wanted).await;
    queue.await_empty().await;
    let (report, said) = running.stop();
    let (mut n_at_once, mut most_at_once) = (0, 0);
    for entry in desk.log() {
        n_at_once += if entry["begin"].is_null() { -1 } else { 1 };
        most_at_once = most_at_once.max(n_at_once);
    }
    assert_eq!(most_at_once, 2, "{said}");
    assert_eq!(report["functions"][0]["n_instances"], 2, "{report}");
    assert_eq!(report["sources"][0]["n_batches"], 8, "{report}");
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn a_window_gathers_more_messages_than_one_request_receives() {
    let (desk, queue) = (
        Desk::new(),
        Queue::with(&[(QueueAttributeName::VisibilityTimeout, "30")]).await,
    );
    let names: Vec<String> = (0..25).map(|n| format!("m{n}")).collect();
    for name in &names {
        queue.send(&json!({ "id": name }).to_string()).await;
    }
    let options = [
        "--events-queue",
        &queue.url,
        "--batch-size",
        "25",
        "--window-s",
        "30",
    ];
    let running = desk.start(&options);
    let wanted: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    desk.await_deliveries(&wanted).await;
    queue.await_empty().await;
    let (report, _) = running.stop();
    assert_eq!(report["sources"][0]["n_batches"], 1, "{report}");
    assert_eq!(
        desk.events()[0]["Records"].as_array().map(Vec::len),
        Some(25)
    );
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn a_queue_that_would_deliver_again_while_the_function_works_is_refused() {
    let (desk, queue) = (Desk::new(), Queue::new().await);
    let function = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/local/function.py");
    let options = ["--ingest", function, "--events-queue", &queue.url];
    let output = desk.command(&options).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("hides a message for 2 s"), "{said}");
    assert!(said.contains("hint: raise"), "{said}");
}
