"""Deploys environment `local` to LocalStack, sends mock events through its queue and its Function URL at once, and reads
the table back with DuckDB.

usage: servers.py run --with cloud,seaweedfs -- python run_localstack.py BIN_DIRECTORY --seconds N --rate N --seed N

`run.sh --with localstack` calls it, with the servers of `servers.py` running. Everything it starts ends with it.
"""

import argparse
import concurrent.futures
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from deployed import ROOT, Deployed, Failure, use_local_servers
from run_summary import print_counts, size

ENVIRONMENT = "local"
EVENTS_OF_MESSAGE = 100
LOG = ROOT / ".calve" / "run-localstack.log"  # Of the last deployment.


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("bin", type=Path)
    parser.add_argument("--seconds", required=True)
    parser.add_argument("--rate", type=int, required=True)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        run(options)
    except KeyboardInterrupt:
        sys.exit(130)
    except Failure as failure:
        sys.exit(f"error: {failure}\n\nhint: {failure.hint}")


def run(options):
    use_local_servers()
    began = time.monotonic()
    deploy()
    cloud = Deployed(ENVIRONMENT, options.bin)
    deploy_s = time.monotonic() - began
    by_queue, by_url = send(cloud, options)
    sent = time.monotonic()
    print("waiting until both queues are empty, and reading the table", file=sys.stderr)
    try:
        cloud.await_drained()
    except Failure:
        print(cloud.last_words(), file=sys.stderr)
        raise
    drain_s = time.monotonic() - sent
    summarise(cloud, by_queue, by_url, deploy_s, drain_s)


def deploy():
    LOG.parent.mkdir(exist_ok=True)
    told = LOG.relative_to(ROOT)
    print(f"deploying environment `{ENVIRONMENT}` to LocalStack; Terraform's plan and what it makes: {told}", file=sys.stderr)
    with LOG.open("wb") as log:
        # In a session of its own, so that it is stopped by us alone, and once.
        run = subprocess.Popen([ROOT / "scripts" / "deploy.sh", ENVIRONMENT, "--yes"], stdout=log, start_new_session=True)
        try:
            code = run.wait()
        except BaseException:
            for which in (signal.SIGINT, signal.SIGTERM):
                signal.signal(which, signal.SIG_IGN)
            os.killpg(run.pid, signal.SIGINT)
            run.wait()
            raise
    if code:
        raise Failure("the environment could not be deployed", f"the words of scripts/deploy.sh stand above, the rest is in {told}")


def send(cloud, options):
    """Half of the rate through each, side by side."""
    rate = max(2, options.rate) // 2
    common = {"rate": rate, "seconds": options.seconds, "batch": max(1, min(500, rate // 10))}
    print(f"sending {rate} events/s for {options.seconds} s into the queue, and as many to the Function URL", file=sys.stderr)
    queue = f"sqs:{cloud.outputs['queue_urls']['events']}"
    with concurrent.futures.ThreadPoolExecutor() as pool:
        by_queue = pool.submit(cloud.generate, queue, seed=options.seed, pack=EVENTS_OF_MESSAGE, compress="zstd", **common)
        by_url = pool.submit(cloud.generate, cloud.outputs["function_url"], seed=options.seed + 1, sign="lambda", **common)
        return by_queue.result(), by_url.result()


def summarise(cloud, by_queue, by_url, deploy_s, drain_s):
    rows = cloud.read()
    table = cloud.calve("table", "show")
    n_sent = by_queue["n_events"] + by_url["n_events"]
    event_bytes = by_queue["event_bytes"] + by_url["event_bytes"]
    n_rows, n_distinct = rows["n_rows"], rows["n_distinct"]
    file_bytes = table.get("data_file_bytes", 0)
    is_equal = n_sent == n_rows == n_distinct

    def latency(sent):
        return "p50 {p50:,.0f} ms, p95 {p95:,.0f} ms, p99 {p99:,.0f} ms".format(**sent["latency_ms"])

    print(f"""
applied          {len(cloud.resources()):>12,}   resources in {deploy_s:,.0f} s: VPC, queues, roles, functions, mappings, alarms, dashboard
events sent      {n_sent:>12,}   {by_queue["n_events"]:,} into the queue, {by_url["n_events"]:,} to the Function URL
rows read back   {n_rows:>12,}   with DuckDB, from S3, {drain_s:,.1f} s after the last was sent
distinct ids     {n_distinct:>12,}   {"equal" if is_equal else "NOT EQUAL"}
sending          {latency(by_queue)}, until the queue had it
Function URL     {latency(by_url)}, until the function had answered
compression      {event_bytes / max(file_bytes, 1):.1f} : 1, {size(event_bytes)} of JSON in {size(file_bytes)} of Parquet
data files       {table.get("n_data_files", 0):>12,}
snapshots        {table.get("n_snapshots", 0):>12,}
""")
    print_counts("rows by day", rows.get("by_day", {}))
    print_counts("rows by type", rows.get("by_type", {}))
    if not is_equal:
        raise Failure(f"{n_sent:,} events sent, {n_rows:,} rows read back, {n_distinct:,} distinct ids", "the functions' logs are gone with LocalStack; scripts/localstack.sh up keeps one")
    print("LocalStack, and all that was in it, is gone. For one that stays: scripts/localstack.sh up, scripts/deploy.sh local")


if __name__ == "__main__":
    main()
