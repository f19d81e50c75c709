"""Sends mock events through queues and both functions into a table in S3, and reads it back with DuckDB.

usage: servers.py run -- python run_aws.py BIN_DIRECTORY --seconds N --rate N --seed N

`run.sh --with aws` calls it, with the servers of `servers.py` running. Everything it starts ends with it.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from local_servers import WRITER, NotReady, call, fetch_token, request
from run_summary import print_counts, size

ROOT = Path(__file__).resolve().parent.parent
NAMESPACE, TABLE = "analytics", "events"
WINDOW_S = 2  # Of the committer.
EVENTS_OF_MESSAGE = 100
LOOK_S = 0.05  # How often the catalog is asked for new snapshots.
PATIENCE_S = 120
LOG = ROOT / ".calve" / "run-aws.log"  # Of the functions, of the last run.


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("bin", type=Path)
    parser.add_argument("--seconds", required=True)
    parser.add_argument("--rate", type=int, required=True)
    parser.add_argument("--seed", default="7")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="calve-run-") as work, contextlib.ExitStack() as stack:
        run(options, Path(work), stack)


def run(options, work, stack):
    queues = {name: create_queue(name) for name in ("dead-letters", "events", "receipts")}
    variables = settings()
    local = start_local(options, queues, variables, stack)
    seen = Snapshots()
    stack.callback(seen.stop)
    sent = send(options, work, queues["events"], variables)
    await_drained(queues, local)
    seen.stop()
    # At its own, so that it tells what it did.
    local.send_signal(signal.SIGTERM)
    report, _ = local.communicate(timeout=PATIENCE_S)
    if not seen.first_seen_ms:
        fail("no event became a row")
    rows = read_rows()
    freshness = read_freshness(work, seen)
    table = json.loads(ran([options.bin / "calve", "table", "show", "--output", "json"], variables))
    summarise(sent, rows, table, freshness, json.loads(report))


# Servers and settings.


def settings():
    """What functions and commands find in their environment."""
    test = {name.removeprefix("CALVE_TEST_"): value for name, value in os.environ.items()}
    ours = {
        "WAREHOUSE": f"s3://{test['S3_BUCKET']}/run",
        "TABLE_NAME": f"{NAMESPACE}.{TABLE}",
        "CATALOG_URI": test["CATALOG_URI"],
        "CATALOG_WAREHOUSE": test["CATALOG_WAREHOUSE"],
        "CATALOG_AUTH": "oauth2",
        "CATALOG_CREDENTIAL": f"{test['CATALOG_CLIENT_ID']}:{test['CATALOG_CLIENT_SECRET']}",
        "S3_ENDPOINT": test["S3_ENDPOINT"],
        "S3_REGION": test["S3_REGION"],
        "S3_PATH_STYLE": "true",
    }
    keys = {
        "AWS_ACCESS_KEY_ID": test["S3_ACCESS_KEY_ID"],
        "AWS_SECRET_ACCESS_KEY": test["S3_SECRET_ACCESS_KEY"],
        "AWS_REGION": test["S3_REGION"],
    }
    others = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CALVE_"))}
    return others | keys | {f"CALVE_{name}": value for name, value in ours.items()}


def sqs(action, body):
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"AmazonSQS.{action}"}
    endpoint = os.environ["CALVE_TEST_SQS_ENDPOINT"]
    return json.loads(call("POST", f"{endpoint}/", WRITER, "sqs", headers, json.dumps(body).encode()) or b"{}")


def create_queue(name):
    attributes = {"VisibilityTimeout": "60"}
    if name != "dead-letters":
        target = f"arn:aws:sqs:{os.environ['CALVE_TEST_AWS_REGION']}:000000000000:dead-letters"
        attributes["RedrivePolicy"] = json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": "3"})
    return sqs("CreateQueue", {"QueueName": name, "Attributes": attributes})["QueueUrl"]


def n_messages(url):
    """How many messages are in the queue, those that are hidden too."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = sqs("GetQueueAttributes", {"QueueUrl": url, "AttributeNames": names})
    return sum(int(answer["Attributes"][name]) for name in names)


# The way of the events.


def start_local(options, queues, variables, stack):
    """Starts `calve local` with both functions, and waits until they are ready."""
    LOG.parent.mkdir(exist_ok=True)
    log = LOG.open("wb")
    stack.callback(log.close)
    command = [
        options.bin / "calve", "local", "--output", "json",
        "--ingest", options.bin / "ingest", "--events-queue", queues["events"],
        "--commit", options.bin / "commit", "--receipts-queue", queues["receipts"],
        "--commit-window-s", str(WINDOW_S),
    ]  # fmt: skip
    local = subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=log)
    stack.callback(end, local)
    deadline = time.monotonic() + PATIENCE_S
    while b"ready" not in LOG.read_bytes():
        if local.poll() is not None or time.monotonic() > deadline:
            fail("the functions do not start")
        time.sleep(0.05)
    return local


