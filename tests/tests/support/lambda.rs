//! AWS's own runtime interface emulator with one function in it: what stands in for Lambda around one process.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::support::program_path;

/// How long anything may take; only a failure takes so long.
const PATIENCE: Duration = Duration::from_mins(2);

/// One function. Ended with the test.
pub(crate) struct Lambda {
    emulator: Child,
    address: SocketAddr,
    log: Arc<Log>,
}

/// What an invocation was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// What emulator and function have said so far.
#[derive(Debug, Default)]
struct Log {
    text: Mutex<String>,
    grown: Condvar,
}

impl Lambda {
    /// The function of this name with this time-out and no other settings. It starts with its first invocation.
    pub(crate) fn of(program: &str, timeout_s: u32, variables: &[(&str, &str)]) -> Self {
        let [address, runtime_api] = free_addresses();
        let mut emulator = Command::new(emulator_path())
            .args(["--log-level", "info"])
            .args(["--runtime-interface-emulator-address", &address.to_string()])
            .args(["--runtime-api-address", &runtime_api.to_string()])
            .arg(program_path(program))
            .env_clear()
            .env("AWS_LAMBDA_FUNCTION_NAME", program)
            .env("AWS_LAMBDA_FUNCTION_TIMEOUT", timeout_s.to_string())
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Log::default());
        keep(&log, emulator.stdout.take().unwrap());
        keep(&log, emulator.stderr.take().unwrap());
        Self {
            emulator,
            address,
            log,
        }
    }

    /// Hands it a payload and waits for the answer.
    #[track_caller]
    pub(crate) fn invoke(&self, payload: impl AsRef<[u8]>) -> Answer {
        let payload = payload.as_ref();
        let mut stream = self.connect();
        // By HTTP/1.0 answers come in one piece.
        let head = format!(
            "POST /2015-03-31/functions/function/invocations HTTP/1.0\r\ncontent-length: {}\r\n\r\n",
            payload.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(payload).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            body: body.to_owned(),
        }
    }

    /// Begins an invocation whose function does nothing at all, does that to its process, and gives the answer.
    #[track_caller]
    pub(crate) fn invoke_stuck(&self, payload: &[u8], then: impl FnOnce(u32)) -> Answer {
        let function = self.function_pid();
        signal("STOP", function);
        let n_begun = self.log.count(BEGUN);
        std::thread::scope(|scope| {
            let invoking = scope.spawn(|| self.invoke(payload));
            self.log.wait(|text| text.matches(BEGUN).count() > n_begun);
            then(function);
            invoking.join().unwrap()
        })
    }

    /// The function's process, which is there after the first invocation.
    #[track_caller]
    pub(crate) fn function_pid(&self) -> u32 {
        let threads = format!("/proc/{}/task", self.emulator.id());
        let threads = std::fs::read_dir(threads).unwrap();
        let children = threads.map(|thread| {
            let children = thread.unwrap().path().join("children");
            std::fs::read_to_string(children).unwrap_or_default()
        });
        let children: String = children.collect();
        let [child] = children.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("one process was started, not `{children}`")
        };
        child.parse().unwrap()
    }

    /// Waits until emulator or function say this.
    #[track_caller]
    pub(crate) fn await_said(&self, words: &str) {
        self.log.wait(|text| text.contains(words));
    }

    /// Connects as soon as the emulator listens.
    #[track_caller]
    fn connect(&self) -> TcpStream {
        let end = Instant::now() + PATIENCE;
        loop {
            match TcpStream::connect(self.address) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    return stream;
                }
                Err(error) => assert!(Instant::now() < end, "no emulator: {error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Lambda {
    #[expect(clippy::print_stderr, reason = "a test that fails shows what was said")]
    fn drop(&mut self) {
        // It ends the function before itself, also one that is stopped.
        signal("TERM", self.emulator.id());
        // There is nobody left to be told.
        let _ = self.emulator.wait();
        if std::thread::panicking() {
            // What was said last may still be on its way to the log, and is what tells the cause.
            std::thread::sleep(Duration::from_millis(500));
            eprintln!("{}", self.log.text.lock().unwrap());
        }
    }
}

/// What the emulator says when the function has been handed an invocation.
const BEGUN: &str = "INVOKE START";

impl Log {
    fn count(&self, words: &str) -> usize {
        self.text.lock().unwrap().matches(words).count()
    }

    #[track_caller]
    fn wait(&self, is_there: impl Fn(&str) -> bool) {
        let text = self.text.lock().unwrap();
        let waited = self
            .grown
            .wait_timeout_while(text, PATIENCE, |text| !is_there(text));
        assert!(
            !waited.unwrap().1.timed_out(),
            "what was waited for was not said"
        );
    }
}

/// Keeps what is said there.
fn keep(log: &Arc<Log>, said: impl Read + Send + 'static) {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for line in BufReader::new(said).split(b'\n').map_while(Result::ok) {
            let mut text = log.text.lock().unwrap();
            text.push_str(&String::from_utf8_lossy(&line));
            text.push('\n');
            log.grown.notify_all();
        }
    });
}

#[track_caller]
pub(crate) fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .status();
    assert!(sent.unwrap().success(), "{pid} cannot be sent {name}");
}

/// Two that nobody listens at.
fn free_addresses() -> [SocketAddr; 2] {
    let taken = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    taken.map(|listener| listener.local_addr().unwrap())
}

#[track_caller]
fn emulator_path() -> PathBuf {
    let architecture = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        other => other,
    };
    let emulator = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../.venv-infra/rie")
        .join(format!("aws-lambda-rie-{architecture}"));
    assert!(
        emulator.exists(),
        "`{}` is missing: run ./scripts/infra_tools.sh",
        emulator.display()
    );
    emulator
}
