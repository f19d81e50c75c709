"""Measures what invocations of both functions cost: processor time, requests to S3, catalog and queue, bytes written and logged.

usage: servers.py run -- python measure_invocations.py BIN_DIRECTORY [--rounds N] > infrastructure/measured.json

It plays the Lambda Runtime API to the programs in BIN_DIRECTORY (named after their profile: `release`, as they are deployed) and
stands between them and the servers of `servers.py` to count requests. Everything is a mean over the invocations of one warm
process. Requests and bytes do not depend on the machine's load, processor time does by up to a half. `costs.py` reads what it
prints.
"""

import argparse
import contextlib
import datetime
import http.client
import json
import os
import platform
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from bench_functions import Function, copies_of, one_receipt, sqs_event
from run_aws import create_queue, ran, settings

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
# Messages of an invocation, and events of each; None: as many as fit into 6 MiB.
INGESTED = [(1, 1), (10, 1), (100, 1), (1000, 1), (10, 10), (100, 10), (10, 100), (None, 100), (None, 250)]
# Receipts of an invocation, and how many invocations: at least 100 for once, so that manifests are merged.
COMMITTED = [(1, 120), (10, 40), (100, 20), (1000, 5)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("bin", type=Path)
    parser.add_argument("--rounds", type=int, default=50, help="invocations of ingest, for each size")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        json.dump(measured(options, stack), sys.stdout, indent=2)
    print()


def measured(options, stack):
    variables = settings() | {"CALVE_TABLE_NAME": f"bench.invocations_{uuid.uuid4().hex[:8]}"}
    variables["CALVE_SQS_ENDPOINT"] = os.environ["CALVE_TEST_SQS_ENDPOINT"]
    receipts = create_queue("dead-letters") and create_queue("receipts")
    lines = ran([options.bin / "generator", "--events", "20000"], None).splitlines()
    # In direct mode once, so that there is a table with all columns.
    with Function(options.bin / "ingest", variables) as direct:
        direct.invoke(sqs_event(["\n".join(lines[:5000])]))
    counted = {}
    for name in ["CALVE_S3_ENDPOINT", "CALVE_CATALOG_URI", "CALVE_SQS_ENDPOINT"]:
        counted[name] = stack.enter_context(Counter(variables[name]))
    variables |= {name: counter.uri for name, counter in counted.items()}
    staged = variables | {"CALVE_MODE": "staged", "CALVE_RECEIPT_QUEUE_URL": receipts}
    ingested = []
    for n_messages, n_events in INGESTED:
        bodies = ["\n".join(lines[at : at + n_events]) for at in range(0, len(lines) - n_events, n_events)]
        event = sqs_event(bodies[:n_messages])
        n_messages = len(json.loads(event)["Records"])
        events = lines[: n_messages * n_events]
        row = {"n_messages": n_messages, "n_events": len(events), "event_bytes": sum(map(len, events)) + len(events), "payload_bytes": len(event)}
        ingested.append(row | means(options.bin / "ingest", staged, [event] * (options.rounds + 1), counted))
    receipt = queued_receipt(options, staged, lines, counted)
    batch = copies_of(receipt)
    committed = []
    for n_receipts, rounds in COMMITTED:
        events = [sqs_event([next(batch) for _ in range(n_receipts)]) for _ in range(rounds + 1)]
        row = {"n_messages": n_receipts, "payload_bytes": len(events[0]), "message_bytes": len(next(batch))}
        committed.append(row | means(options.bin / "commit", variables, events, counted))
    return {
        "measured": {
            "date": datetime.date.today().isoformat(),
            "how": f"scripts/measure_invocations.py: profile {options.bin.name}, one warm process for each row, mean over its invocations",
            "machine": f"{os.cpu_count()} virtual cores, {platform.machine()}",
            "ingest": ingested,
            "commit": committed,
        }
    }


def queued_receipt(options, staged, lines, counted):
    """The receipt of a batch of a thousand events, through a queue of its own."""
    queue = create_queue(f"receipts-{uuid.uuid4().hex[:8]}")
    with Function(options.bin / "ingest", staged | {"CALVE_RECEIPT_QUEUE_URL": queue}) as function:
        function.invoke(sqs_event(["\n".join(lines[:1000])]))
    return one_receipt(queue)


def means(program, variables, events, counted):
    """What one invocation takes, once the process has had the first of these events."""
    with Function(program, variables) as function:
        function.server.handle_error = say_nothing
        function.invoke(events[0])
        for counter in counted.values():
            counter.clear()
        cpu_ms, elapsed_ms = processor_ms(function), 0
        for event in events[1:]:
            elapsed_ms += function.invoke(event)
        cpu_ms = processor_ms(function) - cpu_ms
    function.reader.join()
    rounds = len(events) - 1
    logged = [line for line in function.log.getvalue().splitlines() if line.strip()]
    metric_bytes = sum(len(line) + 1 for line in logged if b'"_aws"' in line)
    log_bytes = sum(len(line) + 1 for line in logged) - metric_bytes
    of = {name: counted[f"CALVE_{name}"] for name in ["S3_ENDPOINT", "CATALOG_URI", "SQS_ENDPOINT"]}

    def mean(total, n=rounds):
        return round(total / n, 2)

    return {
        "rounds": rounds,
        "cpu_ms": mean(cpu_ms),
        "elapsed_ms": mean(elapsed_ms),
        "s3_puts": mean(of["S3_ENDPOINT"].requests("PUT", "POST")),
        "s3_gets": mean(of["S3_ENDPOINT"].requests("GET", "HEAD")),
        "s3_put_bytes": mean(of["S3_ENDPOINT"].put_bytes),
        "catalog_requests": mean(of["CATALOG_URI"].requests("GET", "HEAD", "POST")),
        "queue_requests": mean(of["SQS_ENDPOINT"].requests("POST")),
        # The first invocation of the process is among those that logged.
        "log_bytes": mean(log_bytes, rounds + 1),
        "metric_bytes": mean(metric_bytes, rounds + 1),
    }


def say_nothing(*_):
    """A function that ends resets the connections that it kept; nobody needs to read of it."""


def processor_ms(function):
    fields = Path(f"/proc/{function.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1e3 / CLOCK_TICKS


class Counter:
    """Passes requests on to a server as they are, and counts them."""

    def __init__(self, uri):
        self.target = urlsplit(uri)
        self.lock = threading.Lock()
        self.clear()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), passing_on(self))
        self.server.handle_error = say_nothing
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.uri = self.target._replace(netloc=f"127.0.0.1:{self.server.server_port}").geturl()

    def clear(self):
        self.methods, self.put_bytes = {}, 0

    def count(self, method, n_bytes):
        with self.lock:
            self.methods[method] = self.methods.get(method, 0) + 1
            self.put_bytes += n_bytes

    def requests(self, *methods):
        return sum(self.methods.get(method, 0) for method in methods)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def passing_on(counter):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def pass_on(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            counter.count(self.command, len(body) if self.command == "PUT" else 0)
            connection = http.client.HTTPConnection(counter.target.hostname, counter.target.port)
            # The host too: it is signed.
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            with contextlib.closing(connection):
                answer = connection.getresponse()
                found = answer.read()
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                        self.send_header(name, value)
                length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(found))
                self.send_header("Content-Length", length or "0")
                self.end_headers()
                self.wfile.write(found)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on

        def log_message(self, *_):
            pass

    return Handler


if __name__ == "__main__":
    main()
