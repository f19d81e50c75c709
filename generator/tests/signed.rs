//! The `generator` command before a Function URL that wants signatures.

#![expect(clippy::unwrap_used, reason = "a helper fails its test by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

const ACCESS_KEY: &str = "AKIDEXAMPLE";
const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// As temporary tokens look like: Base64, with what URLs escape.
const TOKEN: &str = "IQoJb3JpZ2luX2Vj//+EXAMPLE==";

/// One request as it arrived.
struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// What botocore is asked to sign once more.
    fn facts(&self, service: &str, region: &str, token: Option<&str>) -> Value {
        json!({
            "service": service,
            "region": region,
            "token": token,
            "now": self.header("x-amz-date"),
            "method": self.method,
            "url": format!("http://{}{}", self.header("host").unwrap(), self.target),
            "headers": self.headers,
            "body_base64": BASE64_STANDARD.encode(&self.body),
        })
    }
}

/// A server on a free port of the loopback that takes everything: the port, and what it was sent.
fn serve() -> (u16, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, requests) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let sender = sender.clone();
            thread::spawn(move || {
                let mut stream = BufReader::new(stream.unwrap());
                while let Some(request) = read_request(&mut stream) {
                    // The test may have ended; then nobody asks for the request.
                    let _ = sender.send(request);
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                    stream.get_mut().write_all(answer).unwrap();
                }
            });
        }
    });
    (port, requests)
}

/// The next request, `None` when the connection is closed.
fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if stream.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_owned(), value.trim_start().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length?.1.parse().unwrap()];
    stream.read_exact(&mut body).ok()?;
    Some(Request {
        method,
        target,
        headers,
        body,
    })
}

/// The command with nothing in its environment but keys, as everybody has them who may send.
fn command(options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_generator"));
    command
        .args(["-n", "20", "--batch", "10", "--output", "json"])
        .args(options)
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    command
}

#[track_caller]
fn succeeded(output: &Output) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
}

/// What botocore makes of the requests: how many it signs as we do, or what is wrong with the first that it does not.
fn botocore(requests: &[Value]) -> Result<usize, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut child = Command::new(root.join(".venv/bin/python"))
        .arg(root.join("crates/lake/tests/rest/signatures.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let given = json!({"access_key": ACCESS_KEY, "secret_key": SECRET_KEY, "requests": requests});
    serde_json::to_writer(child.stdin.take().unwrap(), &given).unwrap();
    let output = child.wait_with_output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    Ok(usize::try_from(printed["n_right"].as_u64().unwrap()).unwrap())
}

#[test]
fn every_kind_of_request_is_signed_as_botocore_signs_it() {
    let (port, requests) = serve();
    let function_url = format!("http://abc.lambda-url.eu-central-1.localhost:{port}/");
    let invoke = format!("http://127.0.0.1:{port}/2015-03-31/functions/a%3Ab/invocations");
    let api = format!("http://127.0.0.1:{port}/stage/events%20of%20mine?b=%C3%A9&a=1%2B1&a");
    let mut facts = Vec::new();
    for token in [None, Some(TOKEN)] {
        for (url, service, region, options) in [
            (&function_url, "lambda", "eu-central-1", &[][..]),
            (&function_url, "lambda", "eu-central-1", &["--gzip"]),
            (&invoke, "lambda", "us-west-2", &["--as", "sqs"]),
            (&api, "execute-api", "us-west-2", &[]),
        ] {
            let mut command = command(&["--sign", service, "--to", url]);
            command.args(options).env("AWS_REGION", "us-west-2");
            // Nothing listens there: this machine is reached without it.
            command.env("HTTP_PROXY", "http://127.0.0.1:9");
            command.envs(token.map(|token| ("AWS_SESSION_TOKEN", token)));
            succeeded(&command.output().unwrap());
            for _ in 0..2 {
                let request = requests.recv().unwrap();
                facts.push(request.facts(service, region, token));
            }
        }
    }
    assert_eq!(botocore(&facts), Ok(16));

    let last = facts.last().unwrap();
    for (key, value) in [
        ("body_base64", json!("e30=")),
        ("token", json!("another")),
        ("region", json!("eu-west-1")),
        ("service", json!("lambda")),
        ("method", json!("PUT")),
    ] {
        let mut changed = last.clone();
        changed[key] = value;
        assert!(botocore(&[changed]).is_err(), "{key}");
    }
}

#[test]
fn without_the_option_nothing_is_signed() {
    let (port, requests) = serve();
    let url = format!("http://anything.localhost:{port}/");
    succeeded(&command(&["--to", &url]).output().unwrap());
    assert!(requests.recv().unwrap().header("authorization").is_none());
}

#[test]
fn a_run_that_cannot_sign_ends_before_it_begins_and_says_what_is_missing() {
    let (port, requests) = serve();
    let url = format!("http://127.0.0.1:{port}/");
    let signing = ["--sign", "lambda", "--to", &url];
    let check = |command: &mut Command, said: &str| {
        let output = command.env("AWS_EC2_METADATA_DISABLED", "true").output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(1));
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains(said), "`{said}` is not in: {errors}");
        assert!(requests.try_recv().is_err(), "something was sent");
    };
    check(&mut command(&signing), "hint: set AWS_REGION");
    let mut without_keys = command(&signing);
    without_keys
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY")
        .env("AWS_REGION", "us-west-2");
    check(&mut without_keys, "credentials");
}
