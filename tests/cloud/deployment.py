"""Deploys environment `local` to LocalStack as a person would, sends events, breaks things, mends them, takes it down.

usage: servers.py run --with cloud,seaweedfs -- python tests/cloud/deployment.py BIN_DIRECTORY

Each step says what it saw; the first thing that is not as it should be ends it.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import botocore.session
from botocore.config import Config

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from deployed import Deployed, Failure, await_true, ran, use_local_servers  # noqa: E402

ENVIRONMENT = "local"
N_SOUND, N_HOSTILE, N_LATE = 10_000, 500, 200
# Functions look at a table anew when what they know of it is a minute old.
TABLE_AGE_S = 65
# What differs between two ways of one event into a table: when, and as the how manieth of what it came.
OF_THE_WAY = {"_ingested_at", "_source_id", "_source_index"}


def main():
    steps = [stopped, deployed, unchanged, sound_events_arrive, poisoned_events_are_kept, dead_letters_come_home,
             quarantine_comes_home, alarms_rang, unchanged, destroyed]  # fmt: skip
    use_local_servers()
    with tempfile.TemporaryDirectory(prefix="calve-cloud-") as work:
        story = Story(Path(sys.argv[1]), Path(work))
        for step in steps:
            began = time.monotonic()
            try:
                seen = step(story)
            except Failure:
                print(story.cloud.last_words() if story.cloud else "", file=sys.stderr)
                raise
            print(f"{step.__name__.replace('_', ' '):28} {time.monotonic() - began:6.1f} s   {seen}", flush=True)


class Story:
    """What the steps know of each other."""

    def __init__(self, bin_directory, work):
        self.bin, self.work = bin_directory, work
        self.cloud = None
        self.alarms = None
        self.n_rows = 0  # What the table should have.

    def check(self, is_so, message):
        if not is_so:
            raise Failure(message, "the steps before went well")


# The steps. Each returns what it saw, in a few words.


def stopped(story):
    """Ctrl-C in the middle: Terraform ends by itself and unlocks the state. The next step just goes on."""
    code, said = interrupted([ROOT / "scripts" / "deploy.sh", ENVIRONMENT, "--yes"], after="Creation complete", times=10)
    story.check(code == 130, f"deploy.sh ended with {code}: {said}")
    story.check("goes on from there" in said, f"it does not say how to go on: {said}")
    story.check(not locks(), f"the state is still locked: {locks()}")
    return "the state is unlocked, no process is left"


def deployed(story):
    ran([ROOT / "scripts" / "deploy.sh", ENVIRONMENT, "--yes"])
    story.cloud = Deployed(ENVIRONMENT, story.bin)
    story.alarms = Alarms(story.cloud)
    n_resources = len(story.cloud.resources())
    story.check(n_resources > 30, f"only {n_resources} resources were applied")
    return f"{n_resources} resources"


def unchanged(story):
    """A second look of Terraform finds nothing to do."""
    ran([ROOT / "scripts" / "deploy.sh", ENVIRONMENT, "--check"])
    return "plan: no changes"


def sound_events_arrive(story):
    """Half of them through the queue, half through the Function URL; every column of every row is as sent."""
    cloud, file = story.cloud, story.work / "sound.ndjson"
    options = {"batch": 100, "start": "2026-11-01T00:00:00Z"}
    half = N_SOUND // 2
    by_queue = cloud.generate(f"sqs:{cloud.outputs['queue_urls']['events']}", seed=1, events=half, pack=20, compress="zstd", **options)
    by_url = cloud.generate(cloud.outputs["function_url"], seed=2, events=half, concurrency=4, sign="lambda", **options)
    for seed in (1, 2):
        told = ran([story.bin / "generator", "--seed", str(seed), "--events", str(half), "--start", options["start"], "--to", "-"])
        with file.open("a") as written:
            written.write(told)
    n_sent = by_queue["n_events"] + by_url["n_events"]
    story.check(n_sent == N_SOUND, f"{n_sent} events were sent, not {N_SOUND}")
    cloud.await_drained()
    story.n_rows += n_sent
    rows = rows_of(cloud.read("--lines")["lines"])
    expected = rows_of(laptop(story, file))
    lost, foreign = expected - rows, rows - expected
    example = next(iter(lost or foreign), "")
    story.check(rows == expected, f"{lost.total()} rows are missing and {foreign.total()} are not as sent, like {example}")
    return f"{rows.total():,} rows, each as sent"


def poisoned_events_are_kept(story):
    """Of hostile events each is a row or in the quarantine."""
    cloud = story.cloud
    sent = cloud.generate(f"sqs:{cloud.outputs['queue_urls']['events']}", seed=3, events=N_HOSTILE, batch=50, pack=10, compress="zstd", shape="hostile")
    cloud.await_drained()
    n_rows = cloud.read()["n_rows"] - story.n_rows
    n_quarantined = quarantined(cloud)
    story.check(n_quarantined > 0, "nothing of the hostile events was quarantined")
    story.check(n_rows + n_quarantined == sent["n_events"], f"of {sent['n_events']} events {n_rows} are rows and {n_quarantined} in the quarantine")
    story.n_rows += n_rows
    return f"{n_rows} rows, {n_quarantined} in the quarantine"


def dead_letters_come_home(story):
    """A table that cannot be written to: messages go to the dead letters, an alarm rings; mended, they are moved back and land."""
    cloud = story.cloud
    edit_table(cloud, {"calve.format": "99"})
    time.sleep(TABLE_AGE_S)
    cloud.generate(f"sqs:{cloud.outputs['queue_urls']['events']}", seed=4, events=N_LATE, batch=20, pack=20)
    n_messages = N_LATE // 20
    await_true(lambda: cloud.n_messages('events_dead_letters') == n_messages,
               lambda: f"{cloud.n_messages('events_dead_letters')} of {n_messages} messages are dead letters", 400)  # fmt: skip
    # While they lie there; its period is a minute.
    await_true(lambda: "events-dead-letters" in story.alarms.rang(), lambda: "no alarm rings for the dead letters")
    edit_table(cloud, {"calve.format": "1"})
    cloud.client("sqs").start_message_move_task(SourceArn=arn_of(cloud, "events_dead_letters"))
    await_true(lambda: cloud.n_messages('events_dead_letters') == 0, lambda: "dead letters were not moved back")
    cloud.await_drained()
    n_rows = cloud.read()["n_rows"] - story.n_rows
    story.check(n_rows == N_LATE, f"{n_rows} of {N_LATE} events came home from the dead letters")
    story.n_rows += n_rows
    return f"{n_messages} messages, the alarm rings, {n_rows} rows after the redrive"


def quarantine_comes_home(story):
    """Of the quarantine what the table now takes becomes rows, and nothing else goes."""
    cloud = story.cloud
    before = quarantined(cloud)
    variables = cloud.variables() | {"CALVE_TABLE_SHAPE_UNREADABLE_TIME": "arrival"}
    ran([story.bin / "calve", "table", "configure"], variables)
    ran([story.bin / "calve", "quarantine", "replay", "--all", "--output", "json"], variables)
    after = quarantined(cloud)
    n_rows = cloud.read()["n_rows"] - story.n_rows
    story.check(0 < n_rows, "nothing of the quarantine became a row")
    story.check(n_rows + after == before, f"of {before} quarantined events {n_rows} are rows and {after} still there")
    story.n_rows += n_rows
    return f"{n_rows} rows, {after} stay"


def alarms_rang(story):
    """Those whose cause was there, and none other: each looks at the figures of its last five minutes, or of one."""
    expected = {"events-quarantined", "events-dead-letters", "payloads-not-landed"}
    await_true(lambda: expected <= story.alarms.rang(), lambda: f"no alarm rang for {expected - story.alarms.rang()}", 400)
    # The broken table lets messages wait, and whole invocations fail; whether long enough to be told is chance.
    foreign = story.alarms.rang() - expected - {"events-age", "ingest-errors"}
    story.check(not foreign, f"without a cause rang {foreign}")
    return ", ".join(sorted(story.alarms.rang()))


def destroyed(story):
    story.alarms.stop()
    ran([ROOT / "scripts" / "destroy.sh", ENVIRONMENT, "--yes"])
    left = [*leftovers(story.cloud), *files_of_tables()]
    story.check(not left, f"left behind: {', '.join(left)}")
    ran([ROOT / "scripts" / "destroy.sh", ENVIRONMENT, "--empty", "--yes"])
    return "nothing is left, no row either; a second time there is nothing to do"


# What the steps ask.


def interrupted(command, after, times):
    """Sends what Ctrl-C sends, to all that a command runs, when it has said some words that often; how it ended, and its last words."""
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    lines = []
    for line in run.stdout:
        lines.append(line)
        times -= after in line
        if times == 0 and after in line:
            os.killpg(run.pid, signal.SIGINT)
    # The pipe is closed once the last process of them has ended, Terraform's providers too.
    return run.wait(), "".join(lines[-20:])


def locks():
    """The locks of states that are held."""
    s3 = botocore.session.get_session().create_client("s3", region_name="us-east-1", config=Config(s3={"addressing_style": "path"}))
    found = s3.list_objects_v2(Bucket="calve-tfstate-000000000000-us-east-1").get("Contents", [])
    return [each["Key"] for each in found if each["Key"].endswith(".tflock")]


def arn_of(cloud, queue):
    answer = cloud.client("sqs").get_queue_attributes(QueueUrl=cloud.outputs["queue_urls"][queue], AttributeNames=["QueueArn"])
    return answer["Attributes"]["QueueArn"]


def laptop(story, file):
    """The lines of the same events in a table on this machine."""
    warehouse = story.work / "warehouse"
    ran([story.bin / "calve", "ingest", str(file), "--warehouse", str(warehouse)], without_calve())
    script = ROOT / "tests" / "readers" / "readers.py"
    return json.loads(ran([sys.executable, script, "duckdb", str(warehouse), "analytics.events", "--lines"]))["lines"]


def without_calve():
    return {name: value for name, value in os.environ.items() if not name.startswith("CALVE_")}


def rows_of(lines):
    """How often each row is there, without what tells of its way, and with the columns that have a value."""
    def told(line):
        row = json.loads(line)
        return json.dumps({name: row[name] for name in sorted(row) if name not in OF_THE_WAY and row[name] is not None})

    return Counter(map(told, lines))


def quarantined(cloud):
    return cloud.calve("quarantine", "list")["totals"]["n_events"]


class Alarms:
    """Watches which alarms ring, by what their names end in."""

    def __init__(self, cloud):
        self.cloud, self.seen, self.over = cloud, set(), threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        prefix = f"calve-{self.cloud.outputs['name']}-"
        client = self.cloud.client("cloudwatch")
        while not self.over.wait(1):
            for alarm in client.describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"]:
                if alarm["StateValue"] == "ALARM":
                    self.seen.add(alarm["AlarmName"].removeprefix(prefix))

    def rang(self):
        return set(self.seen)

    def stop(self):
        self.over.set()
        self.thread.join()


def edit_table(cloud, properties):
    """As another tool would, which shares no code with Calve."""
    from pyiceberg.catalog.rest import RestCatalog

    settings = cloud.settings()
    catalog = RestCatalog("calve", uri=settings["CALVE_CATALOG_URI"], warehouse=settings["CALVE_CATALOG_WAREHOUSE"],
                          credential=settings["CALVE_CATALOG_CREDENTIAL"])  # fmt: skip
    with catalog.load_table(cloud.outputs["table"]).transaction() as transaction:
        transaction.set_properties(**properties)


def files_of_tables():
    """The objects that the catalog keeps."""
    keys = {"aws_access_key_id": os.environ["CALVE_TEST_S3_ACCESS_KEY_ID"], "aws_secret_access_key": os.environ["CALVE_TEST_S3_SECRET_ACCESS_KEY"]}
    s3 = botocore.session.get_session().create_client("s3", region_name="us-east-1", endpoint_url=os.environ["CALVE_TEST_S3_ENDPOINT"], **keys)
    bucket = os.environ["CALVE_TEST_CATALOG_WAREHOUSE"].removeprefix("s3://")
    return [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def leftovers(cloud):
    """The names of whatever of ours AWS still knows."""
    marks = (f"calve-{cloud.outputs['name']}", f"/calve/{cloud.outputs['name']}/")
    found = []

    def look(service, operation, key, name=None, **arguments):
        answer = getattr(cloud.client(service), operation)(**arguments)
        for item in answer.get(key, []):
            if isinstance(item, dict) and item.get("State") == "deleted":
                continue  # Endpoints are still told of for a while.
            text = item if name is None else item[name]
            if any(mark in str(text) for mark in marks):
                found.append(f"{service} {text}")

    look("lambda", "list_functions", "Functions", "FunctionName")
    look("lambda", "list_event_source_mappings", "EventSourceMappings", "EventSourceArn")
    look("sqs", "list_queues", "QueueUrls")
    look("s3", "list_buckets", "Buckets", "Name")
    look("iam", "list_roles", "Roles", "RoleName")
    look("iam", "list_policies", "Policies", "PolicyName", Scope="Local")
    look("logs", "describe_log_groups", "logGroups", "logGroupName")
    look("logs", "describe_metric_filters", "metricFilters", "filterName")
    look("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName")
    look("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName")
    look("sns", "list_topics", "Topics", "TopicArn")
    look("kinesis", "list_streams", "StreamNames")
    look("ec2", "describe_vpcs", "Vpcs", "Tags")
    look("ec2", "describe_subnets", "Subnets", "Tags")
    look("ec2", "describe_route_tables", "RouteTables", "Tags")
    look("ec2", "describe_network_interfaces", "NetworkInterfaces", "Description")
    look("ec2", "describe_security_groups", "SecurityGroups", "GroupName")
    look("ec2", "describe_flow_logs", "FlowLogs", "LogGroupName")
    look("ec2", "describe_vpc_endpoints", "VpcEndpoints", "Tags")
    return found


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"error: {failure}\n\nhint: {failure.hint}")
