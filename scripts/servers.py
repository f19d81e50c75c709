#!/usr/bin/env python3
"""Starts servers that play AWS on this machine, on free ports of 127.0.0.1, with their state in one folder.

  servers.py run    --with seaweedfs,localstack [--folder DIR] -- COMMAND ...
  servers.py up     --with seaweedfs,localstack --folder DIR
  servers.py env    --folder DIR
  servers.py status --folder DIR
  servers.py down   --folder DIR

`run` starts them, waits until they answer, runs COMMAND with the variables below, and ends them, also when it is
told to stop itself; without a folder it uses a temporary one. `up` leaves them running until `down`; `env` prints the
variables as shell exports, `status` says of each server whether it runs and fails when one does not.

  seaweedfs   S3 (credentials are checked) and an Iceberg REST catalog with OAuth2 client credentials
      CALVE_TEST_S3_ENDPOINT, CALVE_TEST_S3_REGION, CALVE_TEST_S3_BUCKET
      CALVE_TEST_S3_ACCESS_KEY_ID, CALVE_TEST_S3_SECRET_ACCESS_KEY                  may do everything
      CALVE_TEST_S3_READER_ACCESS_KEY_ID, CALVE_TEST_S3_READER_SECRET_ACCESS_KEY    may only read the bucket
      CALVE_TEST_CATALOG_URI, CALVE_TEST_CATALOG_WAREHOUSE, CALVE_TEST_CATALOG_TOKEN_URI
      CALVE_TEST_CATALOG_CLIENT_ID, CALVE_TEST_CATALOG_CLIENT_SECRET
  localstack  SQS, Kinesis and a second S3 (credentials are taken as they come)
      CALVE_TEST_AWS_ENDPOINT, CALVE_TEST_SQS_ENDPOINT, CALVE_TEST_KINESIS_ENDPOINT, CALVE_TEST_AWS_REGION
      CALVE_TEST_AWS_ACCESS_KEY_ID, CALVE_TEST_AWS_SECRET_ACCESS_KEY
      CALVE_TEST_LOCALSTACK_S3_ENDPOINT, CALVE_TEST_LOCALSTACK_S3_BUCKET
"""

import argparse
import contextlib
import ctypes
import datetime
import hashlib
import hmac
import json
import os
import random
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

VENV = Path(__file__).resolve().parent.parent / ".venv-aws"
REGION = "us-east-1"
BUCKET = "lake"
TABLE_BUCKET = "tables"
# Only ever valid for servers of this machine.
WRITER = ("calve-test-writer", "calve-test-writer-secret")
READER = ("calve-test-reader", "calve-test-reader-secret")
START_SECONDS = 120
STOP_SECONDS = 20


def main():
    options = arguments()
    actions = {"run": run, "up": up, "env": print_env, "status": status, "down": down}
    sys.exit(actions[options.action](options))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("action", choices=["run", "up", "env", "status", "down"])
    parser.add_argument("--with", dest="servers", default="seaweedfs,localstack", help="which ones, by comma")
    parser.add_argument("--folder", type=Path, help="where their state and logs are")
    words = sys.argv[1:]
    dashes = words.index("--") if "--" in words else len(words)
    options = parser.parse_args(words[:dashes])
    options.command = words[dashes + 1 :]
    options.servers = [name for name in options.servers.split(",") if name]
    for name in options.servers:
        if name not in SERVERS:
            parser.error(f"there is no server `{name}`; there are {', '.join(SERVERS)}")
    if (options.action == "run") != bool(options.command):
        parser.error("`run`, and only `run`, takes a command after `--`")
    if options.folder is None and options.action != "run":
        parser.error(f"`{options.action}` needs --folder")
    return options


# What the command line does.


def run(options):
    stop_like_interrupt()
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="calve-servers-")))
        started = []
        stack.callback(lambda: end(started))
        start(options.servers, folder, started, lives_with_us=True)
        env = os.environ | joined_env(started)
        command = subprocess.Popen(options.command, env=env, preexec_fn=dies_with(os.getpid()))
        try:
            return command.wait()
        finally:
            end_process(command)


