#!/usr/bin/env python3
"""A function that does what its event says, by the Lambda Runtime API. A message of a queue is such an event, too."""

import json
import os
import sys
import time
import urllib.request

API = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"


def main():
    while True:
        with urllib.request.urlopen(f"{API}/next") as taken:
            headers, event = taken.headers, json.load(taken)
        request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        print(f"took {json.dumps(event)}", flush=True)
        if "Records" in event:
            post(f"{request_id}/response", partial_answer(event["Records"]))
            continue
        if "exit" in event:
            sys.exit(event["exit"])
        time.sleep(event.get("sleep_s", 0))
        if "error" in event:
            post(f"{request_id}/error", {"errorType": "Refused", "errorMessage": event["error"]})
        elif "answer_bytes" in event:
            post(f"{request_id}/response", "x" * event["answer_bytes"])
        else:
            post(f"{request_id}/response", about(event, headers))


def partial_answer(records):
    bad = [record for record in records if "error" in json.loads(record["body"])]
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in bad]}


def about(event, headers):
    names = ["AWS_ENDPOINT_URL", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_REGION", "GREETING"]
    return {
        "event": event,
        "pid": os.getpid(),
        "left_s": int(headers["Lambda-Runtime-Deadline-Ms"]) / 1000 - time.time(),
        "is_in_task_root": os.getcwd() == os.environ["LAMBDA_TASK_ROOT"],
        "has_credentials": all(os.environ[f"AWS_{name}"] for name in ("ACCESS_KEY_ID", "SESSION_TOKEN")),
        "environment": {name: os.environ.get(name) for name in names},
    }


def post(path, answer):
    request = urllib.request.Request(f"{API}/{path}", json.dumps(answer).encode(), method="POST")
    try:
        urllib.request.urlopen(request).close()
    except urllib.error.HTTPError as error:
        print(f"refused with {error.code}", flush=True)


if __name__ == "__main__":
    main()