def send(options, work, queue, variables):
    batch = max(1, min(1000, options.rate // 20))
    print(f"sending {options.rate} events/s for {options.seconds} s, seed {options.seed}", file=sys.stderr)
    command = [
        options.bin / "generator", "--to", f"sqs:{queue}", "--seconds", options.seconds, "--rate", str(options.rate),
        "--seed", options.seed, "--batch", str(batch), "--pack", str(EVENTS_OF_MESSAGE), "--compress", "zstd",
        "--log-messages", work / "messages.ndjson", "--output", "json",
    ]  # fmt: skip
    return json.loads(ran(command, variables))


def await_drained(queues, local):
    """Waits until no event and then no receipt is left: an event is deleted once its receipt is sent."""
    deadline = time.monotonic() + PATIENCE_S
    for name in ("events", "receipts"):
        while (left := n_messages(queues[name])) > 0:
            if local.poll() is not None or time.monotonic() > deadline:
                fail(f"{left} messages are left in the queue of {name}")
            time.sleep(0.05)
    if dead := n_messages(queues["dead-letters"]):
        fail(f"{dead} messages are in the dead-letter queue")


class Snapshots:
    """When each snapshot of the table was first seen in the catalog, by its id, in milliseconds."""

    def __init__(self):
        self.first_seen_ms = {}
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        token = fetch_token(os.environ["CALVE_TEST_CATALOG_TOKEN_URI"])
        warehouse = os.environ["CALVE_TEST_CATALOG_WAREHOUSE"].removeprefix("s3://")
        url = f"{os.environ['CALVE_TEST_CATALOG_URI']}/v1/{warehouse}/namespaces/{NAMESPACE}/tables/{TABLE}"
        is_last = False
        while not is_last:
            # Once more after it was told to stop: all is committed then.
            is_last = self.over.wait(LOOK_S)
            with contextlib.suppress(NotReady):  # There is no table before the first event.
                table = json.loads(request("GET", url, {"Authorization": f"Bearer {token}"}))
                now_ms = time.time() * 1000
                for snapshot in table["metadata"].get("snapshots", []):
                    self.first_seen_ms.setdefault(str(snapshot["snapshot-id"]), now_ms)

    def stop(self):
        self.over.set()
        self.thread.join()


# What came of it.


def reading():
    """The environment of what reads with other engines."""
    test = {name: os.environ[f"CALVE_TEST_{name}"] for name in ("S3_ENDPOINT", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")}
    credential = f"{os.environ['CALVE_TEST_CATALOG_CLIENT_ID']}:{os.environ['CALVE_TEST_CATALOG_CLIENT_SECRET']}"
    catalog = {"CATALOG_WAREHOUSE": os.environ["CALVE_TEST_CATALOG_WAREHOUSE"], "CATALOG_CREDENTIAL": credential}
    return os.environ | {f"CALVE_READ_{name}": value for name, value in (test | catalog).items()}


def read_rows():
    script = ROOT / "tests" / "readers" / "readers.py"
    catalog = os.environ["CALVE_TEST_CATALOG_URI"]
    return json.loads(ran([python(), script, "duckdb", catalog, f"{NAMESPACE}.{TABLE}"], reading()))


def read_freshness(work, seen):
    (work / "snapshots.json").write_text(json.dumps(seen.first_seen_ms))
    script = ROOT / "tests" / "readers" / "freshness.py"
    catalog = os.environ["CALVE_TEST_CATALOG_URI"]
    files = [work / "messages.ndjson", work / "snapshots.json"]
    return json.loads(ran([python(), script, catalog, f"{NAMESPACE}.{TABLE}", *files], reading()))


def python():
    return ROOT / ".venv" / "bin" / "python"


def summarise(sent, rows, table, freshness, report):
    n_sent, n_rows, n_distinct = sent["n_events"], rows["n_rows"], rows["n_distinct"]
    seconds, latency = sent["elapsed_s"], sent["latency_ms"]
    file_bytes = table.get("data_file_bytes", 0)
    ingest, commit = report["sources"]
    is_equal = n_sent == n_rows == n_distinct
    print(f"""
events sent      {n_sent:>12,}   {n_sent / seconds:,.0f} events/s, {sent["event_bytes"] / seconds / 1e6:,.1f} MB/s, in {sent["n_messages"]:,} messages
rows read back   {n_rows:>12,}   with DuckDB, from S3
distinct ids     {n_distinct:>12,}   {"equal" if is_equal else "NOT EQUAL"}
freshness        p50 {freshness["p50_ms"]:,.0f} ms, p95 {freshness["p95_ms"]:,.0f} ms, p99 {freshness["p99_ms"]:,.0f} ms, from when an event was due to be sent to when it is visible
sending          p50 {latency["p50"]:,.0f} ms, p95 {latency["p95"]:,.0f} ms, p99 {latency["p99"]:,.0f} ms, until the queue had it
compression      {sent["event_bytes"] / max(file_bytes, 1):.1f} : 1, {size(sent["event_bytes"])} of JSON in {size(file_bytes)} of Parquet
ingest           {ingest["n_records"]:>12,}   messages in {ingest["n_batches"]:,} invocations
commit           {commit["n_records"]:>12,}   receipts in {commit["n_batches"]:,} invocations, a window of {WINDOW_S} s
data files       {table.get("n_data_files", 0):>12,}
snapshots        {table.get("n_snapshots", 0):>12,}
""")
    print_counts("rows by day", rows.get("by_day", {}))
    print_counts("rows by type", rows.get("by_type", {}))
    if not is_equal or freshness["n_rows"] != n_rows:
        fail(f"{n_sent:,} events sent, {n_rows:,} rows read back, {n_distinct:,} ids, {freshness['n_rows']:,} timed")
    print("The servers, and the table with them, are gone. What a session of your own needs: scripts/servers.py --help")


# Processes.


def ran(command, env):
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.stderr.write(done.stdout)
        sys.exit(f"error: `{Path(command[0]).name}` failed; its own words stand above")
    return done.stdout


def end(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def fail(message):
    log = LOG.read_text(errors="replace").splitlines()
    told = [line for line in log if '"level":"INFO"' not in line and '"_aws"' not in line]
    sys.exit("\n".join([*told[-10:], f"error: {message}", "", f"hint: the last words of the functions stand above, the rest is in {LOG}"]))


if __name__ == "__main__":
    main()
