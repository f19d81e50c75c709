#!/usr/bin/env python3
"""A Lambda function that does what each record tells it to, and writes down what it was given.

A record's body is `{"id": "a", "do": ["fail", "ok"]}`: what to do at each delivery, the last one from then on.

  ok       nothing
  fail     name the record in the partial batch response
  error    post an error
  garbage  answer something that is no partial batch response
  stranger name a record that is not in the batch
  exit     end the process
  hang     never answer
  meet     wait until two instances are at this point

FUNCTION_DIRECTORY holds `log`, one JSON object a line: the event at the beginning of an invocation, its id at the end.
"""

import base64
import http.client
import json
import os
import sys
import time
from pathlib import Path

HOME = Path(os.environ["FUNCTION_DIRECTORY"])
API = "/2018-06-01/runtime/invocation"


def main():
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    while True:
        connection.request("GET", f"{API}/next")
        answer = connection.getresponse()
        event = json.loads(answer.read())
        headers = {name.lower(): value for name, value in answer.getheaders()}
        request = headers["lambda-runtime-aws-request-id"]
        log({"begin": request, "pid": os.getpid(), "headers": headers, "event": event})
        kind, body = work(event)
        log({"end": request})
        connection.request("POST", f"{API}/{request}/{kind}", body, {"Content-Type": "application/json"})
        accepted = connection.getresponse()
        accepted.read()
        assert accepted.status == 202, accepted.status


def work(event):
    records = [(name_of(record), body_of(record)) for record in event["Records"]]
    actions = {name: action_of(body) for name, body in records}
    if "exit" in actions.values():
        sys.exit(3)
    if "hang" in actions.values():
        time.sleep(3_600)
    if "meet" in actions.values():
        meet()
    if "error" in actions.values():
        return "error", json.dumps({"errorType": "Scripted", "errorMessage": "as told"})
    if "garbage" in actions.values():
        return "response", '"done"'
    failures = [{"itemIdentifier": name} for name, action in actions.items() if action == "fail"]
    if "stranger" in actions.values():
        failures.append({"itemIdentifier": "nobody"})
    return "response", json.dumps({"batchItemFailures": failures})


def name_of(record):
    return record["messageId"] if "messageId" in record else record["kinesis"]["sequenceNumber"]


def body_of(record):
    text = record["body"] if "body" in record else base64.b64decode(record["kinesis"]["data"])
    return json.loads(text)


def action_of(body):
    """What to do at this delivery; how often there was one is the length of a file."""
    with (HOME / f"seen-{body['id']}").open("ab") as seen:
        seen.write(b"x")
        n_before = seen.tell() - 1
    actions = body.get("do", ["ok"])
    return actions[min(n_before, len(actions) - 1)]


def meet():
    (HOME / f"here-{os.getpid()}").touch()
    while len(list(HOME.glob("here-*"))) < 2:
        time.sleep(0.01)


def log(entry):
    with (HOME / "log").open("a") as lines:
        lines.write(json.dumps(entry) + "\n")


main()
