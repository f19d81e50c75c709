//! One process of a function, kept for one invocation after another.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use hyper::body::Bytes;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

use super::runtime_api::{FunctionError, Identity, Job, RuntimeApi};

/// How long a cold start may take at least, as with AWS; where a function has more time, that.
const INIT_TIMEOUT: Duration = Duration::from_secs(10);

/// What a function is: the same for all its instances.
#[derive(Debug, Clone)]
pub(super) struct FunctionPlan {
    /// What it is called: `ingest` or `commit`.
    pub(super) name: &'static str,
    /// Its program.
    pub(super) path: PathBuf,
    /// What the function would be configured with, and what the desk's environment holds besides.
    pub(super) variables: BTreeMap<String, String>,
    /// Where it believes to be.
    pub(super) region: String,
    /// How much memory it believes to have, in MiB. Nothing enforces it.
    pub(super) memory_mib: u32,
    /// How long one invocation may take.
    pub(super) timeout: Duration,
}

/// Why an invocation has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvokeError {
    /// The program cannot be run.
    #[error("cannot run `{path}`")]
    Spawn { path: String, source: io::Error },
    /// It ended before it asked for work.
    #[error("the function `{function}` cannot start: it ended with {status}")]
    Init {
        function: &'static str,
        status: String,
    },
    /// It did not ask for work in time.
    #[error("the function `{function}` did not start within {timeout_s} s")]
    InitTimeout {
        function: &'static str,
        timeout_s: u64,
    },
    /// It ended in the midst of an invocation.
    #[error("the function ended with {status} before it answered")]
    Exited { status: String },
    /// It was ended, since its time was over.
    #[error("the function did not answer within {timeout_s} s")]
    TimedOut { timeout_s: u64 },
    /// It asked for other work without an answer.
    #[error("the function asked for other work before it answered")]
    NoAnswer,
    /// It answered with an error.
    #[error("the function failed: {kind}: {message}")]
    Function { kind: String, message: String },
}

impl InvokeError {
    /// Whether the instance can take other work.
    pub(super) fn leaves_instance_usable(&self) -> bool {
        matches!(self, Self::Function { .. })
    }
}

impl From<FunctionError> for InvokeError {
    fn from(error: FunctionError) -> Self {
        Self::Function {
            kind: error.kind,
            message: error.message,
        }
    }
}

/// A process and its runtime API. Dropping it ends the process.
#[derive(Debug)]
pub(super) struct Instance {
    function: &'static str,
    timeout: Duration,
    child: Child,
    api: RuntimeApi,
}

impl Instance {
    /// Starts the process and waits until it asks for work.
    ///
    /// # Errors
    ///
    /// When the program cannot be run, ends, or takes too long.
    pub(super) async fn start(plan: &FunctionPlan) -> Result<Self, InvokeError> {
        let spawn = |source| InvokeError::Spawn {
            path: plan.path.display().to_string(),
            source,
        };
        let identity = Identity {
            arn: format!(
                "arn:aws:lambda:{}:000000000000:function:{}",
                plan.region, plan.name
            ),
            timeout: plan.timeout,
        };
        let api = RuntimeApi::open(identity).await.map_err(spawn)?;
        let child = command(plan, &api.address)
            .and_then(|mut command| command.spawn())
            .map_err(spawn)?;
        let mut instance = Self {
            function: plan.name,
            timeout: plan.timeout,
            child,
            api,
        };
        instance.await_ready().await?;
        Ok(instance)
    }

    async fn await_ready(&mut self) -> Result<(), InvokeError> {
        let patience = self.timeout.max(INIT_TIMEOUT);
        tokio::select! {
            ready = self.api.is_ready.wait_for(|ready| *ready) => match ready {
                Ok(_) => Ok(()),
                // The server ends with the instance alone.
                Err(_) => Err(InvokeError::NoAnswer),
            },
            ended = self.child.wait() => Err(InvokeError::Init {
                function: self.function,
                status: describe(ended),
            }),
            () = tokio::time::sleep(patience) => Err(InvokeError::InitTimeout {
                function: self.function,
                timeout_s: patience.as_secs(),
            }),
        }
    }

    /// Has one payload worked on.
    ///
    /// # Errors
    ///
    /// When the process ends, takes too long, or answers with an error. But for the last, it is of no more use.
    pub(super) async fn invoke(&mut self, payload: Bytes) -> Result<Bytes, InvokeError> {
        let (taken, was_taken) = oneshot::channel();
        let (answer, answered) = oneshot::channel();
        let job = Job {
            request_id: uuid::Uuid::new_v4().to_string(),
            payload,
            taken,
            answer,
        };
        let work = async {
            self.api
                .jobs
                .send(job)
                .await
                .map_err(|_| InvokeError::NoAnswer)?;
            was_taken.await.map_err(|_| InvokeError::NoAnswer)?;
            let answer = tokio::time::timeout(self.timeout, answered).await;
            let answer = answer.map_err(|_| InvokeError::TimedOut {
                timeout_s: self.timeout.as_secs(),
            })?;
            Ok(answer.map_err(|_| InvokeError::NoAnswer)??)
        };
        tokio::select! {
            // An answer that came before the end counts.
            biased;
            answer = work => answer,
            ended = self.child.wait() => Err(InvokeError::Exited { status: describe(ended) }),
            // It had asked for work before; if it never takes this, it hangs.
            () = tokio::time::sleep(self.timeout * 2) => Err(InvokeError::TimedOut {
                timeout_s: self.timeout.as_secs() * 2,
            }),
        }
    }

    /// Whether the process has not ended by itself.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends the process and waits until it is gone.
    pub(super) async fn end(mut self) {
        // One that is gone already is as well.
        let _ = self.child.kill().await;
    }
}

/// The command line and environment, as AWS would set them.
fn command(plan: &FunctionPlan, runtime_api: &str) -> io::Result<Command> {
    let memory_mib = plan.memory_mib.to_string();
    let log_group = format!("/aws/lambda/{}", plan.name);
    let of_lambda = [
        ("AWS_LAMBDA_RUNTIME_API", runtime_api),
        ("AWS_LAMBDA_FUNCTION_NAME", plan.name),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory_mib),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", &log_group),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "local"),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
        ("AWS_REGION", &plan.region),
        ("AWS_DEFAULT_REGION", &plan.region),
        ("_HANDLER", "bootstrap"),
        ("TZ", ":UTC"),
    ];
    // Both of its streams are its log; the standard output here is for the summary.
    let log = || io::stderr().as_fd().try_clone_to_owned().map(Stdio::from);
    let mut command = Command::new(&plan.path);
    command
        .env_clear()
        .envs(&plan.variables)
        .envs(of_lambda)
        .stdin(Stdio::null())
        .stdout(log()?)
        .stderr(log()?)
        // Ctrl-C is for us: the instances finish their work first.
        .process_group(0)
        .kill_on_drop(true);
    Ok(command)
}

fn describe(ended: io::Result<ExitStatus>) -> String {
    ended.map_or_else(|error| error.to_string(), |status| status.to_string())
}
