//! The `generator` command, run as a person runs it.

#![expect(clippy::unwrap_used, reason = "a helper fails its test by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use generator::{Corpus, Settings};
use serde_json::Value;

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_generator"));
    command.args(args);
    command
}

fn run(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

/// A server on a free port that gives every request the same answer, and the bodies it was sent.
fn serve(status: &'static str, answer: &'static str) -> (String, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, bodies) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let sender = sender.clone();
            thread::spawn(move || {
                let mut stream = BufReader::new(stream.unwrap());
                while let Some(body) = read_request(&mut stream) {
                    // The test may have ended; then nobody asks for the body.
                    let _ = sender.send(body);
                    let n_bytes = answer.len();
                    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {n_bytes}\r\n\r\n");
                    stream
                        .get_mut()
                        .write_all(format!("{head}{answer}").as_bytes())
                        .unwrap();
                }
            });
        }
    });
    (address, bodies)
}

/// The body of the next request, `None` when the connection is closed.
fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut n_bytes = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            n_bytes = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; n_bytes];
    stream.read_exact(&mut body).ok()?;
    Some(body)
}

fn summary(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_standard_output_gets_the_events_and_the_standard_error_the_summary_with_the_seed() {
    let output = run(&["--events", "1234"]);
    assert!(output.status.success());
    assert!(output.stdout == Corpus::new(&Settings::default(), 1_234).ndjson());
    let summary = String::from_utf8(output.stderr).unwrap();
    assert!(summary.starts_with("wrote 1,234 events"), "{summary}");
    assert!(summary.contains("seed 7"), "{summary}");
    assert!(
        !summary.contains('\u{1b}'),
        "colour or a bar without a terminal: {summary}"
    );
}

#[test]
fn a_file_gets_the_same_bytes_and_the_summary_can_be_json() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.ndjson");
    let output = run(&[
        "-n",
        "500",
        "--seed",
        "9",
        "--output",
        "json",
        "--to",
        path.to_str().unwrap(),
    ]);
    assert!(output.status.success());
    let expected = Corpus::new(
        &Settings {
            seed: 9,
            ..Settings::default()
        },
        500,
    );
    assert!(std::fs::read(&path).unwrap() == expected.ndjson());
    let summary = summary(&output);
    assert_eq!(
        (&summary["n_events"], &summary["seed"]),
        (&500.into(), &9.into())
    );
    assert_eq!(summary["event_bytes"], expected.ndjson().len());
}

#[test]
fn a_rate_changes_the_time_and_not_the_bytes() {
    let output = run(&["-n", "300", "--rate", "100000"]);
    assert!(output.stdout == Corpus::new(&Settings::default(), 300).ndjson());
}

#[test]
fn a_reader_who_has_enough_ends_the_command_quietly() {
    let mut child = command(&["--events", "10000000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 1_000];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn a_plain_url_is_posted_all_events_once_as_ndjson() {
    let (url, bodies) = serve("200 OK", "");
    let output = run(&[
        "-n", "1050", "--batch", "100", "--output", "json", "--to", &url,
    ]);
    assert!(output.status.success());
    let mut sent: Vec<Vec<u8>> = bodies.try_iter().collect();
    assert_eq!(sent.len(), 11);
    let mut lines: Vec<&[u8]> = sent
        .iter_mut()
        .flat_map(|body| body.split_inclusive(|&byte| byte == b'\n'))
        .collect();
    let expected = Corpus::new(&Settings::default(), 1_050);
    let mut expected_lines: Vec<&[u8]> = expected
        .ndjson()
        .split_inclusive(|&byte| byte == b'\n')
        .collect();
    lines.sort_unstable();
    expected_lines.sort_unstable();
    assert!(lines == expected_lines);

    let summary = summary(&output);
    assert_eq!(
        (&summary["n_requests"], &summary["n_failed_requests"]),
        (&11.into(), &0.into())
    );
    assert!(summary["latency_ms"]["p99"].as_f64().unwrap() > 0.0);
}

#[test]
fn the_invoke_api_is_given_the_envelope_asked_for() {
    let (url, bodies) = serve("200 OK", "{}");
    let url = format!("{url}/2015-03-31/functions/ingest/invocations");
    for (wrapper, pointer) in [
        ("direct", "/9/event_id"),
        ("function-url", "/requestContext/requestId"),
        ("sqs", "/Records/9/messageId"),
    ] {
        assert!(
            run(&["-n", "10", "--as", wrapper, "--to", &url])
                .status
                .success()
        );
        let payload: Value = serde_json::from_slice(&bodies.recv().unwrap()).unwrap();
        assert!(
            payload.pointer(pointer).is_some_and(Value::is_string),
            "{wrapper}: {payload}"
        );
    }
}

#[test]
fn two_runs_of_one_seed_have_different_request_ids() {
    let (url, bodies) = serve("200 OK", "{}");
    let url = format!("{url}/2015-03-31/functions/ingest/invocations");
    let request_id = || {
        assert!(run(&["-n", "10", "--to", &url]).status.success());
        let payload: Value = serde_json::from_slice(&bodies.recv().unwrap()).unwrap();
        payload["requestContext"]["requestId"].clone()
    };
    assert_ne!(request_id(), request_id());
}

#[test]
fn failed_requests_are_counted_and_end_in_exit_code_1() {
    let (url, _bodies) = serve("503 Service Unavailable", "busy");
    let output = run(&[
        "-n",
        "300",
        "--batch",
        "100",
        "--retries",
        "1",
        "--output",
        "json",
        "--to",
        &url,
    ]);
    assert_eq!(output.status.code(), Some(1));
    let summary = summary(&output);
    assert_eq!(summary["n_failed_requests"], 3);
    assert_eq!(summary["n_failed_events"], 300);
    assert_eq!(summary["n_retries"], 3);
    assert_eq!(summary["n_events"], 0);
    assert_eq!(summary["first_failure"], "status 503: busy");
}

#[test]
fn a_server_that_is_not_there_is_named_in_the_warning() {
    // Port 9 of the loopback is the discard service, which nothing runs.
    let output = run(&["-n", "10", "--to", "http://127.0.0.1:9/"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("warning: 10 events are in failed requests") && text.contains("refused"),
        "{text}"
    );
}

#[test]
fn a_file_that_cannot_be_made_is_named() {
    let output = run(&["--to", "/nonexistent/folder/events.ndjson"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("cannot create `/nonexistent/folder/events.ndjson`"),
        "{text}"
    );
}
