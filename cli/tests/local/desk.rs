//! The command under test, the function behind it, and the services before it.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::QueueAttributeName;
use aws_smithy_http_client::Builder;
use serde_json::Value;
use tempfile::TempDir;

const REGION: &str = "us-east-1";

/// How long anything may take; only a failure takes so long.
const PATIENCE: Duration = Duration::from_mins(1);

/// `calve local` with the scripted function as `ingest`, and what that wrote down.
pub(crate) struct Desk {
    directory: TempDir,
}

/// `calve local` while it runs. Ended with the test.
pub(crate) struct Running {
    child: Child,
    said: std::thread::JoinHandle<String>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// The command, to be run.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_calve"));
        command
            .args(["local", "--output", "json"])
            .args(arguments)
            .current_dir(&self.directory)
            .env_clear()
            .env("FUNCTION_DIRECTORY", self.directory.path())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("AWS_ACCESS_KEY_ID", "anybody")
            .env("AWS_SECRET_ACCESS_KEY", "anything")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts the command with the scripted function, and waits until it is ready.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let function = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/local/function.py");
        let arguments = [&["--ingest", function.to_str().unwrap()], arguments].concat();
        let mut child = self.command(&arguments).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("ready") {
            assert!(lines.read_line(&mut said).unwrap() > 0, "{said}");
        }
        let said = std::thread::spawn(move || {
            lines.read_to_string(&mut said).unwrap();
            said
        });
        Running { child, said }
    }

    /// What the function wrote down: `begin` and `end` of each invocation.
    pub(crate) fn log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        // The last line may not be whole yet.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The events of all invocations, in the order in which they began.
    pub(crate) fn events(&self) -> Vec<Value> {
        let log = self.log().into_iter();
        log.filter(|entry| !entry["begin"].is_null())
            .map(|mut entry| entry["event"].take())
            .collect()
    }

    /// How often each record was delivered, by the id in its body.
    pub(crate) fn deliveries(&self) -> HashMap<String, u64> {
        let mut found = HashMap::new();
        for entry in std::fs::read_dir(self.directory.path()).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if let Some(id) = name.strip_prefix("seen-") {
                found.insert(id.to_owned(), entry.metadata().unwrap().len());
            }
        }
        found
    }

    /// Waits until each of these ids was delivered so often.
    pub(crate) async fn await_deliveries(&self, wanted: &[(&str, u64)]) {
        await_that(&format!("deliveries {wanted:?}"), async || {
            let seen = self.deliveries();
            let came = |(id, n): &(&str, u64)| seen.get(*id).is_some_and(|seen| seen >= n);
            wanted.iter().all(came)
        })
        .await;
    }
}

impl Running {
    /// Tells the command to stop and gives its report, and what it said on the way.
    pub(crate) fn stop(mut self) -> (Value, String) {
        self.signal();
        let mut report = String::new();
        let mut output = self.child.stdout.take().unwrap();
        output.read_to_string(&mut report).unwrap();
        let status = self.child.wait().unwrap();
        let said = std::mem::replace(&mut self.said, std::thread::spawn(String::new));
        let said = said.join().unwrap();
        assert!(status.success(), "{status}: {said}");
        (serde_json::from_str(&report).unwrap(), said)
    }

    fn signal(&self) {
        let pid = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(told.unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It is gone already where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again until it is so.
pub(crate) async fn await_that(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < end, "never came: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
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

/// A name that no other test uses.
pub(crate) fn unique(name: &str) -> String {
    format!("{name}-{}", uuid::Uuid::new_v4())
}

pub(crate) fn kinesis() -> (aws_sdk_kinesis::Client, String) {
    let endpoint = variable("CALVE_TEST_KINESIS_ENDPOINT");
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(&endpoint)
        .http_client(Builder::new().build_http())
        .credentials_provider(Credentials::new("anybody", "anything", None, None, "test"));
    let client = aws_sdk_kinesis::Client::from_conf(config.build());
    (client, endpoint)
}

/// A queue of one test.
pub(crate) struct Queue {
    pub(crate) client: aws_sdk_sqs::Client,
    pub(crate) url: String,
}

impl Queue {
    /// One whose messages come again after two seconds.
    pub(crate) async fn new() -> Self {
        Self::with(&[(QueueAttributeName::VisibilityTimeout, "2")]).await
    }

    pub(crate) async fn with(attributes: &[(QueueAttributeName, &str)]) -> Self {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(variable("CALVE_TEST_SQS_ENDPOINT"))
            .http_client(Builder::new().build_http())
            .credentials_provider(Credentials::new("anybody", "anything", None, None, "test"));
        let client = aws_sdk_sqs::Client::from_conf(config.build());
        let mut making = client.create_queue().queue_name(unique("events"));
        for (name, value) in attributes {
            making = making.attributes(name.clone(), *value);
        }
        let made = making.send().await.unwrap();
        let url = made.queue_url().unwrap().to_owned();
        Self { client, url }
    }

    pub(crate) async fn send(&self, body: &str) {
        let sending = self.client.send_message().queue_url(&self.url);
        sending.message_body(body).send().await.unwrap();
    }

    /// Waits until no message is in the queue, neither to be received nor hidden.
    pub(crate) async fn await_empty(&self) {
        use QueueAttributeName::{
            ApproximateNumberOfMessages as Ready, ApproximateNumberOfMessagesNotVisible as Hidden,
        };
        await_that("an empty queue", async || {
            let asked = self.client.get_queue_attributes().queue_url(&self.url);
            let asked = asked.attribute_names(Ready).attribute_names(Hidden);
            let answer = asked.send().await.unwrap();
            let numbers = answer.attributes().unwrap();
            [Ready, Hidden].iter().all(|name| numbers[name] == "0")
        })
        .await;
    }
}