def up(options):
    if running(options.folder):
        fail(f"servers of `{options.folder}` are running already", f"servers.py down --folder {options.folder}")
    stop_like_interrupt()
    started = []
    try:
        start(options.servers, options.folder, started, lives_with_us=False)
    except BaseException:
        end(started)
        raise
    state = [{key: server[key] for key in ("name", "pid", "began", "env")} for server in started]
    state_file(options.folder).write_text(json.dumps(state, indent=2) + "\n")
    return print_env(options)


def print_env(options):
    servers = running(options.folder)
    if not servers:
        fail(f"no servers of `{options.folder}` are running", f"servers.py up --folder {options.folder}")
    for name, value in joined_env(servers).items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def status(options):
    alive = {server["name"] for server in running(options.folder)}
    names = [server["name"] for server in recorded(options.folder)]
    for name in names:
        print(f"{name}: {'running' if name in alive else 'not running'}")
    return 0 if names and alive == set(names) else 1


def down(options):
    end(running(options.folder))
    state_file(options.folder).unlink(missing_ok=True)
    return 0


# Starting and ending.


def start(names, folder, started, lives_with_us):
    """Starts the servers and waits until all of them answer; `started` grows by each as soon as it exists."""
    if not (VENV / "requirements.sha256").exists():
        fail("the servers are not installed", "scripts/local_aws.sh")
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    for name in names:
        home = folder / name
        home.mkdir(exist_ok=True)
        log = home / "server.log"
        plan = SERVERS[name](home)
        with log.open("wb") as output:
            process = subprocess.Popen(
                plan["command"],
                env=plan["environment"],
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=dies_with(os.getpid()) if lives_with_us else None,
            )
        pid = process.pid
        started.append(plan | {"name": name, "pid": pid, "began": began(pid), "process": process, "log": log})
    for server in started:
        await_answer(server)


def await_answer(server):
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            server["check"]()
            return
        except (OSError, NotReady) as error:
            reason = error
        if server["process"].poll() is not None:
            reason = f"it ended with {server['process'].returncode}"
        elif time.monotonic() < deadline:
            time.sleep(0.1)
            continue
        last = server["log"].read_text(errors="replace")[-2000:]
        fail(f"{server['name']} does not answer: {reason}", f"its last words, from {server['log']}:\n{last}")


def end(servers):
    """Tells the servers to stop, and the process groups that they lead; ends what does not."""
    for server in servers:
        tell(server, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    for server in servers:
        while alive(server) and time.monotonic() < deadline:
            time.sleep(0.05)
    for server in servers:
        tell(server, signal.SIGKILL)


def tell(server, which):
    """Signals the process group, which outlives its leader while a child of it runs."""
    process = server.get("process")
    if process is None and not alive(server):
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server["pid"], which)


def alive(server):
    process = server.get("process")
    if process is not None:
        return process.poll() is None
    return began(server["pid"]) == server["began"] != ""


def began(pid):
    """When the process began, so that another one with the same id is not taken for it; empty when there is none."""
    line = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True).stdout.split()
    return "" if not line or line[0].startswith("Z") else " ".join(line[1:])


