"""One process of a function, and the Lambda Runtime API that it speaks to, on a port of 127.0.0.1 of its own."""

import dataclasses
import http.server
import json
import os
import queue
import select
import signal
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from servers import dies_with

API = "/2018-06-01/runtime"
INIT_SECONDS = 10  # Of AWS, which then begins anew and lets it take as long as an invocation.
ANSWER_BYTES = 6 * 1024 * 1024 + 100  # Of AWS.

# The kernel ends a child when the thread ends that started it, so all are started by one that lives as long as we do.
STARTER = ThreadPoolExecutor(1, thread_name_prefix="function-starter")


@dataclasses.dataclass(frozen=True)
class Invocation:
    request_id: str
    function_arn: str
    trace_id: str
    payload: bytes
    timeout_s: float


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of an invocation, and what the process printed until then."""

    payload: bytes
    status: str  # `success`, `error`, `timeout`, or `untaken`: the process ended before it took the invocation.
    logs: str
    duration_ms: float
    init_ms: float | None

    @property
    def is_error(self):
        return self.status != "success"


class Sandbox:
    """Runs one invocation after the other until its process ends; then it is of no further use."""

    def __init__(self, command, environment, directory):
        self.begun = time.monotonic()
        self.init_ms = None
        self.request_id = None
        self.invocations = queue.SimpleQueue()
        self.events = queue.SimpleQueue()
        self.temporary = tempfile.TemporaryDirectory(prefix="function-", ignore_cleanup_errors=True)
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.sandbox = self
        start_thread(self.server.serve_forever)
        environment = {"TMPDIR": self.temporary.name} | environment
        environment["AWS_LAMBDA_RUNTIME_API"] = f"127.0.0.1:{self.server.server_port}"
        try:
            self.process = STARTER.submit(spawn, command, environment, directory).result()
        except BaseException:
            self.forget()
            raise
        self.log = Log(self.process.stdout)
        start_thread(self.await_end)

    def invoke(self, invocation):
        """Blocks until the process has answered, ended, or run out of time; the last two end the sandbox."""
        is_first = self.init_ms is None
        self.invocations.put(invocation)
        init_s = max(INIT_SECONDS, invocation.timeout_s)
        what, detail = self.next_event(init_s)
        taken = time.monotonic()
        is_taken = what == "taken"
        if is_taken:
            what, detail = self.next_event(invocation.timeout_s)
        duration_ms = (time.monotonic() - taken) * 1000
        self.request_id = None
        if what not in ("response", "error"):
            self.close()
        match what:
            case "response":
                status, payload = "success", detail
            case "error" | "init error":
                status, payload = "error", detail
            case "end":
                status = "error" if is_taken or is_first else "untaken"
                payload = failure(invocation, "Runtime.ExitError", explain_end(detail))
            case "silence":
                seconds = invocation.timeout_s if is_taken else init_s
                status = "timeout"
                payload = failure(invocation, "Sandbox.Timedout", f"Task timed out after {seconds:.2f} seconds")
        return Outcome(payload, status, self.log.take(), duration_ms, self.init_ms if is_first else None)

    def is_alive(self):
        return self.process.poll() is None

    def close(self):
        """Ends the process at once, and with it whatever invocation runs."""
        self.process.kill()
        self.process.wait()
        self.forget()

    def forget(self):
        self.invocations.put(None)
        start_thread(self.stop_serving)  # It takes a moment.
        self.temporary.cleanup()

    def stop_serving(self):
        self.server.shutdown()
        self.server.server_close()

    # What happens to the process, as seen by the threads that watch it.

    def next_event(self, seconds):
        try:
            return self.events.get(timeout=seconds)
        except queue.Empty:
            return "silence", None

    def await_end(self):
        self.events.put(("end", self.process.wait()))

    def take(self):
        """The next invocation for the process and its deadline; none when there will be no more."""
        if self.init_ms is None:
            self.init_ms = (time.monotonic() - self.begun) * 1000
        invocation = self.invocations.get()
        if invocation is None:
            self.invocations.put(None)
            return None
        self.request_id = invocation.request_id
        self.events.put(("taken", None))
        return invocation, int((time.time() + invocation.timeout_s) * 1000)


def spawn(command, environment, directory):
    return subprocess.Popen(
        command,
        env=environment,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=dies_with(os.getpid(), signal.SIGKILL),
    )


def start_thread(target):
    threading.Thread(target=target, daemon=True).start()


def failure(invocation, kind, text):
    """An error as AWS words it when the function itself says nothing."""
    message = f"RequestId: {invocation.request_id} Error: {text}"
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()


def explain_end(code):
    if not code:
        return "Runtime exited without providing a reason"
    how = f"exit status {code}" if code > 0 else f"signal: {signal.Signals(-code).name}"
    return f"Runtime exited with error: {how}"


class Log:
    """What the process printed and nobody has taken yet; it never has to wait for a reader."""

    def __init__(self, pipe):
        self.pipe = pipe
        self.lock = threading.Lock()
        self.text = bytearray()
        os.set_blocking(pipe.fileno(), False)
        start_thread(self.follow)

    def follow(self):
        poll = select.poll()
        poll.register(self.pipe, select.POLLIN)
        is_open = True
        while is_open:
            poll.poll()
            with self.lock:
                is_open = self.drain()
        with self.lock:
            self.pipe.close()

    def drain(self):
        """Reads what is there; false at the end."""
        while not self.pipe.closed:
            try:
                chunk = os.read(self.pipe.fileno(), 65536)
            except BlockingIOError:
                return True
            if not chunk:
                return False
            self.text += chunk
        return False

    def take(self):
        with self.lock:
            self.drain()
            text, self.text = self.text, bytearray()
        return text.decode(errors="replace")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    sandbox = None

    def handle_error(self, *_args):
        """The process went away while it was being answered, which `Sandbox.await_end` sees too."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65536

    def do_GET(self):
        if self.path != f"{API}/invocation/next":
            return self.refuse(404, "UnknownPath", self.path)
        taken = self.server.sandbox.take()
        if taken is None:
            self.close_connection = True
            return None
        invocation, deadline_ms = taken
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
            "Lambda-Runtime-Trace-Id": invocation.trace_id,
        }
        return self.answer(200, invocation.payload, headers)

    def do_POST(self):
        body = self.read_body()
        sandbox = self.server.sandbox
        match self.path.removeprefix(API).split("/"):
            case ["", "init", "error"]:
                sandbox.events.put(("init error", body))
            case ["", "invocation", request_id, "response" | "error" as what]:
                if request_id != sandbox.request_id:
                    return self.refuse(400, "InvalidRequestID", "Invalid request ID")
                if len(body) > ANSWER_BYTES:
                    text = f"Response payload size exceeded maximum allowed payload size ({ANSWER_BYTES} bytes)."
                    error = {"errorType": "Function.ResponseSizeTooLarge", "errorMessage": text}
                    sandbox.request_id = None  # What the process says of it now comes too late.
                    sandbox.events.put(("error", json.dumps(error).encode()))
                    return self.refuse(413, "RequestEntityTooLarge", text)
                sandbox.request_id = None
                sandbox.events.put((what, body))
            case _:
                return self.refuse(404, "UnknownPath", self.path)
        return self.answer(202, b'{"status":"OK"}')

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():  # Trailers.
            pass
        return body

    def refuse(self, status, kind, text):
        self.answer(status, json.dumps({"errorType": kind, "errorMessage": text}).encode())

    def answer(self, status, body, headers=None):
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args):
        pass
