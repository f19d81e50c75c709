"""What the servers of `servers.py` are: how each is started, how one knows that it answers, and what it is called by.

A server is a function of the folder that it may write to and of the port that it listens on, or none for a free one.
It returns its command line, the environment of that, a `check` that raises until the server answers as it should, what
it may leave outside its folder, and the variables that tell others of it.
"""

import base64
import contextlib
import datetime
import hashlib
import hmac
import json
import os
import random
import socket
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent
VENV = SCRIPTS.parent / ".venv-aws"
MINISTACK_VENV = SCRIPTS.parent / ".venv-ministack"
REGION = "us-east-1"
BUCKET = "lake"
TABLE_BUCKET = "tables"
CATALOG_ROLE = "arn:aws:iam::000000000000:role/Tables"
# Only ever valid for servers of this machine.
WRITER = ("calve-test-writer", "calve-test-writer-secret")
READER = ("calve-test-reader", "calve-test-reader-secret")


def seaweedfs(home, catalog_port=None):
    parts = ["s3", "master", "filer", "volume", "admin"]
    names = [*parts, *(f"{part}.grpc" for part in parts), "iceberg"]
    port = dict(zip(names, free_ports(len(names))))
    port["iceberg"] = catalog_port or port["iceberg"]
    identities = [identity("writer", WRITER, "Admin Read Write List Tagging"),
                  identity("reader", READER, f"Read:{BUCKET} List:{BUCKET}")]
    config = home / "identities.json"
    config.write_text(json.dumps({"identities": identities}))
    roles = home / "roles.json"
    roles.write_text(json.dumps(catalog_role()))
    data = home / "data"
    data.mkdir(exist_ok=True)
    command = [
        VENV / "bin" / "weed", "mini", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        f"-bucket={BUCKET}", f"-tableBucket={TABLE_BUCKET}", f"-s3.config={config}", "-s3.autoCreateBucket=false",
        f"-s3.iam.config={roles}", f"-s3.iceberg.credentialRole={CATALOG_ROLE}",
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
        "environment": without_aws() | {"TMPDIR": "."},  # For its logs.
        # It does not take these away when it is ended before it is ready.
        "litter": [f"/tmp/seaweedfs-{part}-grpc-{port[f'{part}.grpc']}.sock" for part in parts],
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


def catalog_role():
    """Lets the catalog give out credentials that reach one table, to who asks for them."""
    trust = {"Effect": "Allow", "Principal": {"Federated": "iceberg-catalog"}, "Action": ["sts:AssumeRoleWithCredentials"]}
    tables = [f"arn:aws:s3:::{TABLE_BUCKET}", f"arn:aws:s3:::{TABLE_BUCKET}/*"]
    reach = {"Effect": "Allow", "Action": ["s3:*"], "Resource": tables}
    role = {
        "roleName": "Tables",
        "roleArn": CATALOG_ROLE,
        "trustPolicy": {"Version": "2012-10-17", "Statement": [trust]},
        "attachedPolicies": ["Tables"],
    }
    return {
        "sts": {"issuer": "seaweedfs", "signingKey": base64.b64encode(os.urandom(32)).decode()},
        "roles": [role],
        "policies": [{"name": "Tables", "document": {"Version": "2012-10-17", "Statement": [reach]}}],
    }


def fetch_token(url):
    form = {"grant_type": "client_credentials", "client_id": WRITER[0], "client_secret": WRITER[1], "scope": "catalog"}
    body = urllib.parse.urlencode(form).encode()
    return json.loads(request("POST", url, {"Content-Type": "application/x-www-form-urlencoded"}, body))["access_token"]


def localstack(home, port=None):
    """What the tests need of it, which starts fast."""
    port = port or free_ports(1)[0]
    endpoint = at(port)

    def check():
        call("PUT", f"{endpoint}/{BUCKET}", WRITER, "s3")
        ask(endpoint, "sqs", "json-1.0", "AmazonSQS.ListQueues")
        ask(endpoint, "kinesis", "json-1.1", "Kinesis_20131202.ListStreams")

    return host_mode(home, port, "s3,sqs,kinesis,sts", {"LOCALSTACK_HOST": f"127.0.0.1:{port}", "SQS_ENDPOINT_STRATEGY": "path"}) | {
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


def cloud(home, port=None):
    """All that environment `local` is applied to; functions run as processes of this machine."""
    port = port or free_ports(1)[0]
    endpoint = at(port)
    services = (
        "cloudformation,cloudwatch,ec2,events,iam,kinesis,kms,lambda,logs,resourcegroupstaggingapi,s3,scheduler,secretsmanager,sns,"
        "sqs,ssm,sts"
    )
    settings = {
        # Function URLs are `<id>.lambda-url.<region>.localhost`: names below that one are this machine, without a DNS.
        "LOCALSTACK_HOST": f"localhost:{port}",
        "LAMBDA_RUNTIME_EXECUTOR": "process",
        "SQS_ENDPOINT_STRATEGY": "off",  # Terraform takes queue URLs of the form `HOST/ACCOUNT/NAME` only.
    }

    def check():
        call("GET", f"{endpoint}/2015-03-31/functions/", WRITER, "lambda")
        ask(endpoint, "sqs", "json-1.0", "AmazonSQS.ListQueues")
        ask(endpoint, "kinesis", "json-1.1", "Kinesis_20131202.ListStreams")

    return host_mode(home, port, services, settings) | {
        "check": check,
        "env": {"CALVE_TEST_CLOUD_ENDPOINT": endpoint, "CALVE_TEST_CLOUD_REGION": REGION},
    }


def host_mode(home, port, services, settings):
    """How LocalStack runs outside its image."""
    root = home / "root"
    libraries = root / "usr" / "lib"
    libraries.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (libraries / "localstack").symlink_to(VENV / "localstack")  # Its Kinesis, which it would download.
    settings = settings | {
        "FILESYSTEM_ROOT": root,
        "LOCALSTACK_VOLUME_DIR": home / "volume",
        "TMPDIR": temporary(home),
        "OVERRIDE_IN_DOCKER": 0,  # Inside a container it would take `/var/lib` for its own.
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "GATEWAY_SERVER": "hypercorn",  # The default one listens on all addresses.
        "SERVICES": services,
        "STRICT_SERVICE_LOADING": 1,
        "SKIP_SSL_CERT_DOWNLOAD": 1,
        "DISABLE_EVENTS": 1,
        "DNS_ADDRESS": 0,
        "NODE_OPTIONS": f"--require={SCRIPTS / 'listen_on_loopback.js'}",
        "PATH": f"{VENV / 'bin'}:{os.environ['PATH']}",
    }
    return {
        "command": [VENV / "bin" / "python", SCRIPTS / "localstack_host.py"],
        "environment": without_aws() | {name: str(value) for name, value in settings.items()},
        "litter": [],
    }


def ask(endpoint, service, kind, target):
    """Has the service do something small; it starts by that."""
    headers = {"Content-Type": f"application/x-amz-{kind}", "X-Amz-Target": target}
    call("POST", f"{endpoint}/", WRITER, service, headers, b"{}")


def ministack(home, port=None):
    """Glue and S3 Tables, which LocalStack does not have."""
    port = port or free_ports(1)[0]
    endpoint = at(port)
    settings = {
        "GATEWAY_PORT": port,
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "STATE_DIR": home / "state",
        "TMPDIR": temporary(home),
        # Signatures are checked, and policies decide; these may do everything.
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": WRITER[0],
        "AWS_SECRET_ACCESS_KEY": WRITER[1],
    }

    def check():
        ask(endpoint, "glue", "json-1.1", "AWSGlue.GetDatabases")
        call("GET", f"{endpoint}/buckets", WRITER, "s3tables")

    return {
        "command": [MINISTACK_VENV / "bin" / "ministack"],
        "environment": without_aws() | {name: str(value) for name, value in settings.items()},
        "litter": [],
        "check": check,
        "env": {
            "CALVE_TEST_MINISTACK_ENDPOINT": endpoint,
            "CALVE_TEST_MINISTACK_ACCESS_KEY_ID": WRITER[0],
            "CALVE_TEST_MINISTACK_SECRET_ACCESS_KEY": WRITER[1],
        },
    }


SERVERS = {"seaweedfs": seaweedfs, "localstack": localstack, "cloud": cloud, "ministack": ministack}


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