def end_process(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def dies_with(parent):
    """For a child to run before it becomes its program: it is told to stop when we are killed (Linux only)."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)

    def prepare():
        libc.prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def stop_like_interrupt():
    def stop(number, _frame):
        sys.exit(128 + number)

    for which in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(which, stop)


# What is remembered between `up` and `down`.


def state_file(folder):
    return folder / "servers.json"


def recorded(folder):
    path = state_file(folder)
    return json.loads(path.read_text()) if path.exists() else []


def running(folder):
    return [server for server in recorded(folder) if alive(server)]


def joined_env(servers):
    return {name: value for server in servers for name, value in server["env"].items()}


# The servers.


def seaweedfs(home):
    names = "s3 s3.grpc iceberg master master.grpc filer filer.grpc volume volume.grpc admin admin.grpc".split()
    port = dict(zip(names, free_ports(len(names))))
    identities = [identity("writer", WRITER, "Admin Read Write List Tagging"),
                  identity("reader", READER, f"Read:{BUCKET} List:{BUCKET}")]
    config = home / "identities.json"
    config.write_text(json.dumps({"identities": identities}))
    data = home / "data"
    data.mkdir(exist_ok=True)
    command = [
        VENV / "bin" / "weed", "mini", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        f"-bucket={BUCKET}", f"-tableBucket={TABLE_BUCKET}", f"-s3.config={config}", "-s3.autoCreateBucket=false",
        "-master.telemetry=false", "-admin.ui=false", "-webdav=false", "-s3.port.lance=0", "-metricsPort=0",
        f"-s3.port={port['s3']}", f"-s3.port.grpc={port['s3.grpc']}", f"-s3.port.iceberg={port['iceberg']}",
        f"-master.port={port['master']}", f"-master.port.grpc={port['master.grpc']}",
        f"-filer.port={port['filer']}", f"-filer.port.grpc={port['filer.grpc']}",
        f"-volume.port={port['volume']}", f"-volume.port.grpc={port['volume.grpc']}",
        f"-admin.port={port['admin']}", f"-admin.port.grpc={port['admin.grpc']}",
        "-s3.localSocket=s3.sock", "-filer.localSocket=filer.sock",
    ]  # fmt: skip
    endpoint, catalog = at(port["s3"]), at(port["iceberg"])

    def check():
        call("HEAD", f"{endpoint}/{BUCKET}", WRITER, "s3")
        call("PUT", f"{endpoint}/{BUCKET}/.servers-answer", WRITER, "s3", body=b"yes")
        call("DELETE", f"{endpoint}/{BUCKET}/.servers-answer", WRITER, "s3")
        token = fetch_token(f"{catalog}/v1/oauth/tokens")
        headers = {"Authorization": f"Bearer {token}"}
        request("GET", f"{catalog}/v1/config?warehouse=s3://{TABLE_BUCKET}", headers)
        request("GET", f"{catalog}/v1/{TABLE_BUCKET}/namespaces", headers)

    return {
        "command": command,
        "environment": without_aws(),
        "check": check,
        "env": {
            "CALVE_TEST_S3_ENDPOINT": endpoint,
            "CALVE_TEST_S3_REGION": REGION,
            "CALVE_TEST_S3_BUCKET": BUCKET,
            "CALVE_TEST_S3_ACCESS_KEY_ID": WRITER[0],
            "CALVE_TEST_S3_SECRET_ACCESS_KEY": WRITER[1],
            "CALVE_TEST_S3_READER_ACCESS_KEY_ID": READER[0],
            "CALVE_TEST_S3_READER_SECRET_ACCESS_KEY": READER[1],
            "CALVE_TEST_CATALOG_URI": catalog,
            "CALVE_TEST_CATALOG_WAREHOUSE": f"s3://{TABLE_BUCKET}",
            "CALVE_TEST_CATALOG_TOKEN_URI": f"{catalog}/v1/oauth/tokens",
            "CALVE_TEST_CATALOG_CLIENT_ID": WRITER[0],
            "CALVE_TEST_CATALOG_CLIENT_SECRET": WRITER[1],
        },
    }


def identity(name, key, actions):
    credentials = [{"accessKey": key[0], "secretKey": key[1]}]
    return {"name": name, "credentials": credentials, "actions": actions.split()}


def fetch_token(url):
    form = {"grant_type": "client_credentials", "client_id": WRITER[0], "client_secret": WRITER[1], "scope": "catalog"}
    body = urllib.parse.urlencode(form).encode()
    return json.loads(request("POST", url, {"Content-Type": "application/x-www-form-urlencoded"}, body))["access_token"]


def localstack(home):
    [port] = free_ports(1)
    root = home / "root"
    libraries = root / "usr" / "lib"
    libraries.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (libraries / "localstack").symlink_to(VENV / "localstack")  # Its Kinesis, which it would download.
    endpoint = at(port)
    settings = {
        "FILESYSTEM_ROOT": root,
        "LOCALSTACK_VOLUME_DIR": home / "volume",
        "TMPDIR": temporary(home),
        "OVERRIDE_IN_DOCKER": 0,  # Inside a container it would take `/var/lib` for its own.
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "LOCALSTACK_HOST": f"127.0.0.1:{port}",  # What the URLs of queues begin with.
        "SQS_ENDPOINT_STRATEGY": "path",
        "GATEWAY_SERVER": "hypercorn",  # The default one listens on all addresses.
        "SERVICES": "s3,sqs,kinesis,sts",
        "STRICT_SERVICE_LOADING": 1,
        "SKIP_SSL_CERT_DOWNLOAD": 1,
        "DISABLE_EVENTS": 1,
        "DNS_ADDRESS": 0,
        "NODE_OPTIONS": f"--require={Path(__file__).resolve().parent / 'listen_on_loopback.js'}",
        "PATH": f"{VENV / 'bin'}:{os.environ['PATH']}",
    }

    def check():
        call("PUT", f"{endpoint}/{BUCKET}", WRITER, "s3")
        targets = {"sqs": ("json-1.0", "AmazonSQS.ListQueues"), "kinesis": ("json-1.1", "Kinesis_20131202.ListStreams")}
        for service, (kind, target) in targets.items():
            headers = {"Content-Type": f"application/x-amz-{kind}", "X-Amz-Target": target}
            call("POST", f"{endpoint}/", WRITER, service, headers, b"{}")

    return {
        "command": [VENV / "bin" / "python", Path(__file__).resolve().parent / "localstack_host.py"],
        "environment": without_aws() | {name: str(value) for name, value in settings.items()},
        "check": check,
        "env": {
            "CALVE_TEST_AWS_ENDPOINT": endpoint,
            "CALVE_TEST_AWS_REGION": REGION,
            "CALVE_TEST_AWS_ACCESS_KEY_ID": WRITER[0],
            "CALVE_TEST_AWS_SECRET_ACCESS_KEY": WRITER[1],
            "CALVE_TEST_SQS_ENDPOINT": endpoint,
            "CALVE_TEST_KINESIS_ENDPOINT": endpoint,
            "CALVE_TEST_LOCALSTACK_S3_ENDPOINT": endpoint,
            "CALVE_TEST_LOCALSTACK_S3_BUCKET": BUCKET,
        },
    }


SERVERS = {"seaweedfs": seaweedfs, "localstack": localstack}


def temporary(home):
    path = home / "tmp"
    path.mkdir(exist_ok=True)
    return path


def without_aws():
    """Our environment without what would point a server at somebody's AWS account."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3_", "CALVE_"))}


def at(port):
    return f"http://127.0.0.1:{port}"


def free_ports(n):
    """Ports that nobody listens on, from below the range that the system hands out to outgoing connections."""
    with contextlib.ExitStack() as stack:
        ports = []
        while len(ports) < n:
            port = random.randrange(15_000, 32_000)
            listener = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                listener.bind(("127.0.0.1", port))
                ports.append(port)
        return ports


# Requests, signed as AWS wants them.


class NotReady(Exception):
    """The server answers, but not yet what it should."""


def call(method, url, key, service, headers=None, body=b""):
    parts = urllib.parse.urlsplit(url)
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    headers = {name.lower(): value for name, value in (headers or {}).items()}
    headers |= {"host": parts.netloc, "x-amz-date": now, "x-amz-content-sha256": digest}
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = "\n".join([method, urllib.parse.quote(parts.path), parts.query, lines, names, digest])
    scope = f"{now[:8]}/{REGION}/{service}/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    secret = f"AWS4{key[1]}".encode()
    for part in scope.split("/"):
        secret = hmac.digest(secret, part.encode(), "sha256")
    signature = hmac.digest(secret, to_sign.encode(), "sha256").hex()
    credential = f"AWS4-HMAC-SHA256 Credential={key[0]}/{scope}, SignedHeaders={names}, Signature={signature}"
    return request(method, url, headers | {"authorization": credential}, body)


def request(method, url, headers, body=None):
    asked = urllib.request.Request(url, data=body or None, headers=headers, method=method)
    # No proxy: these servers are on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(asked, timeout=30) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        raise NotReady(f"{method} {url}: {error.code} {error.read()[:300]!r}") from None


def fail(message, hint):
    sys.exit(f"error: {message}\n\nhint: {hint}")


if __name__ == "__main__":
    main()
