#!/usr/bin/env python3
"""Starts servers that play AWS on this machine, on free ports of 127.0.0.1, with their state in one folder.

  servers.py run    --with seaweedfs,localstack [--folder DIR] [--port NAME=N] -- COMMAND ...
  servers.py up     --with seaweedfs,localstack --folder DIR [--port NAME=N]
  servers.py env    --folder DIR
  servers.py status --folder DIR
  servers.py down   --folder DIR

`run` starts them, waits until they answer, runs COMMAND with the variables below, and ends them, also when it is
told to stop itself; without a folder it uses a temporary one. `up` leaves them running until `down`; `env` prints the
variables as shell exports, `status` says of each server whether it runs and fails when one does not.

  seaweedfs   S3 (credentials are checked) and an Iceberg REST catalog with OAuth2 client credentials, which gives out
              credentials for single tables
      CALVE_TEST_S3_ENDPOINT, CALVE_TEST_S3_REGION, CALVE_TEST_S3_BUCKET
      CALVE_TEST_S3_ACCESS_KEY_ID, CALVE_TEST_S3_SECRET_ACCESS_KEY                  may do everything
      CALVE_TEST_S3_READER_ACCESS_KEY_ID, CALVE_TEST_S3_READER_SECRET_ACCESS_KEY    may only read the bucket
      CALVE_TEST_CATALOG_URI, CALVE_TEST_CATALOG_WAREHOUSE, CALVE_TEST_CATALOG_TOKEN_URI
      CALVE_TEST_CATALOG_CLIENT_ID, CALVE_TEST_CATALOG_CLIENT_SECRET
  localstack  SQS, Kinesis and a second S3 (credentials are taken as they come)
      CALVE_TEST_AWS_ENDPOINT, CALVE_TEST_SQS_ENDPOINT, CALVE_TEST_KINESIS_ENDPOINT, CALVE_TEST_AWS_REGION
      CALVE_TEST_AWS_ACCESS_KEY_ID, CALVE_TEST_AWS_SECRET_ACCESS_KEY
      CALVE_TEST_LOCALSTACK_S3_ENDPOINT, CALVE_TEST_LOCALSTACK_S3_BUCKET
  cloud       LocalStack with all that environment `local` is applied to; functions run as processes of this machine
      CALVE_TEST_CLOUD_ENDPOINT, CALVE_TEST_CLOUD_REGION
  ministack   Glue and S3 Tables (signatures are checked, policies decide); installed by scripts/ministack.sh
      CALVE_TEST_MINISTACK_ENDPOINT
      CALVE_TEST_MINISTACK_ACCESS_KEY_ID, CALVE_TEST_MINISTACK_SECRET_ACCESS_KEY    may do everything
"""

import argparse
import contextlib
import ctypes
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from local_servers import MINISTACK_VENV, SERVERS, VENV, NotReady

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
    parser.add_argument("--port", dest="ports", action="append", default=[], metavar="NAME=N", help="not a free one")
    words = sys.argv[1:]
    dashes = words.index("--") if "--" in words else len(words)
    options = parser.parse_args(words[:dashes])
    options.command = words[dashes + 1 :]
    options.servers = [name for name in options.servers.split(",") if name]
    try:
        options.ports = {name: int(port) for name, port in (given.split("=") for given in options.ports)}
    except ValueError:
        parser.error("--port wants the name of a server and a number: --port cloud=4566")
    for name in [*options.servers, *options.ports]:
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
        start(options, folder, started, lives_with_us=True)
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
        start(options, options.folder, started, lives_with_us=False)
    except BaseException:
        end(started)
        raise
    state = [{key: server[key] for key in ("name", "pid", "began", "litter", "env")} for server in started]
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


def start(options, folder, started, lives_with_us):
    """Starts the servers and waits until all of them answer; `started` grows by each as soon as it exists."""
    for name in options.servers:
        venv, script = (MINISTACK_VENV, "ministack") if name == "ministack" else (VENV, "local_aws")
        if not (venv / "requirements.sha256").exists():
            fail(f"{name} is not installed", f"scripts/{script}.sh")
    for name, port in options.ports.items():
        if is_taken(port):
            fail(f"port {port}, which {name} was to have, is taken", f"another one: --port {name}=N")
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    for name in options.servers:
        home = folder / name
        home.mkdir(exist_ok=True)
        log = home / "server.log"
        plan = SERVERS[name](home, options.ports.get(name))
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


def is_taken(port):
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # A port that was listened on just now is free.
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


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
        for path in server["litter"]:
            Path(path).unlink(missing_ok=True)


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


def dies_with(parent, how=signal.SIGTERM):
    """For a child to run before it becomes its program: it gets the signal when we are killed (Linux only)."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)

    def prepare():
        libc.prctl(1, how)  # PR_SET_PDEATHSIG
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


def fail(message, hint):
    sys.exit(f"error: {message}\n\nhint: {hint}")


if __name__ == "__main__":
    main()
