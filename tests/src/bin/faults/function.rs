//! A real function in a process of its own, and the runtime API that it polls.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    sync::{Mutex, mpsc},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    fault::{Action, Role, Trap},
    http,
    step::Step,
};

/// The time-out of the functions.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What an invocation ended with.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The answer.
    Answered(Value),
    /// An error: nothing is acknowledged.
    Failed,
    /// The process is gone, or had to be ended: nothing is acknowledged.
    Died,
}

/// A function that is started when it is invoked, and started again when it died.
#[derive(Debug)]
pub(crate) struct Function {
    program: PathBuf,
    variables: BTreeMap<String, String>,
    log: PathBuf,
    role: Role,
    trap: Trap,
    running: Option<Running>,
    n_invocations: u64,
}

#[derive(Debug)]
struct Running {
    child: Child,
    events: mpsc::Sender<(String, String)>,
    answers: mpsc::Receiver<Said>,
    serving: JoinHandle<()>,
}

/// What the process told the runtime API.
#[derive(Debug)]
enum Said {
    Response(Vec<u8>),
    Error,
}

impl Function {
    pub(crate) fn new(
        program: &Path,
        variables: BTreeMap<String, String>,
        log: &Path,
        role: Role,
        trap: Trap,
    ) -> Self {
        Self {
            program: program.to_owned(),
            variables,
            log: log.to_owned(),
            role,
            trap,
            running: None,
            n_invocations: 0,
        }
    }

    /// Invokes it and waits for what comes of it.
    pub(crate) async fn invoke(&mut self, event: &Value) -> io::Result<Ended> {
        self.n_invocations += 1;
        let id = format!("invocation-{}", self.n_invocations);
        let mut running = match self.running.take() {
            Some(running) => running,
            None => self.start().await?,
        };
        let _ = running.events.send((id, event.to_string())).await; // Whether it is there is seen below.
        let said = tokio::select! {
            said = timeout(TIMEOUT, running.answers.recv()) => said.ok().flatten(),
            _ = running.child.wait() => None,
        };
        match said {
            Some(Said::Response(body)) => {
                self.running = Some(running);
                let answer = serde_json::from_slice(&body).map_err(io::Error::other)?;
                Ok(Ended::Answered(answer))
            }
            Some(Said::Error) => {
                self.running = Some(running);
                Ok(Ended::Failed)
            }
            None => {
                running.end().await;
                Ok(Ended::Died)
            }
        }
    }

    /// Ends the process.
    pub(crate) async fn stop(mut self) {
        if let Some(running) = self.running.take() {
            running.end().await;
        }
    }

    async fn start(&self) -> io::Result<Running> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)?;
        let child = Command::new(&self.program)
            .env_clear()
            .envs(&self.variables)
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "calve")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "faults")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "faults")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        if let Some(pid) = child.id() {
            self.trap.set_pid(pid);
        }
        let (events, waiting) = mpsc::channel(1);
        let (said, answers) = mpsc::channel(1);
        let api = Arc::new(RuntimeApi {
            waiting: Mutex::new(waiting),
            said,
            role: self.role,
            trap: self.trap.clone(),
        });
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let api = Arc::clone(&api);
                tokio::spawn(async move { api.serve(client).await });
            }
        });
        Ok(Running {
            child,
            events,
            answers,
            serving,
        })
    }
}

impl Running {
    async fn end(mut self) {
        let _ = self.child.kill().await; // It may have ended by itself.
        self.serving.abort();
    }
}

struct RuntimeApi {
    waiting: Mutex<mpsc::Receiver<(String, String)>>,
    said: mpsc::Sender<Said>,
    role: Role,
    trap: Trap,
}

impl RuntimeApi {
    async fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let Some(request) = http::read_request(&mut client).await? else {
            return Ok(());
        };
        let (_, path) = request.line();
        if path.ends_with("/invocation/next") {
            return self.next(&mut client).await;
        }
        let said = if path.ends_with("/response") {
            let action = self.trap.strike(self.role, None, Step::Answer);
            if action == Some(Action::KillBefore) {
                self.trap.kill();
                return Ok(());
            }
            Said::Response(request.body)
        } else {
            Said::Error
        };
        let _ = self.said.send(said).await; // Nobody waits for it once its time is over.
        http::answer(&mut client, "202 Accepted", &[], b"").await
    }

    async fn next(&self, client: &mut TcpStream) -> io::Result<()> {
        let Some((id, event)) = self.waiting.lock().await.recv().await else {
            return Ok(());
        };
        let deadline = wall() + TIMEOUT;
        let headers = [
            ("content-type", "application/json"),
            ("lambda-runtime-aws-request-id", &id),
            (
                "lambda-runtime-deadline-ms",
                &deadline.as_millis().to_string(),
            ),
            (
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:us-east-1:000000000000:function:calve",
            ),
        ];
        http::answer(client, "200 OK", &headers, event.as_bytes()).await
    }
}

/// The wall clock, since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the deadline of an invocation is told by the wall clock"
)]
pub(crate) fn wall() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
