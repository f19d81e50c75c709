"""Builds the packages for arm64 and starts what is in them: `.venv/bin/python tests/cloud/arm64.py [--profile release]`.

Rust's own arm64 target, or Debian's compiler where that can be had (`scripts/arm64.sh`), makes the packages; a processor that
QEMU plays, behind AWS's runtime interface emulator, runs them: ingest lands events, commit answers, DuckDB reads the rows.
Without compiler or QEMU there is one line that begins with `skipped:`, and nothing fails.

The profile is `quick`, whose build takes minutes: what is looked at, the processor, the C library and that the parts in C and
assembly were cross-compiled, is the same in `release`, whose build takes several times as long.
"""

import argparse
import contextlib
import hashlib
import json
import os
import platform
import shlex
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from package_function import ARCHITECTURES, in_order, newer_than, versions_needed  # noqa: E402

GLIBC = "2.34"
UNAVAILABLE = 69  # What arm64.sh ends with where its packages cannot be had.
PATIENCE_S = 120
TABLE = "analytics.events"
EVENTS = [
    {"event_id": "one", "event_type": "order", "event_time": "2026-11-20T10:00:00Z", "total": 12.5, "city": "Zürich"},
    {"event_id": "two", "event_type": "order", "event_time": "2026-11-21T10:00:00Z", "total": 7.25, "items": [{"n": 3}]},
    {"event_id": "three", "event_type": "visit", "event_time": "2026-11-21T11:00:00Z", "page": {"path": "/", "ms": 41}},
]


class Failure(Exception):
    """What is not as it should be."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--profile", choices=["quick", "release"], default="quick")
    options = parser.parse_args()
    tools = found_tools()
    if isinstance(tools, str):
        print(f"skipped: {tools}")
        return
    with tempfile.TemporaryDirectory(prefix="calve-arm64-") as work:
        work = Path(work)
        build = ["scripts/build.sh", "--arch", "arm64", "--profile", options.profile, "--folder", work / "packages"]
        if subprocess.run(build, cwd=ROOT, env=os.environ | tools).returncode:
            raise Failure("the packages were not built")
        programs = {name: unpacked(name, work / "packages" / "arm64") for name in ("ingest", "commit")}
        warehouse = work / "warehouse"
        run = shlex.split(tools.get("CALVE_RUN_ARM64", ""))
        lands_events([*run, programs["ingest"]], warehouse)
        commit_answers([*run, programs["commit"]], warehouse)
        rows_are_those_sent(warehouse)


def found_tools():
    """What the build and the start need in their environment, or why it cannot be had."""
    if platform.machine() == "aarch64":
        return {}
    got = subprocess.run([ROOT / "scripts" / "arm64.sh"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if got.returncode == UNAVAILABLE:
        return got.stderr.strip().splitlines()[-1]
    if got.returncode:
        raise Failure(f"scripts/arm64.sh ended with {got.returncode}:\n{got.stderr}")
    words = [word for word in shlex.split(got.stdout) if word != "export"]
    return dict(word.split("=", 1) for word in words)


def unpacked(name, folder):
    """The program in a package, which is for arm64 and asks for nothing that Lambda's system is without."""
    manifest = json.loads((folder / f"{name}.json").read_text())
    packed = (folder / f"{name}.zip").read_bytes()
    same(f"the architecture of {name}.json", manifest["architecture"], "arm64")
    same(f"the sum in {name}.json", manifest["sha256"], hashlib.sha256(packed).hexdigest())
    with zipfile.ZipFile(folder / f"{name}.zip") as archive:
        same(f"what is in {name}.zip", archive.namelist(), ["bootstrap"])
        code = archive.read("bootstrap")
        mode = archive.getinfo("bootstrap").external_attr >> 16
    same(f"the processor of {name}", ARCHITECTURES.get(int.from_bytes(code[18:20], "little")), "arm64")
    same(f"what {name} asks for that glibc {GLIBC} is without", newer_than(GLIBC, code), [])
    # No version at all would mean that the check above looked at nothing.
    newest = max((version for version in versions_needed(code) if version.startswith("GLIBC_")), key=in_order)
    print(f"{name}: arm64, {len(packed) / (1 << 20):.1f} MiB zipped, asks for {newest}")
    program = folder / name / "bootstrap"
    program.parent.mkdir()
    program.write_bytes(code)
    program.chmod(mode & 0o777)
    return program


