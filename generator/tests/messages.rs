//! The `generator` command before a queue and a stream that refuse some of what they are sent.

#![expect(clippy::unwrap_used, reason = "a helper fails its test by panicking")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use generator::{Corpus, Settings};
use serde_json::{Value, json};

/// What a service was sent, and the events that it has taken.
#[derive(Default)]
struct Seen {
    /// The number of messages of each request.
    requests: Vec<usize>,
    taken: Vec<String>,
    keys: Vec<String>,
    /// How often each message came.
    times: BTreeMap<String, u32>,
}

/// Plays SQS and Kinesis: a message is refused as often as `n_refusals` says for its place in its first request.
struct Service {
    url: String,
    seen: Arc<Mutex<Seen>>,
}

impl Service {
    fn start(n_refusals: fn(usize) -> u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let seen = Arc::clone(&shared);
                thread::spawn(move || {
                    let mut stream = BufReader::new(stream.unwrap());
                    while let Some((operation, body)) = read_request(&mut stream) {
                        let answer = match operation.as_str() {
                            "GetQueueAttributes" => {
                                json!({ "Attributes": { "MaximumMessageSize": "1048576" } })
                            }
                            "SendMessageBatch" => {
                                queue_answer(&mut seen.lock().unwrap(), &body, n_refusals)
                            }
                            "PutRecords" => {
                                stream_answer(&mut seen.lock().unwrap(), &body, n_refusals)
                            }
                            other => panic!("nobody asks for {other}"),
                        };
                        let answer = answer.to_string();
                        let head = format!(
                            "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n",
                            answer.len()
                        );
                        let written = stream.get_mut().write_all((head + &answer).as_bytes());
                        written.unwrap();
                    }
                });
            }
        });
        Self { url, seen }
    }

    fn run(&self, target: &str, options: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_generator"))
            .args(["--to", target, "--endpoint", &self.url, "--output", "json"])
            .args(options)
            .env_clear()
            .env("AWS_ACCESS_KEY_ID", "anybody")
            .env("AWS_SECRET_ACCESS_KEY", "anything")
            .env("AWS_REGION", "eu-central-1")
            .output()
            .unwrap()
    }
}

/// The operation and the body of the next request, `None` when the connection is closed.
fn read_request(stream: &mut BufReader<TcpStream>) -> Option<(String, Value)> {
    let (mut n_bytes, mut operation) = (0, String::new());
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        match name.to_ascii_lowercase().as_str() {
            "content-length" => n_bytes = value.trim().parse().unwrap(),
            "x-amz-target" => {
                value
                    .trim()
                    .rsplit_once('.')
                    .unwrap()
                    .1
                    .clone_into(&mut operation);
            }
            _ => {}
        }
    }
    let mut body = vec![0; n_bytes];
    stream.read_exact(&mut body).ok()?;
    Some((operation, serde_json::from_slice(&body).unwrap()))
}

impl Seen {
    /// Whether a message is taken that came at this place of a request.
    fn takes(&mut self, message: &str, place: usize, n_refusals: fn(usize) -> u32) -> bool {
        let times = self.times.entry(message.to_owned()).or_insert(0);
        *times += 1;
        // What comes again stands at another place.
        let is_taken = if *times == 1 {
            n_refusals(place) == 0
        } else {
            *times > n_refusals(usize::MAX)
        };
        if is_taken {
            self.taken.push(message.to_owned());
        }
        is_taken
    }
}

fn queue_answer(seen: &mut Seen, body: &Value, n_refusals: fn(usize) -> u32) -> Value {
    let entries = body["Entries"].as_array().unwrap();
    seen.requests.push(entries.len());
    let (mut successful, mut failed) = (vec![], vec![]);
    for (place, entry) in entries.iter().enumerate() {
        let (id, message) = (&entry["Id"], entry["MessageBody"].as_str().unwrap());
        if seen.takes(message, place, n_refusals) {
            let name = format!("m{}", seen.taken.len());
            successful.push(json!({ "Id": id, "MessageId": name, "MD5OfMessageBody": "" }));
        } else {
            failed.push(
                json!({ "Id": id, "Code": "Busy", "SenderFault": false, "Message": "later" }),
            );
        }
    }
    json!({ "Successful": successful, "Failed": failed })
}

