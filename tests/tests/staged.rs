//! The whole way in staged mode, with the programs that would be deployed: events through a queue or a stream of
//! LocalStack into the ingest function, its receipts through another queue into the commit function, the table in
//! SeaweedFS, read back by `DuckDB`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[expect(dead_code, reason = "other tests look at warehouses in directories")]
mod support;

#[path = "support/cloud.rs"]
mod cloud;

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use aws_sdk_kinesis::types::StreamStatus;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::QueueAttributeName::{
    ApproximateNumberOfMessages as Ready, ApproximateNumberOfMessagesNotVisible as Hidden,
    VisibilityTimeout,
};
use aws_smithy_http_client::Builder;
use cloud::{Cloud, variable};
use generator::Corpus;
use serde_json::Value;
use support::{canonical, program_path, rebuild};

/// How long anything may take; only a failure takes so long.
const PATIENCE: Duration = Duration::from_mins(2);

const N_EVENTS: usize = 3_000;
const N_MESSAGES: usize = N_EVENTS / 50;

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn events_of_a_queue_are_rows_by_way_of_both_functions_and_their_receipts() {
    let desk = Desk::new();
    let events = desk.queue("events").await;
    let receipts = desk.queue("receipts").await;
    let options = ["--batch-size", "20", "--window-s", "1"];
    let local = Local::start(
        &desk,
        &receipts,
        &[&["--events-queue", &events], &options[..]].concat(),
    );
    desk.send(&format!("sqs:{events}"));
    let garbage = desk.client.send_message().queue_url(&events);
    garbage.message_body("no event").send().await.unwrap();
    // A message goes when its receipt is in the queue.
    desk.await_empty(&events).await;
    check(&desk, local, &receipts, N_MESSAGES + 1).await;
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn events_of_a_stream_are_rows_by_way_of_both_functions_and_their_receipts() {
    let desk = Desk::new();
    let stream = desk.stream().await;
    let receipts = desk.queue("receipts").await;
    let options = ["--stream-batch-size", "20"];
    let local = Local::start(
        &desk,
        &receipts,
        &[&["--stream", &stream], &options[..]].concat(),
    );
    desk.send(&format!("kinesis:{stream}"));
    desk.await_rows().await;
    check(&desk, local, &receipts, N_MESSAGES).await;
}

#[tokio::test]
#[ignore = "needs servers: scripts/servers.py"]
async fn events_of_a_queue_are_rows_of_the_tables_that_they_name() {
    let mut desk = Desk::new();
    let routes = [
        ("CALVE_ROUTES_FIELD", "event_type"),
        ("CALVE_ROUTES_TABLES", "click"),
    ];
    let variables = &mut desk.cloud.variables;
    variables.extend(routes.map(|(name, value)| (name, value.to_owned())));
    let events = desk.queue("events").await;
    let receipts = desk.queue("receipts").await;
    let batches = ["--batch-size", "20", "--window-s", "1"];
    let options = [&["--events-queue", &events], &batches[..]].concat();
    let local = Local::start(&desk, &receipts, &options);
    desk.send(&format!("sqs:{events}"));
    desk.await_empty(&events).await;
    desk.await_empty(&receipts).await;
    let report = local.stop();
    assert_eq!(report["sources"][0]["n_done"], N_MESSAGES, "{report}");

    let (clicks, others): (Vec<Value>, Vec<Value>) = sent()
        .into_iter()
        .partition(|event| event["event_type"] == "click");
    for (table, events) in [("click", clicks), ("events", others)] {
        let table = format!("{}.{table}", desk.cloud.name);
        let variables = &mut desk.cloud.variables;
        variables.insert("CALVE_TABLE_NAME", table.clone());
        let rows = rows(&desk);
        assert!(
            rows == sorted(&events),
            "the rows of `{table}` are not its events"
        );
    }
}

/// Waits until every receipt is committed, and holds the rows against the events.
async fn check(desk: &Desk, local: Local, receipts: &str, n_records: usize) {
    // A receipt goes when it is committed.
    desk.await_empty(receipts).await;
    let report = local.stop();
    let (ingest, commit) = (&report["sources"][0], &report["sources"][1]);
    assert_eq!(ingest["n_done"], n_records, "{report}");
    assert_eq!(commit["n_records"], commit["n_done"], "{report}");

    let rows = rows(desk);
    assert_eq!(rows.len(), N_EVENTS, "{report}");
    assert!(rows == sorted(&sent()), "the rows are not the events");
}

/// The events that are sent.
fn sent() -> Vec<Value> {
    let corpus = Corpus::new(&generator::Settings::default(), N_EVENTS);
    let events = corpus.events();
    events
        .map(|event| canonical(&serde_json::from_slice(event).unwrap()))
        .collect()
}

fn sorted(events: &[Value]) -> Vec<String> {
    let mut texts: Vec<String> = events.iter().map(Value::to_string).collect();
    texts.sort_unstable();
    texts
}

/// The events that the rows of the table are, as `DuckDB` reads them, each once.
fn rows(desk: &Desk) -> Vec<String> {
    let (columns, read) = (desk.cloud.columns(), desk.cloud.read());
    assert_eq!(read.n_distinct, Some(read.n_rows));
    let rows = read.lines.iter();
    let events = rows.map(|line| rebuild(&serde_json::from_str(line).unwrap(), &columns));
    sorted(&events.map(Option::unwrap).collect::<Vec<_>>())
}

/// The queues and streams of one test.
struct Desk {
    client: Client,
    kinesis: aws_sdk_kinesis::Client,
    cloud: Cloud,
}

impl Desk {
    fn new() -> Self {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(variable("CALVE_TEST_AWS_REGION")))
            .endpoint_url(variable("CALVE_TEST_SQS_ENDPOINT"))
            .http_client(Builder::new().build_http())
            .credentials_provider(Credentials::new("anybody", "anything", None, None, "test"));
        let kinesis = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(variable("CALVE_TEST_AWS_REGION")))
            .endpoint_url(variable("CALVE_TEST_KINESIS_ENDPOINT"))
            .http_client(Builder::new().build_http())
            .credentials_provider(Credentials::new("anybody", "anything", None, None, "test"));
        Self {
            client: Client::from_conf(config.build()),
            kinesis: aws_sdk_kinesis::Client::from_conf(kinesis.build()),
            cloud: Cloud::new("staged"),
        }
    }

    async fn queue(&self, name: &str) -> String {
        let making = self.client.create_queue();
        let making = making.queue_name(format!("{}_{name}", self.cloud.name));
        let made = making.attributes(VisibilityTimeout, "60").send().await;
        made.unwrap().queue_url().unwrap().to_owned()
    }

    async fn stream(&self) -> String {
        let name = format!("{}_events", self.cloud.name);
        let making = self.kinesis.create_stream().stream_name(&name);
        making.shard_count(2).send().await.unwrap();
        let end = Instant::now() + PATIENCE;
        loop {
            let asked = self.kinesis.describe_stream_summary().stream_name(&name);
            let answer = asked.send().await.unwrap();
            let summary = answer.stream_description_summary().unwrap();
            if *summary.stream_status() == StreamStatus::Active {
                return name;
            }
            assert!(Instant::now() < end, "`{name}` does not become active");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Sends all events, many in a message.
    fn send(&self, target: &str) {
        let (n_events, endpoint) = (N_EVENTS.to_string(), variable("CALVE_TEST_SQS_ENDPOINT"));
        let packing = ["--batch", "500", "--pack", "50", "--compress", "zstd"];
        let options = ["--output", "json", "-n", &n_events, "--to", target];
        let endpoint = ["--endpoint", &endpoint];
        let sent = self
            .cloud
            .run("generator", &[&packing[..], &options, &endpoint].concat());
        let sent: Value = serde_json::from_str(&sent).unwrap();
        let counts = (&sent["n_events"], &sent["n_messages"]);
        assert_eq!(counts, (&N_EVENTS.into(), &N_MESSAGES.into()));
    }

    /// Waits until the table has as many rows as events were sent.
    async fn await_rows(&self) {
        let end = Instant::now() + PATIENCE;
        while self.cloud.facts()["n_rows"] != N_EVENTS {
            assert!(
                Instant::now() < end,
                "rows are missing: {}",
                self.cloud.facts()
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn await_empty(&self, queue: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            let asked = self.client.get_queue_attributes().queue_url(queue);
            let asked = asked.attribute_names(Ready).attribute_names(Hidden);
            let answer = asked.send().await.unwrap();
            let numbers = answer.attributes().unwrap();
            if [Ready, Hidden].iter().all(|name| numbers[name] == "0") {
                return;
            }
            assert!(
                Instant::now() < end,
                "`{queue}` does not empty: {numbers:?}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// `calve local` while it runs. Ended with the test.
struct Local {
    child: Child,
    said: Option<JoinHandle<String>>,
}

impl Local {
    fn start(desk: &Desk, receipts: &str, options: &[&str]) -> Self {
        let (ingest, commit) = (program_path("ingest"), program_path("commit"));
        let mut child = desk
            .cloud
            .command("calve")
            .args(["local", "--output", "json", "--timeout-s", "60"])
            .args(["--endpoint", &variable("CALVE_TEST_SQS_ENDPOINT")])
            .args(["--receipts-queue", receipts])
            .args(options)
            .arg("--ingest")
            .arg(ingest)
            .arg("--commit")
            .arg(commit)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("ready") {
            assert!(lines.read_line(&mut said).unwrap() > 0, "{said}");
        }
        // The functions' logs have to go somewhere; a test that fails at the end shows them.
        let said = std::thread::spawn(move || {
            lines.read_to_string(&mut said).unwrap();
            said
        });
        Self {
            child,
            said: Some(said),
        }
    }

    fn stop(mut self) -> Value {
        let pid = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(told.unwrap().success());
        let mut report = String::new();
        let mut output = self.child.stdout.take().unwrap();
        output.read_to_string(&mut report).unwrap();
        let said = self.said.take().unwrap().join().unwrap();
        assert!(self.child.wait().unwrap().success(), "{said}");
        serde_json::from_str(&report).unwrap()
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // It is gone already where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