def lands_events(command, warehouse):
    with behind_the_emulator("ingest", command, warehouse) as invoke:
        report = invoke(EVENTS[:2])
        same("the rows of the first invocation", report["n_rows"], 2)
        same("the rows of the second invocation", invoke(EVENTS[2])["n_rows"], 1)


def commit_answers(command, warehouse):
    """What is no receipt is quarantined, for which settings, catalog and table were looked at."""
    message = {
        "messageId": "m0", "receiptHandle": "h", "body": "no receipt", "md5OfBody": "", "messageAttributes": {},
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1795219200000"}, "awsRegion": "eu-central-1",
        "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:receipts",
    }  # fmt: skip
    with behind_the_emulator("commit", command, warehouse) as invoke:
        same("what commit wants delivered again", invoke({"Records": [message]})["batchItemFailures"], [])


def rows_are_those_sent(warehouse):
    reader = [sys.executable, ROOT / "tests" / "readers" / "readers.py", "duckdb", warehouse, TABLE, "--lines"]
    read = json.loads(subprocess.run(reader, check=True, stdout=subprocess.PIPE, text=True).stdout)
    rows = {row["event_id"]: row for row in map(json.loads, read["lines"])}
    same("the events that DuckDB reads", sorted(rows), sorted(event["event_id"] for event in EVENTS))
    for event in EVENTS:
        row = rows[event["event_id"]]
        for name in ("event_type", "total", "city"):
            same(f"{name} of {event['event_id']}", row[name], event.get(name))
    print(f"DuckDB reads {read['n_rows']} rows, those that were sent")


@contextlib.contextmanager
def behind_the_emulator(name, command, warehouse):
    """The function as Lambda runs it: gives what invokes it, and ends it."""
    emulator = ROOT / ".venv-infra" / "rie" / f"aws-lambda-rie-{'arm64' if platform.machine() == 'aarch64' else 'x86_64'}"
    if not emulator.exists():
        raise Failure(f"{emulator.relative_to(ROOT)} is not there: ./scripts/infra_tools.sh")
    address, runtime_api = free_addresses()
    variables = {"CALVE_WAREHOUSE": str(warehouse), "CALVE_TABLE_NAME": TABLE, "PATH": os.environ["PATH"]}
    variables |= {"AWS_LAMBDA_FUNCTION_NAME": name, "AWS_LAMBDA_FUNCTION_TIMEOUT": str(PATIENCE_S)}
    started = [emulator, "--runtime-interface-emulator-address", address, "--runtime-api-address", runtime_api, *command]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(started, env=variables, stdout=log, stderr=log)
        try:
            yield lambda payload: answer(address, process, payload)
        except Exception:
            log.seek(0)
            sys.stderr.write(log.read().decode(errors="replace"))
            raise
        finally:
            # It ends the function before itself.
            process.terminate()
            process.wait()


def answer(address, process, payload):
    """Invokes the function as soon as the emulator listens."""
    deadline = time.monotonic() + PATIENCE_S
    request = urllib.request.Request(f"http://{address}/2015-03-31/functions/function/invocations", json.dumps(payload).encode())
    while True:
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise Failure(f"the function failed: {error.read().decode()}") from error
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError) or process.poll() is not None or time.monotonic() > deadline:
                raise Failure(f"the emulator does not answer: {error}") from error
        time.sleep(0.05)


def free_addresses():
    """Two that nobody listens at."""
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        return [f"127.0.0.1:{listener.getsockname()[1]}" for listener in taken]


def same(what, found, expected):
    if found != expected:
        raise Failure(f"{what}: {found!r}, and not {expected!r}")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"error: {failure}")
