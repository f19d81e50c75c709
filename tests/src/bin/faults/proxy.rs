//! Stands between a process and a server, and does to requests what the trap says.

use std::{io, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{
    fault::{Action, Role, Trap},
    http::{self, Request},
    step::{Server, Step},
};

const DELAY: Duration = Duration::from_millis(150);
/// What the catalog's tokens are said to be good for, in seconds: they are renewed within a run.
const TOKEN_SECONDS: u32 = 5;

/// A proxy; it ends with this.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) endpoint: String,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn before(
        server: Server,
        endpoint: &str,
        role: Role,
        trap: Trap,
    ) -> io::Result<Self> {
        let (address, path) = split(endpoint);
        let (address, path) = (address.to_owned(), path.to_owned());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}{path}", listener.local_addr()?);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (address, trap) = (address.clone(), trap.clone());
                // A client that goes away, as one does that was killed, is no failure.
                tokio::spawn(async move { serve(client, server, &address, role, &trap).await });
            }
        });
        Ok(Self {
            endpoint,
            accepting,
        })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Host and port, and the path behind.
fn split(endpoint: &str) -> (&str, &str) {
    let rest = endpoint.trim_start_matches("http://");
    rest.split_at(rest.find('/').unwrap_or(rest.len()))
}

/// Serves one request, and closes the connection: the next one comes on another.
async fn serve(
    mut client: TcpStream,
    server: Server,
    address: &str,
    role: Role,
    trap: &Trap,
) -> io::Result<()> {
    let Some(request) = http::read_request(&mut client).await? else {
        return Ok(());
    };
    let step = server.step(&request);
    let action = trap.strike(role, Some(server), step);
    match action {
        Some(Action::KillBefore) => {
            trap.kill();
            return Ok(());
        }
        Some(Action::Reset) => return reset(&client),
        Some(Action::UnavailableBefore) => return refuse(&mut client, server, UNAVAILABLE).await,
        Some(Action::BrokenBefore) => return refuse(&mut client, server, BROKEN).await,
        Some(Action::Delay) => tokio::time::sleep(DELAY).await,
        _ => {}
    }
    let answer = ask(address, &request, step).await?;
    match action {
        Some(Action::KillAfter) => {
            trap.kill();
            Ok(())
        }
        Some(Action::AnswerLost) => reset(&client),
        Some(Action::UnavailableAfter) => refuse(&mut client, server, UNAVAILABLE).await,
        Some(Action::BrokenAfter) => refuse(&mut client, server, BROKEN).await,
        Some(Action::Delay) => {
            tokio::time::sleep(DELAY).await;
            write(&mut client, &answer).await
        }
        _ => write(&mut client, &answer).await,
    }
}

async fn write(client: &mut TcpStream, answer: &[u8]) -> io::Result<()> {
    tokio::io::AsyncWriteExt::write_all(client, answer).await
}

/// Closes the connection as a machine does that was switched off.
fn reset(client: &TcpStream) -> io::Result<()> {
    client.set_zero_linger()
}

/// Asks the server. A token is good for less time than the catalog says.
async fn ask(address: &str, request: &Request, step: Step) -> io::Result<Vec<u8>> {
    let answer = http::forward(address, request).await?;
    if step != Step::Token {
        return Ok(answer);
    }
    let text = String::from_utf8(answer).map_err(io::Error::other)?;
    let (head, body) = text
        .split_once("\r\n\r\n")
        .ok_or_else(|| io::Error::other("an answer without an end of its headers"))?;
    let mut token: serde_json::Value = serde_json::from_str(body).map_err(io::Error::other)?;
    token["expires_in"] = TOKEN_SECONDS.into();
    let body = token.to_string();
    let kept = head
        .lines()
        .filter(|line| !line.to_ascii_lowercase().starts_with("content-length:"));
    let head = kept.collect::<Vec<_>>().join("\r\n");
    Ok(format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

const UNAVAILABLE: (&str, &str) = ("503 Service Unavailable", "SlowDown");
const BROKEN: (&str, &str) = ("500 Internal Server Error", "InternalError");

/// Answers in the words of the server's kind.
async fn refuse(
    client: &mut TcpStream,
    server: Server,
    (status, code): (&str, &str),
) -> io::Result<()> {
    let (kind, body) = match server {
        Server::Storage => (
            "application/xml",
            format!("<Error><Code>{code}</Code><Message>planned</Message></Error>"),
        ),
        Server::Catalog => (
            "application/json",
            format!(
                r#"{{"error":{{"message":"planned","type":"{code}","code":{}}}}}"#,
                &status[..3]
            ),
        ),
        Server::Queue => (
            "application/x-amz-json-1.0",
            format!(r#"{{"__type":"com.amazonaws.sqs#{code}","message":"planned"}}"#),
        ),
    };
    http::answer(client, status, &[("content-type", kind)], body.as_bytes()).await
}
