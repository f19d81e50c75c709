"""Functions as LocalStack runs them on this machine: `.venv/bin/python tests/localstack/functions.py`.

Starts the servers it needs and ends them. The binaries of the functions are those of the profile `quick`.
"""

import io
import json
import os
import platform
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import botocore.session

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BINARIES = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "quick"
ROLE = "arn:aws:iam::000000000000:role/function"
EMULATORS = ["qemu-aarch64-static", "qemu-aarch64"]
PATIENCE_S = 60


class Servers:
    """Those of `servers.py`, with their state in a temporary folder."""

    def __init__(self, names):
        self.folder = tempfile.TemporaryDirectory(prefix="calve-functions-")
        exports = self.told("up", "--with", names)
        lines = [line.removeprefix("export ") for line in exports.splitlines()]
        self.env = dict(line.split("=", 1) for line in lines)
        self.endpoint = self.env["CALVE_TEST_CLOUD_ENDPOINT"]

    def told(self, action, *options):
        command = [sys.executable, ROOT / "scripts" / "servers.py", action, "--folder", self.folder.name, *options]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    def pid(self):
        state = json.loads(Path(self.folder.name, "servers.json").read_text())
        return next(server["pid"] for server in state if server["name"] == "cloud")

    def down(self):
        self.told("down")
        self.folder.cleanup()

    def client(self, service):
        return botocore.session.get_session().create_client(
            service,
            region_name="us-east-1",
            endpoint_url=self.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def create_function(self, name, packed, **options):
        functions = self.client("lambda")
        settings = {"Timeout": 20, "Runtime": "provided.al2023", "Handler": "bootstrap", "Role": ROLE} | options
        functions.create_function(FunctionName=name, Code={"ZipFile": packed}, **settings)
        functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})

    def invoke(self, name, event):
        """Whether it failed, and what it answered."""
        answer = self.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
        return "FunctionError" in answer, json.load(answer["Payload"])


