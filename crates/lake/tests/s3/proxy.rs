use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the network or the server does to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection is reset before the server hears of the request.
    Reset,
    /// The server does nothing and answers 503.
    Unavailable,
    /// The server does nothing and answers that another request for the name is under way.
    Conflict,
    /// The server does it, and the answer is lost with the connection.
    AnswerLost,
    /// The server does it, and the answer ends in the middle.
    AnswerCut,
    /// The server does it, and the answer stands still in the middle.
    AnswerStuck,
    /// The server does it and never answers.
    Silence,
}

/// A fault to come: for the next request that begins with these words, such as `PUT`, and holds the others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planned {
    pub(crate) method: &'static str,
    pub(crate) holds: &'static str,
    pub(crate) fault: Fault,
}

/// Stands between a client and a server of HTTP/1.1, and does to requests what was planned, each fault once.
pub(crate) struct Proxy {
    pub(crate) endpoint: String,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    plan: Mutex<VecDeque<Planned>>,
    heads: Mutex<Vec<String>>,
}

impl Proxy {
    pub(crate) async fn before(endpoint: &str, plan: &[Planned]) -> Self {
        let server = endpoint.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            plan: Mutex::new(plan.iter().copied().collect()),
            heads: Mutex::default(),
        });
        let accepting = tokio::spawn(accept(listener, server, Arc::clone(&shared)));
        Self {
            endpoint,
            shared,
            accepting,
        }
    }

    /// Fails unless every fault that was planned has happened.
    #[track_caller]
    pub(crate) fn check_all_happened(&self) {
        let left = self.shared.plan.lock().unwrap();
        assert!(left.is_empty(), "never happened: {left:?}");
    }

    /// The request lines and headers of all requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.shared.heads.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: String, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let (server, shared) = (server.clone(), Arc::clone(&shared));
        // A client that goes away, as one does that waits no longer, is no failure.
        tokio::spawn(async move { serve(client, &server, &shared).await });
    }
}

/// Serves one request, and closes the connection: the next one comes on another.
async fn serve(mut client: TcpStream, server: &str, shared: &Shared) -> io::Result<()> {
    let Some(request) = read_request(&mut client).await? else {
        return Ok(());
    };
    shared.heads.lock().unwrap().push(request.head.clone());
    let fault = take_fault(&shared.plan, &request);
    match fault {
        Some(Fault::Reset) => return client.set_zero_linger(),
        Some(Fault::Unavailable) => return refuse(&mut client, UNAVAILABLE).await,
        Some(Fault::Conflict) => return refuse(&mut client, CONFLICT).await,
        _ => {}
    }
    let answer = ask(server, &request).await?;
    match fault {
        Some(Fault::AnswerLost) => client.set_zero_linger(),
        Some(Fault::AnswerCut) => {
            client.write_all(&answer[..answer.len() / 2]).await?;
            client.flush().await
        }
        // Until the client has enough of it.
        Some(Fault::AnswerStuck) => {
            client.write_all(&answer[..answer.len() / 2]).await?;
            client.read_u8().await.map(drop)
        }
        Some(Fault::Silence) => client.read_u8().await.map(drop),
        _ => client.write_all(&answer).await,
    }
}

fn take_fault(plan: &Mutex<VecDeque<Planned>>, request: &Request) -> Option<Fault> {
    let mut plan = plan.lock().unwrap();
    let line = request.head.lines().next().unwrap_or_default();
    let at = plan
        .iter()
        .position(|planned| line.starts_with(planned.method) && line.contains(planned.holds))?;
    plan.remove(at).map(|planned| planned.fault)
}

struct Request {
    head: String,
    body: Vec<u8>,
}

/// Reads a request whose length is given; nothing when the client has closed the connection.
async fn read_request(client: &mut TcpStream) -> io::Result<Option<Request>> {
    let mut read = Vec::new();
    let end = loop {
        if let Some(at) = read.windows(4).position(|end| end == b"\r\n\r\n") {
            break at + 4;
        }
        if client.read_buf(&mut read).await? == 0 {
            return Ok(None);
        }
    };
    let mut body = read.split_off(end);
    let head = String::from_utf8(read).unwrap();
    assert!(!head.to_lowercase().contains("\r\nexpect:"), "{head}");
    assert!(
        !head.to_lowercase().contains("\r\ntransfer-encoding:"),
        "{head}"
    );
    let n_bytes = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, length)| length.trim().parse().unwrap());
    while body.len() < n_bytes {
        if client.read_buf(&mut body).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(Request { head, body }))
}

/// Hands the request to the server as it is, but for the connection, and returns the whole answer.
async fn ask(server: &str, request: &Request) -> io::Result<Vec<u8>> {
    let mut server = TcpStream::connect(server).await?;
    let head = request.head.strip_suffix("\r\n").unwrap();
    let head = format!("{head}connection: close\r\n\r\n");
    server.write_all(head.as_bytes()).await?;
    server.write_all(&request.body).await?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    Ok(answer)
}

async fn refuse(client: &mut TcpStream, (status, code): (&str, &str)) -> io::Result<()> {
    let body = format!("<Error><Code>{code}</Code><Message>planned</Message></Error>");
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    client.write_all((head + &body).as_bytes()).await
}

const UNAVAILABLE: (&str, &str) = ("503 Slow Down", "SlowDown");
const CONFLICT: (&str, &str) = ("409 Conflict", "ConditionalRequestConflict");
