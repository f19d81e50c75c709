//! The Lambda Runtime API, as one function instance sees it.
//!
//! The instance asks for work with `GET …/invocation/next` and posts `…/response` or `…/error`. Each instance has a server
//! of its own, on a port of the loopback.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use super::function::MAX_PAYLOAD_BYTES;

const PREFIX: &str = "/2018-06-01/runtime/";

/// One invocation for an instance.
#[derive(Debug)]
pub(super) struct Job {
    /// Its id, which no other invocation has.
    pub(super) request_id: String,
    /// The event, as JSON.
    pub(super) payload: Bytes,
    /// Is told when the instance has taken it: from then on its time runs.
    pub(super) taken: oneshot::Sender<()>,
    /// Is told what the instance answered; dropped when it asks for other work without an answer.
    pub(super) answer: oneshot::Sender<Result<Bytes, FunctionError>>,
}

/// What a function says when it fails.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FunctionError {
    /// The kind of error; empty when it does not say.
    pub(super) kind: String,
    /// The error in words; empty when it does not say.
    pub(super) message: String,
}

/// What the instance is told about itself with each invocation.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// The ARN of the function.
    pub(super) arn: String,
    /// How long one invocation may take.
    pub(super) timeout: Duration,
}

/// The server of one instance. Dropping it closes the port.
#[derive(Debug)]
pub(super) struct RuntimeApi {
    /// `host:port`, as `AWS_LAMBDA_RUNTIME_API` gives it.
    pub(super) address: String,
    /// Takes the next invocation.
    pub(super) jobs: mpsc::Sender<Job>,
    /// Whether the instance has ever asked for work: then its cold start is over.
    pub(super) is_ready: watch::Receiver<bool>,
    server: AbortHandle,
}

impl RuntimeApi {
    /// Opens a free port of the loopback.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub(super) async fn open(identity: Identity) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?.to_string();
        let (jobs, waiting) = mpsc::channel(1);
        let (ready, is_ready) = watch::channel(false);
        let desk = Arc::new(Desk {
            identity,
            waiting: tokio::sync::Mutex::new(waiting),
            pending: Mutex::new(None),
            ready,
        });
        let server = tokio::spawn(serve(listener, desk)).abort_handle();
        Ok(Self {
            address,
            jobs,
            is_ready,
            server,
        })
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, desk: Arc<Desk>) {
    // The connections end with the server.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let desk = Arc::clone(&desk);
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let desk = Arc::clone(&desk);
                async move { Ok::<_, Infallible>(desk.answer(request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            // An instance that goes away in the midst of a request is noticed by its exit.
            let _ = connection
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// The invocation that the instance works on.
struct Pending {
    request_id: String,
    answer: oneshot::Sender<Result<Bytes, FunctionError>>,
}

/// What all connections of one instance share.
struct Desk {
    identity: Identity,
    waiting: tokio::sync::Mutex<mpsc::Receiver<Job>>,
    pending: Mutex<Option<Pending>>,
    ready: watch::Sender<bool>,
}

impl Desk {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path().to_owned();
        let words: Vec<&str> = path
            .strip_prefix(PREFIX)
            .map(|rest| rest.split('/').collect())
            .unwrap_or_default();
        match (request.method(), words.as_slice()) {
            (&Method::GET, ["invocation", "next"]) => self.next().await,
            (&Method::POST, ["invocation", id, "response"]) => match read(request).await {
                Ok(body) => self.finish(id, Ok(body)),
                Err(answer) => answer,
            },
            (&Method::POST, ["invocation", id, "error"]) => match read(request).await {
                Ok(body) => self.finish(id, Err(FunctionError::read(&body))),
                Err(answer) => answer,
            },
            // The instance ends after this; that is what is reported.
            (&Method::POST, ["init", "error"]) => status(StatusCode::ACCEPTED, "OK"),
            _ => status(StatusCode::NOT_FOUND, "the runtime API has no such path"),
        }
    }

    /// Waits for an invocation and hands it out.
    async fn next(&self) -> Response<Full<Bytes>> {
        // Asking for other work ends what was not answered.
        drop(self.pending().take());
        // Nobody may look any more.
        let _ = self.ready.send(true);
        let Some(job) = self.waiting.lock().await.recv().await else {
            return status(StatusCode::GONE, "there is no more work");
        };
        // What asked may have gone away meanwhile; then its answer would go nowhere, and neither does this.
        let _ = job.taken.send(());
        let deadline_ms = jiff::Timestamp::now().as_millisecond()
            + i64::try_from(self.identity.timeout.as_millis()).unwrap_or(i64::MAX / 2);
        let response = Response::builder()
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", &job.request_id)
            .header("lambda-runtime-deadline-ms", deadline_ms)
            .header("lambda-runtime-invoked-function-arn", &self.identity.arn)
            .header("lambda-runtime-trace-id", trace_id(&job.request_id))
            .body(Full::new(job.payload));
        *self.pending() = Some(Pending {
            request_id: job.request_id,
            answer: job.answer,
        });
        response.unwrap_or_else(|_| status(StatusCode::INTERNAL_SERVER_ERROR, "no such header"))
    }

    fn finish(&self, id: &str, answer: Result<Bytes, FunctionError>) -> Response<Full<Bytes>> {
        let mut pending = self.pending();
        match pending.take_if(|pending| pending.request_id == id) {
            Some(pending) => {
                // Whoever invoked may have given up: its time was over.
                let _ = pending.answer.send(answer);
                status(StatusCode::ACCEPTED, "OK")
            }
            None => status(
                StatusCode::BAD_REQUEST,
                "no invocation of this id is under way",
            ),
        }
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, Option<Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FunctionError {
    fn read(body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        Self {
            kind: text("errorType"),
            message: text("errorMessage"),
        }
    }
}

/// The whole body, of at most as many bytes as Lambda takes.
async fn read(request: Request<Incoming>) -> Result<Bytes, Response<Full<Bytes>>> {
    let body = Limited::new(request.into_body(), MAX_PAYLOAD_BYTES)
        .collect()
        .await;
    body.map(http_body_util::Collected::to_bytes)
        .map_err(|_| status(StatusCode::PAYLOAD_TOO_LARGE, "the answer is too large"))
}

fn status(code: StatusCode, message: &str) -> Response<Full<Bytes>> {
    let body = if code.is_success() {
        json!({ "status": message })
    } else {
        json!({ "errorType": "InvalidRequest", "errorMessage": message })
    };
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = code;
    response
}

/// A trace id of X-Ray's form, not sampled.
fn trace_id(request_id: &str) -> String {
    let digits: String = request_id.chars().filter(char::is_ascii_hexdigit).collect();
    let (time, rest) = digits.split_at(digits.len().min(8));
    format!("Root=1-{time}-{rest};Parent=0000000000000000;Sampled=0")
}
