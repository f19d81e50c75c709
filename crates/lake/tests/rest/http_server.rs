use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One request as it came over the wire.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query, as they were sent.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// Which connection it came on.
    pub(crate) connection: usize,
}

impl Request {
    /// Method and path, without the query.
    pub(crate) fn name(&self) -> String {
        let path = self.target.split('?').next().unwrap();
        format!("{} {path}", self.method)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// What becomes of a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// It is answered.
    Answer(u16, String),
    /// It is answered, with these headers besides.
    With(u16, Vec<(&'static str, String)>, String),
    /// It is answered, and the connection is closed without a word.
    AnswerAndClose(u16, String),
    /// The connection is closed instead.
    Close,
    /// The answer breaks off in the middle of its body.
    BreakOff(u16, String),
    /// Nothing comes, ever.
    Silence,
}

pub(crate) fn ok(body: &Value) -> Reply {
    Reply::Answer(200, body.to_string())
}

pub(crate) fn no(status: u16, kind: &str, message: &str) -> Reply {
    let error = serde_json::json!({"message": message, "type": kind, "code": status});
    Reply::Answer(status, serde_json::json!({ "error": error }).to_string())
}

/// An HTTP server on a free port that keeps what it was asked. It ends with the value.
#[derive(Debug)]
pub(crate) struct HttpServer {
    pub(crate) uri: String,
    seen: Arc<Mutex<Vec<Request>>>,
    accepting: JoinHandle<()>,
}

impl HttpServer {
    /// Answers requests in this order, the last reply again and again.
    pub(crate) async fn scripted(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies: Arc<Mutex<VecDeque<Reply>>> =
            Arc::new(Mutex::new(replies.into_iter().collect()));
        Self::answering(move |_| {
            let mut replies = replies.lock().unwrap();
            let reply = match replies.len() {
                1 => replies[0].clone(),
                _ => replies.pop_front().unwrap(),
            };
            std::future::ready(reply)
        })
        .await
    }

    /// Answers each request with what this makes of it.
    pub(crate) async fn answering<F, R>(answer: F) -> Self
    where
        F: Fn(Request) -> R + Send + Sync + 'static,
        R: Future<Output = Reply> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, kept) = (Arc::new(answer), seen.clone());
        let accepting = tokio::spawn(async move {
            // The connections end with the server.
            let mut connections = tokio::task::JoinSet::new();
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let (answer, seen) = (answer.clone(), kept.clone());
                connections.spawn(serve(stream, number, answer, seen));
            }
        });
        Self {
            uri,
            seen,
            accepting,
        }
    }

    /// All requests so far, in the order in which they came.
    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// Method and path of each request so far.
    pub(crate) fn names(&self) -> Vec<String> {
        self.seen().iter().map(Request::name).collect()
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve<F, R>(
    stream: TcpStream,
    connection: usize,
    answer: Arc<F>,
    seen: Arc<Mutex<Vec<Request>>>,
) where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: Future<Output = Reply> + Send + 'static,
{
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream, connection).await {
        seen.lock().unwrap().push(request.clone());
        let (status, headers, body, cut) = match answer(request).await {
            Reply::Answer(status, body) => (status, Vec::new(), body, None),
            Reply::With(status, headers, body) => (status, headers, body, None),
            Reply::AnswerAndClose(status, body) => {
                let length = body.len();
                (status, Vec::new(), body, Some(length))
            }
            Reply::BreakOff(status, body) => {
                let half = body.len() / 2;
                (status, Vec::new(), body, Some(half))
            }
            Reply::Close => return,
            Reply::Silence => std::future::pending().await,
        };
        let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            for part in [name, ": ", &value, "\r\n"] {
                head.push_str(part);
            }
        }
        head.push_str("\r\n");
        let sent = &body[..cut.unwrap_or(body.len())];
        if stream.write_all(head.as_bytes()).await.is_err()
            || stream.write_all(sent.as_bytes()).await.is_err()
            || stream.flush().await.is_err()
            || cut.is_some()
        {
            return;
        }
    }
}

/// Reads one request; nothing when the client has gone.
async fn read(stream: &mut BufReader<TcpStream>, connection: usize) -> Option<Request> {
    let mut line = String::new();
    if stream.read_line(&mut line).await.ok()? == 0 {
        return None;
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, length)| length.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    Some(Request {
        method,
        target,
        headers,
        body: String::from_utf8(body).unwrap(),
        connection,
    })
}
