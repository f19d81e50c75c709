"""A deployed environment as scripts and tests see it: what Terraform says of it, its queues, alarms and rows."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import botocore.session

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 180
LOOK_S = 0.2


class Failure(Exception):
    """What went wrong, and what a person may look at."""

    def __init__(self, message, hint):
        super().__init__(message)
        self.hint = hint


class Deployed:
    """An environment that `scripts/deploy.sh` applied, with the variables of our own environment."""

    def __init__(self, environment, bin_directory):
        self.environment = environment
        self.bin = Path(bin_directory)
        self.folder = ROOT / ".calve" / "deploy" / environment
        self.outputs = {name: output["value"] for name, output in self.kept("outputs").items()}
        self.session = botocore.session.get_session()

    def kept(self, name):
        """What `deploy.sh` writes down."""
        files = {"outputs": "outputs.json", "values": "values.tfvars.json"}
        return json.loads((self.folder / files[name]).read_text())

    def client(self, service):
        # The endpoint is in the environment.
        return self.session.create_client(service, region_name=self.outputs["region"])

    def settings(self):
        """What the functions find in their environment, as far as it says where things are."""
        return self.kept("values")["compute"].get("extra_settings", {}) | self.outputs["settings"]

    def variables(self):
        """The environment of commands that an operator starts."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("CALVE_")}
        return ours | self.settings()

    def resources(self):
        """The addresses of what Terraform made."""
        variables = os.environ | {"TF_DATA_DIR": str(self.folder / "data")}
        told = ran([ROOT / "scripts" / "terraform.sh", "-chdir=infrastructure/stack", "state", "list"], variables)
        return [line for line in told.splitlines() if not re.match(r"(.*\.)?data\.", line)]

    def calve(self, *words):
        return json.loads(ran([self.bin / "calve", *words, "--output", "json"], self.variables()))

    def generate(self, to, **options):
        """Sends mock events and returns the generator's summary."""
        words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        return json.loads(ran([self.bin / "generator", "--to", to, "--output", "json", *words], self.variables()))

    # Queues.

    def n_messages(self, queue):
        """How many messages are in the queue, those that are hidden too."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]
        answer = self.client("sqs").get_queue_attributes(QueueUrl=self.outputs["queue_urls"][queue], AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    def await_drained(self):
        """Waits until no event and then no receipt is left: an event is deleted once its receipt is sent."""
        for queue in ("events", "receipts"):
            await_true(
                lambda queue=queue: self.n_messages(queue) == 0,
                lambda queue=queue: f"{self.n_messages(queue)} messages are left in the queue of {queue}",
            )

    # Logs.

    def last_words(self, n_lines=20):
        """What the functions logged last that is no routine."""
        logs, lines = self.client("logs"), []
        for function in self.outputs["function_names"].values():
            events = logs.filter_log_events(logGroupName=f"/aws/lambda/{function}")["events"]
            told = [event["message"].strip() for event in events]
            lines += [line for line in told if '"level":"WARN"' in line or '"level":"ERROR"' in line or "REPORT" in line][-n_lines:]
        return "\n".join(lines)

    # The table.

    def read(self, *words):
        """What DuckDB sees in the table."""
        script = ROOT / "tests" / "readers" / "readers.py"
        command = [sys.executable, script, "duckdb", self.settings()["CALVE_CATALOG_URI"], self.outputs["table"], *words]
        return json.loads(ran(command, self.reading()))

    def reading(self):
        """The environment of what reads with other engines: with credentials of its own for the tables' objects."""
        settings = self.settings()
        test = {name: os.environ[f"CALVE_TEST_{name}"] for name in ("S3_ENDPOINT", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")}
        catalog = {name: settings[f"CALVE_{name}"] for name in ("CATALOG_WAREHOUSE", "CATALOG_CREDENTIAL")}
        return os.environ | {f"CALVE_READ_{name}": value for name, value in (test | catalog).items()}


def use_local_servers():
    """Puts what `servers.py` says of its servers where AWS's tools and `deploy.sh` look."""
    test = {name.removeprefix("CALVE_TEST_"): value for name, value in os.environ.items() if name.startswith("CALVE_TEST_")}
    # What `localstack.sh env` says leads to other ones.
    for name in [name for name in os.environ if name.startswith("CALVE_LOCAL_")]:
        del os.environ[name]
    os.environ |= {
        "AWS_ENDPOINT_URL": test["CLOUD_ENDPOINT"],
        "AWS_REGION": test["CLOUD_REGION"],
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "CALVE_CATALOG_URI": test["CATALOG_URI"],
        "CALVE_CATALOG_WAREHOUSE": test["CATALOG_WAREHOUSE"],
        "CALVE_CATALOG_CREDENTIAL": f"{test['CATALOG_CLIENT_ID']}:{test['CATALOG_CLIENT_SECRET']}",
    }


def await_true(is_so, complaint, patience_s=PATIENCE_S):
    """Waits until `is_so`; `complaint` says what is wrong when it does not become so."""
    deadline = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > deadline:
            raise Failure(complaint(), "what the functions logged last stands above")
        time.sleep(LOOK_S)


def ran(command, env=None):
    """Returns what a command prints; its errors go where ours go."""
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.stderr.write(done.stdout)
        raise Failure(f"`{Path(command[0]).name}` failed with {done.returncode}", "its own words stand above")
    return done.stdout