fn stream_answer(seen: &mut Seen, body: &Value, n_refusals: fn(usize) -> u32) -> Value {
    let entries = body["Records"].as_array().unwrap();
    seen.requests.push(entries.len());
    let mut records = vec![];
    for (place, entry) in entries.iter().enumerate() {
        let data = BASE64_STANDARD.decode(entry["Data"].as_str().unwrap());
        let message = String::from_utf8(data.unwrap()).unwrap();
        seen.keys
            .push(entry["PartitionKey"].as_str().unwrap().to_owned());
        records.push(if seen.takes(&message, place, n_refusals) {
            let sequence = seen.taken.len().to_string();
            json!({ "ShardId": "shardId-000000000000", "SequenceNumber": sequence })
        } else {
            json!({ "ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "later" })
        });
    }
    json!({ "FailedRecordCount": 0, "Records": records })
}

/// The events of all messages that were taken, sorted.
fn events(seen: &Seen) -> Vec<String> {
    let lines = seen.taken.iter().flat_map(|message| message.lines());
    let mut events: Vec<String> = lines.map(str::to_owned).collect();
    events.sort_unstable();
    events
}

fn expected(n_events: usize) -> Vec<String> {
    let corpus = Corpus::new(&Settings::default(), n_events);
    let text = std::str::from_utf8(corpus.ndjson()).unwrap();
    let mut events: Vec<String> = text.lines().map(str::to_owned).collect();
    events.sort_unstable();
    events
}

fn summary(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_queue_gets_every_event_once_ten_messages_at_a_time_and_what_it_refuses_again() {
    let service = Service::start(|place| u32::from(place == 3));
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("messages.ndjson");
    let target = format!("sqs:{}/000000000000/events", service.url);
    let options = [
        "-n",
        "100",
        "--batch",
        "50",
        "--pack",
        "2",
        "--concurrency",
        "1",
    ];
    let options = [&options, &["--log-messages", log.to_str().unwrap()][..]].concat();
    let output = service.run(&target, &options);
    let summary = summary(&output);
    assert!(output.status.success(), "{summary}");
    let seen = service.seen.lock().unwrap();
    assert!(events(&seen) == expected(100));
    // 25 messages in requests of 10, 10 and 5, then the three refused ones; all of it twice.
    assert_eq!(seen.requests, [10, 10, 5, 3, 10, 10, 5, 3]);
    assert_eq!(
        (
            &summary["n_events"],
            &summary["n_messages"],
            &summary["n_retries"]
        ),
        (&100.into(), &50.into(), &6.into())
    );
    let log = std::fs::read_to_string(log).unwrap();
    let noted: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(noted.len(), 50);
    assert!(
        noted
            .iter()
            .all(|line| line["n_events"] == 2 && line["due_ms"].is_i64())
    );
}

#[test]
fn a_stream_gets_every_event_once_with_the_session_as_its_key() {
    let service = Service::start(|place| u32::from(place == 0));
    let options = ["-n", "60", "--batch", "60", "--concurrency", "1"];
    let output = service.run("kinesis:events", &options);
    let summary = summary(&output);
    assert!(output.status.success(), "{summary}");
    let seen = service.seen.lock().unwrap();
    assert!(events(&seen) == expected(60));
    assert_eq!(seen.requests, [60, 1]);
    assert_eq!(summary["n_messages"], 60);
    for (message, key) in seen.taken[..59].iter().zip(&seen.keys[1..]) {
        let event: Value = serde_json::from_str(message).unwrap();
        assert_eq!(event["session"]["id"], **key);
    }
}

#[test]
fn what_is_refused_for_good_is_counted_and_ends_in_exit_code_1() {
    let service = Service::start(|_| u32::MAX);
    let target = format!("sqs:{}/000000000000/events", service.url);
    let output = service.run(&target, &["-n", "30", "--pack", "10", "--retries", "2"]);
    let summary = summary(&output);
    assert_eq!(output.status.code(), Some(1), "{summary}");
    assert_eq!(
        (
            &summary["n_events"],
            &summary["n_failed_events"],
            &summary["n_retries"]
        ),
        (&0.into(), &30.into(), &6.into())
    );
    assert_eq!(summary["first_failure"], "Busy: later");
}

#[test]
fn a_queue_that_does_not_answer_is_named() {
    // Port 9 of the loopback is the discard service, which nothing runs.
    let service = Service {
        url: "http://127.0.0.1:9".to_owned(),
        seen: Arc::default(),
    };
    let output = service.run("sqs:http://127.0.0.1:9/000000000000/events", &["-n", "1"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("cannot use sqs:http://127.0.0.1:9/000000000000/events"),
        "{said}"
    );
}
