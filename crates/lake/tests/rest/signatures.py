"""Holds signed requests against botocore, which shares no code with Calve.

Reads from stdin {"access_key", "secret_key", "requests": [...]}; each request has `service`, `region`, `token` or null,
`now` (as in X-Amz-Date), `method`, `url`, `headers` and `body` (or `body_base64`) as they were sent. Prints how many were
right; fails with the first one that was not.
"""

import base64
import datetime
import hashlib
import json
import sys

import botocore.auth
import botocore.awsrequest
import botocore.credentials

# What a signer must not leave out, where the request has it.
SIGNED = ["host", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "content-type", "content-encoding",
          "idempotency-key", "x-iceberg-access-delegation"]  # fmt: skip
# What botocore adds by itself.
ADDED = ["host", "authorization", "x-amz-date", "x-amz-security-token"]


def main():
    given = json.load(sys.stdin)
    for request in given["requests"]:
        check(request, given["access_key"], given["secret_key"])
    print(json.dumps({"n_right": len(given["requests"])}))


def check(request, access_key, secret_key):
    sent = {name.lower(): value for name, value in request["headers"]}
    signed = sent["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    body = base64.b64decode(request["body_base64"]) if "body_base64" in request else request["body"].encode()
    problems = [f"`{name}` is not signed" for name in SIGNED if name in sent and name not in signed]
    if sent.get("x-amz-security-token") != request["token"]:
        problems.append("the session token is not sent as it is")
    if sent["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
        problems.append("x-amz-content-sha256 is not that of the body")
    if sent["x-amz-date"] != request["now"]:
        problems.append("x-amz-date is not the time of the clock")

    now = datetime.datetime.strptime(request["now"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    botocore.auth.get_current_datetime = lambda *_args, **_options: now
    headers = {name: value for name, value in sent.items() if name in signed and name not in ADDED}
    again = botocore.awsrequest.AWSRequest(request["method"], request["url"], headers, body)
    credentials = botocore.credentials.Credentials(access_key, secret_key, request["token"])
    botocore.auth.SigV4Auth(credentials, request["service"], request["region"]).add_auth(again)
    expected = again.headers["Authorization"]
    if sent["authorization"].replace(", ", ",") != expected.replace(", ", ","):
        problems.append(f"signature:\n  ours     {sent['authorization']}\n  botocore {expected}")
    if problems:
        sys.exit(f"{request['method']} {request['url']}: " + "; ".join(problems))


if __name__ == "__main__":
    main()
