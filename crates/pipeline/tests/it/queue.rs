//! Receipts through a real queue: the SQS of LocalStack, which `scripts/servers.py` starts.

use std::{path::Path, sync::Arc};

use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    types::{DeleteMessageBatchRequestEntry, MessageSystemAttributeName},
};
use aws_smithy_http_client::Builder;
use lake::{Lake, S3Credentials, S3Keys, S3Options};
use pipeline::{
    Committer, MAX_MESSAGE_BYTES, Pipeline, ReceiptMessage, ReceiptSink as _, SqsQueue,
};
use tempfile::tempdir;

use crate::common::{invocation, messages, n_committed, rows, settings};

const REGION: &str = "us-east-1";

/// A queue of this test alone.
struct Queue {
    client: Client,
    url: String,
    options: S3Options,
}

impl Queue {
    async fn new() -> Self {
        let endpoint = variable("CALVE_TEST_SQS_ENDPOINT");
        let keys = S3Keys {
            access_key_id: variable("CALVE_TEST_AWS_ACCESS_KEY_ID"),
            secret_access_key: variable("CALVE_TEST_AWS_SECRET_ACCESS_KEY"),
            session_token: None,
        };
        let (id, secret) = (keys.access_key_id.clone(), keys.secret_access_key.clone());
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(&endpoint)
            .http_client(Builder::new().build_http())
            .credentials_provider(Credentials::new(id, secret, None, None, "test"));
        let client = Client::from_conf(config.build());
        let name = format!("receipts-{}", uuid::Uuid::new_v4());
        let made = client.create_queue().queue_name(name).send().await.unwrap();
        Self {
            client,
            url: made.queue_url().unwrap().to_owned(),
            options: S3Options {
                region: Some(REGION.to_owned()),
                credentials: S3Credentials::Static(keys),
                ..S3Options::at(endpoint)
            },
        }
    }

    async fn sink(&self) -> SqsQueue {
        SqsQueue::open(&*self.url, &self.options).await.unwrap()
    }

    async fn writer(&self, warehouse: &Path) -> Pipeline {
        let lake = Lake::embedded(warehouse).unwrap();
        let sink = Arc::new(self.sink().await);
        let opened = Pipeline::with_sink(settings(warehouse), lake, sink).await;
        opened.unwrap()
    }

    /// Receives this many messages and takes them off the queue.
    async fn receive(&self, n_messages: usize) -> Vec<ReceiptMessage> {
        let mut received = Vec::new();
        while received.len() < n_messages {
            let answer = self
                .client
                .receive_message()
                .queue_url(&self.url)
                .max_number_of_messages(10)
                .wait_time_seconds(20)
                .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
                .send()
                .await
                .unwrap();
            assert!(!answer.messages().is_empty(), "{} came", received.len());
            let mut done = self.client.delete_message_batch().queue_url(&self.url);
            for (position, message) in answer.messages().iter().enumerate() {
                let sent =
                    &message.attributes().unwrap()[&MessageSystemAttributeName::SentTimestamp];
                let entry = DeleteMessageBatchRequestEntry::builder()
                    .id(position.to_string())
                    .receipt_handle(message.receipt_handle().unwrap());
                done = done.entries(entry.build().unwrap());
                received.push(ReceiptMessage {
                    delivery_id: message.message_id().unwrap().to_owned(),
                    body: message.body().unwrap().to_owned(),
                    sent_us: sent.parse::<i64>().unwrap() * 1_000,
                });
            }
            done.send().await.unwrap();
        }
        received
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the servers of a test are no setting of Calve"
)]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run `scripts/servers.py run -- cargo test … -- --ignored`")
    })
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn events_of_many_writers_are_rows_of_one_snapshot_by_way_of_sqs() {
    let directory = tempdir().unwrap();
    let queue = Queue::new().await;
    let mut expected = Vec::new();
    for writer in 0..3 {
        let pipeline = queue.writer(directory.path()).await;
        for batch in 0..5 {
            let name = format!("w{writer}b{batch}");
            let payload = messages(&name, [r#"{"a":1}"#, r#"{"a":2}"#]);
            let report = pipeline
                .run(payload, &invocation(writer * 10 + batch))
                .await;
            assert_eq!(report.unwrap().n_records_staged, 2);
            expected.extend([(format!("{name}-0"), 0), (format!("{name}-1"), 0)]);
        }
    }
    let received = queue.receive(15).await;
    let lake = Lake::embedded(directory.path()).unwrap();
    let committer = Committer::with_lake(settings(directory.path()), lake);
    let report = committer.run(received, &invocation(1)).await;
    assert_eq!(
        (report.n_committed, report.n_retried),
        (15, 0),
        "{report:?}"
    );
    assert_eq!(
        (report.tables[0].n_files, report.tables[0].n_attempts),
        (15, 1)
    );
    let reader = Pipeline::open(settings(directory.path())).await.unwrap();
    assert_eq!(n_committed(&reader).await, 30);
    expected.sort();
    assert_eq!(rows(directory.path()), expected);
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn more_messages_than_one_request_takes_all_arrive() {
    let queue = Queue::new().await;
    let sink = queue.sink().await;
    sink.check().await.unwrap();
    let sent: Vec<String> = (0..23).map(|n| format!("{n:04}")).collect();
    sink.send(&sent, 1).await.unwrap();
    let received = queue.receive(23).await;
    let mut bodies: Vec<String> = received.into_iter().map(|message| message.body).collect();
    bodies.sort();
    assert_eq!(bodies, sent);

    let largest = "x".repeat(MAX_MESSAGE_BYTES);
    sink.send(&[largest.clone(), largest], 2).await.unwrap();
    for message in queue.receive(2).await {
        assert_eq!(message.body.len(), MAX_MESSAGE_BYTES);
    }
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn a_queue_that_is_not_there_acknowledges_nothing() {
    let queue = Queue::new().await;
    queue
        .client
        .delete_queue()
        .queue_url(&queue.url)
        .send()
        .await
        .unwrap();
    let sink = queue.sink().await;
    assert!(sink.check().await.is_err());
    let error = sink
        .send(&["a".to_owned(), "b".to_owned()], 1)
        .await
        .unwrap_err();
    assert_eq!(
        (error.unsent.as_slice(), error.retryable),
        (&[0, 1][..], false)
    );
    assert!(
        error
            .to_string()
            .starts_with("2 of 2 receipts were not acknowledged")
    );
    let directory = tempdir().unwrap();
    let writer = queue.writer(directory.path()).await;
    let error = writer
        .run(messages("m", ["{\"a\":1}"]), &invocation(1))
        .await
        .unwrap_err();
    assert!(
        error.hint().unwrap().contains("CALVE_RECEIPT_QUEUE_URL"),
        "{error}"
    );
}