def packed(bootstrap):
    """A zip with these bytes as its `bootstrap`."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        file.writestr(entry, bootstrap)
    return archive.getvalue()


def elf(machine, code):
    """A program of this code alone, for this machine."""
    start = 0x400000
    size = 64 + 56 + len(code)
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    head = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, start + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, start, start, size, size, 0x1000)
    return identity + head + segment + code


def arm64_exit(status):
    """`mov x0, status; mov x8, 93; svc 0`."""
    return elf(183, struct.pack("<III", 0xD2800000 | status << 5, 0xD2800BA8, 0xD4000001))


def scripted():
    return packed((HERE / "bootstrap.py").read_bytes())


def await_(what, look):
    """Asks until there is an answer: nothing here tells when a poller has been by."""
    deadline = time.monotonic() + PATIENCE_S
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} within {PATIENCE_S} s")
        time.sleep(0.1)
    return seen


class Functions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.servers = Servers("cloud,seaweedfs")
        cls.addClassCleanup(cls.servers.down)
        cls.servers.create_function(
            "scripted",
            scripted(),
            Timeout=2,
            Environment={"Variables": {"GREETING": "good day"}},
            LoggingConfig={"LogGroup": "/calve/scripted", "LogFormat": "Text"},
        )

    def invoke(self, event):
        return self.servers.invoke("scripted", event)

    def check_failure(self, event, kind, text):
        """The invocation fails in this way, and the next one is answered."""
        failed, answer = self.invoke(event)
        self.assertTrue(failed)
        self.assertEqual(answer["errorType"], kind)
        self.assertRegex(answer["errorMessage"], text)
        failed, answer = self.invoke({})
        self.assertFalse(failed)
        return answer["pid"]

    def test_an_invocation_is_answered_and_finds_the_environment_of_lambda(self):
        failed, answer = self.invoke({"a": "ö"})
        self.assertFalse(failed)
        self.assertEqual(answer["event"], {"a": "ö"})
        self.assertTrue(0 < answer["left_s"] <= 2, answer["left_s"])
        self.assertTrue(answer["is_in_task_root"])
        self.assertTrue(answer["has_credentials"])
        expected = {
            "AWS_ENDPOINT_URL": self.servers.endpoint,
            "AWS_LAMBDA_FUNCTION_NAME": "scripted",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/calve/scripted",
            "AWS_REGION": "us-east-1",
            "GREETING": "good day",
        }
        self.assertEqual(answer["environment"], expected)

    def test_an_error_is_passed_on_and_the_process_stays(self):
        before = self.invoke({})[1]["pid"]
        self.assertEqual(self.check_failure({"error": "not today"}, "Refused", "^not today$"), before)

    def test_after_an_exit_the_next_invocation_gets_another_process(self):
        before = self.invoke({})[1]["pid"]
        after = self.check_failure({"exit": 3}, "Runtime.ExitError", "Runtime exited with error: exit status 3$")
        self.assertNotEqual(after, before)

    def test_a_process_that_ended_in_idleness_is_replaced_without_an_error(self):
        pid = self.invoke({})[1]["pid"]
        ended = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        select.select([ended], [], [])
        os.close(ended)
        failed, answer = self.invoke({})
        self.assertFalse(failed)
        self.assertNotEqual(answer["pid"], pid)

    def test_a_time_out_ends_the_process(self):
        before = self.invoke({})[1]["pid"]
        after = self.check_failure({"sleep_s": 60}, "Sandbox.Timedout", "Task timed out after 2.00 seconds$")
        self.assertNotEqual(after, before)
        self.assertFalse(Path(f"/proc/{before}").exists())

    def test_an_answer_beyond_6_mb_is_refused(self):
        self.check_failure({"answer_bytes": 6 * 1024 * 1024 + 200}, "Function.ResponseSizeTooLarge", "6291556 bytes")

    def test_invocations_at_the_same_time_get_a_process_each(self):
        with ThreadPoolExecutor(3) as pool:
            answers = list(pool.map(self.invoke, [{"sleep_s": 1}] * 3))
        self.assertEqual([failed for failed, _ in answers], [False] * 3)
        self.assertEqual(len({answer["pid"] for _, answer in answers}), 3)

    def test_what_it_prints_is_in_the_log_group_that_it_asks_for(self):
        self.invoke({"mark": "logged"})
        logs = self.servers.client("logs")

        def lines():
            events = logs.filter_log_events(logGroupName="/calve/scripted")["events"]
            messages = [event["message"] for event in events]
            return messages if any("logged" in message for message in messages) else None

        seen = "".join(await_("the line is in the log", lines))
        self.assertIn('took {"mark": "logged"}\nEND RequestId: ', seen)
        self.assertIn("Init Duration: ", seen)

    def test_its_url_leads_to_it(self):
        functions = self.servers.client("lambda")
        url = functions.create_function_url_config(FunctionName="scripted", AuthType="NONE")["FunctionUrl"]
        port = self.servers.endpoint.rpartition(":")[2]
        self.assertRegex(url, rf"^http://[a-z0-9]+\.lambda-url\.us-east-1\.localhost:{port}/$")
        host = url.removeprefix("http://").rstrip("/")
        request = urllib.request.Request(f"{self.servers.endpoint}/a/path", b"{}", {"Host": host})
        with urllib.request.urlopen(request) as answer:
            event = json.load(answer)["event"]
        self.assertEqual((event["rawPath"], event["requestContext"]["http"]["method"]), ("/a/path", "POST"))

    def test_messages_that_fail_go_to_the_dead_letters_and_their_neighbours_do_not(self):
        sqs, functions = self.servers.client("sqs"), self.servers.client("lambda")
        dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
        redrive = {"deadLetterTargetArn": arn_of(sqs, dead), "maxReceiveCount": "2"}
        attributes = {"VisibilityTimeout": "2", "RedrivePolicy": json.dumps(redrive)}
        events = sqs.create_queue(QueueName="live", Attributes=attributes)["QueueUrl"]
        bodies = [json.dumps({"n": n} | ({"error": "bad"} if n == 3 else {})) for n in range(6)]
        entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies)]
        sqs.send_message_batch(QueueUrl=events, Entries=entries)
        mapping = functions.create_event_source_mapping(
            FunctionName="scripted",
            EventSourceArn=arn_of(sqs, events),
            BatchSize=6,
            FunctionResponseTypes=["ReportBatchItemFailures"],
        )
        self.addCleanup(functions.delete_event_source_mapping, UUID=mapping["UUID"])

        def received():
            return sqs.receive_message(QueueUrl=dead, WaitTimeSeconds=1, MaxNumberOfMessages=10).get("Messages")

        messages = await_("the bad message is a dead letter", received)
        self.assertEqual([json.loads(message["Body"])["n"] for message in messages], [3])
        self.assertEqual(n_messages(sqs, events), 0)

    def reason_of_failure(self, name, bootstrap, architecture):
        """Why the function cannot be used after it was created."""
        functions = self.servers.client("lambda")
        functions.create_function(
            FunctionName=name,
            Code={"ZipFile": packed(bootstrap)},
            Architectures=[architecture],
            Runtime="provided.al2023",
            Handler="bootstrap",
            Role=ROLE,
        )

        def failed():
            configuration = functions.get_function(FunctionName=name)["Configuration"]
            return configuration if configuration["State"] == "Failed" else None

        return await_("the function is refused", failed)["StateReason"]

    def test_a_bootstrap_for_arm64_runs_where_there_is_an_emulator_and_is_refused_elsewhere(self):
        if platform.machine() in ("aarch64", "arm64") or any(map(shutil.which, EMULATORS)):
            self.servers.create_function("arm64", packed(arm64_exit(7)), Architectures=["arm64"])
            failed, answer = self.servers.invoke("arm64", {})
            self.assertTrue(failed)
            self.assertRegex(answer["errorMessage"], "Runtime exited with error: exit status 7$")
        else:
            reason = self.reason_of_failure("arm64", arm64_exit(7), "arm64")
            self.assertRegex(reason, "`bootstrap` is built for arm64, this machine is x86_64: install qemu-user-static")

    def test_a_bootstrap_that_no_emulator_runs_is_refused(self):
        reason = self.reason_of_failure("foreign", elf(243, b""), "x86_64")
        self.assertRegex(reason, "`bootstrap` is built for ELF machine 243, this machine is ")

    def test_a_bootstrap_of_another_architecture_than_declared_is_refused(self):
        mine = Path(sys.executable).resolve().read_bytes()[:4096]
        declared = "x86_64" if platform.machine() in ("aarch64", "arm64") else "arm64"
        reason = self.reason_of_failure("misdeclared", mine, declared)
        self.assertRegex(reason, f"the function is declared as {declared}$")

    def test_events_in_a_queue_become_rows_by_the_real_function(self):
        env, sqs = self.servers.env, self.servers.client("sqs")
        self.servers.client("s3").create_bucket(Bucket="events-of-a-queue")
        settings = {
            "CALVE_WAREHOUSE": "s3://events-of-a-queue/lake",
            "CALVE_S3_PATH_STYLE": "true",
            "CALVE_CATALOG_URI": env["CALVE_TEST_CATALOG_URI"],
            "CALVE_CATALOG_WAREHOUSE": env["CALVE_TEST_CATALOG_WAREHOUSE"],
            "CALVE_CATALOG_AUTH": "oauth2",
            "CALVE_CATALOG_CREDENTIAL": credential(env),
            "CALVE_CATALOG_VENDED_CREDENTIALS": "true",
        }
        binary = packed((BINARIES / "ingest").read_bytes())
        self.servers.create_function("ingest", binary, Environment={"Variables": settings})
        queue = sqs.create_queue(QueueName="events", Attributes={"VisibilityTimeout": "60"})["QueueUrl"]
        times = "2026-11-21T12:00:00Z"
        for start in range(0, 100, 10):
            bodies = [json.dumps({"id": str(n), "event_time": times, "n": n}) for n in range(start, start + 10)]
            entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies)]
            sqs.send_message_batch(QueueUrl=queue, Entries=entries)
        sqs.send_message(QueueUrl=queue, MessageBody="no JSON at all")
        functions = self.servers.client("lambda")
        mapping = functions.create_event_source_mapping(
            FunctionName="ingest",
            EventSourceArn=arn_of(sqs, queue),
            BatchSize=1000,
            MaximumBatchingWindowInSeconds=1,
            FunctionResponseTypes=["ReportBatchItemFailures"],
        )
        self.addCleanup(functions.delete_event_source_mapping, UUID=mapping["UUID"])
        await_("the queue is empty", lambda: n_messages(sqs, queue) == 0)
        for engine in ("duckdb", "pyiceberg"):
            with self.subTest(engine):
                self.assertEqual(read(env, engine)["n_distinct"], 100)
        # Tables are where the catalog says; what cannot become a row is in the bucket of the warehouse.
        found = self.servers.client("s3").list_objects_v2(Bucket="events-of-a-queue")["Contents"]
        self.assertEqual([Path(each["Key"]).parts[:2] for each in found], [("lake", "quarantine")])

    def test_cargo_lambda_deploys_and_invokes_each_function_as_it_is(self):
        directory = tempfile.TemporaryDirectory(prefix="calve-deployed-")
        self.addCleanup(directory.cleanup)
        work = Path(directory.name)
        (work / "variables.env").write_text(f"CALVE_WAREHOUSE={work / 'warehouse'}\n")
        wanted = {"ingest": (1769, 60), "commit": (1024, 60)}
        for function, figures in wanted.items():
            folder = work / function
            folder.mkdir()
            shutil.copy(BINARIES / function, folder / "bootstrap")
            machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
            self.cargo_lambda(
                "deploy", function, "--binary-path", folder / "bootstrap", "--iam-role", ROLE,
                "--env-file", work / "variables.env",
            )  # fmt: skip
            functions = self.servers.client("lambda")
            # Another test has one of that name.
            self.addCleanup(functions.delete_function, FunctionName=function)
            functions.get_waiter("function_active_v2").wait(FunctionName=function, WaiterConfig={"Delay": 1})
            deployed = functions.get_function_configuration(FunctionName=function)
            self.assertEqual((deployed["MemorySize"], deployed["Timeout"]), figures)
            self.assertEqual(deployed["Architectures"], [machine])
            self.assertEqual(deployed["Environment"]["Variables"]["CALVE_LOG_LEVEL"], "info")
        events = [{"id": str(n), "event_time": "2026-11-21T12:00:00Z"} for n in range(7)]
        answer = json.loads(self.cargo_lambda("invoke", "--remote", "--data-ascii", json.dumps(events), "ingest"))
        self.assertEqual(answer["n_rows"], 7)
        nothing = self.cargo_lambda("invoke", "--remote", "--data-ascii", '{"Records":[]}', "commit")
        self.assertEqual(json.loads(nothing), {"batchItemFailures": []})

    def cargo_lambda(self, *words):
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
        command = [ROOT / ".venv" / "bin" / "cargo-lambda", "lambda", words[0], "--endpoint-url", self.servers.endpoint, *words[1:]]
        done = subprocess.run(command, cwd=ROOT, env=os.environ | keys, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout


class Ends(unittest.TestCase):
    """What LocalStack started ends with it."""

    def setUp(self):
        self.servers = Servers("cloud")
        self.addCleanup(self.servers.down)
        self.servers.create_function("scripted", scripted())
        _, answer = self.servers.invoke("scripted", {})
        self.function = os.pidfd_open(answer["pid"])
        self.addCleanup(os.close, self.function)

    def check_ended(self):
        ended, _, _ = select.select([self.function], [], [], PATIENCE_S)
        self.assertTrue(ended, "the process of the function still runs")

    def test_functions_end_when_it_is_told_to_stop(self):
        self.servers.told("down")
        self.check_ended()

    def test_functions_end_when_it_is_killed(self):
        os.kill(self.servers.pid(), signal.SIGKILL)
        self.check_ended()


def arn_of(sqs, url):
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def n_messages(sqs, url):
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


def credential(env):
    return f"{env['CALVE_TEST_CATALOG_CLIENT_ID']}:{env['CALVE_TEST_CATALOG_CLIENT_SECRET']}"


def read(env, engine):
    """What another engine reads in the table."""
    names = ["S3_ENDPOINT", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "CATALOG_WAREHOUSE"]
    variables = {f"CALVE_READ_{name}": env[f"CALVE_TEST_{name}"] for name in names}
    variables["CALVE_READ_CATALOG_CREDENTIAL"] = credential(env)
    script = ROOT / "tests" / "readers" / "readers.py"
    command = [sys.executable, script, engine, env["CALVE_TEST_CATALOG_URI"], "analytics.events"]
    done = subprocess.run(command, env=os.environ | variables, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    unittest.main()
