"""Applies the storage module with Glue and with S3 Tables to MiniStack, fills a table in each, reads it, takes all down.

usage: servers.py run --with ministack -- python tests/cloud/catalogs.py BIN_DIRECTORY

MiniStack serves Iceberg REST for both catalogs. It checks the signature of every request, and policies decide: what writes
here is a role that may do what the module's own policy allows, with the temporary credentials that a function has.

Where MiniStack is not as AWS is, as seen with the version that scripts/constraints-ministack.txt names:

* of S3 Tables it forgets the properties that a table is created with (`forgotten_properties`);
* of Glue it leaves the database's location out of the namespace's properties, and where a table is created without a
  location it invents one, which AWS refuses (`databases_tell_their_location`);
* of Glue it keeps the tables' metadata files in a bucket of its own, `ministack-glue-warehouse`, wherever the table is;
* of S3 Tables it knows no condition keys, and the objects of a table bucket are those of a bucket of S3
  (`catalogs/main.tf`); it deletes a table bucket that still has tables, which AWS refuses (`destroyed` drops them first);
* it takes the id of a new schema, of a partitioning and of its fields as they are sent, where AWS gives out its own.

A second plan finds nothing to do, without exceptions.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import botocore.session
from botocore.exceptions import ClientError
from deployment import laptop, rows_of

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path += [str(ROOT / "scripts"), str(ROOT / "tests" / "readers")]
import readers  # noqa: E402
from deployed import Failure, ran  # noqa: E402

CONFIGURATION = Path(__file__).with_suffix("")
REGION = "us-east-1"
NAMESPACE, TABLE = "analytics", "events"
N_EVENTS = 400
MINISTACK_BUCKET = "ministack-glue-warehouse"


def main():
    steps = [applied, unchanged, settings_are_those_of_aws, databases_tell_their_location, tables_are_made, events_land_once,
             writers_at_once_both_land, rows_are_as_sent, quarantine_comes_home, objects_lie_where_they_belong,
             wrong_signatures_are_refused, policies_allow_no_more, destroyed]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="calve-catalogs-") as work:
        story = Story(Path(sys.argv[1]), Path(work))
        for step in steps:
            began = time.monotonic()
            seen = step(story)
            print(f"{step.__name__.replace('_', ' '):30} {time.monotonic() - began:6.1f} s   {seen}", flush=True)


class Story:
    """What the steps know of each other."""

    def __init__(self, bin_directory, work):
        self.bin, self.work = bin_directory, work
        self.endpoint = os.environ["CALVE_TEST_MINISTACK_ENDPOINT"]
        self.master = keys(*(os.environ[f"CALVE_TEST_MINISTACK_{name}"] for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")))
        os.environ |= self.master | {"AWS_ENDPOINT_URL": self.endpoint, "AWS_REGION": REGION}
        self.catalogs = []
        self.files = [self.events(f"{name}.ndjson", seed) for seed, name in enumerate(("first", "second", "third"))]

    def check(self, is_so, message):
        if not is_so:
            raise Failure(message, "the steps before went well")

    def events(self, name, seed):
        file = self.work / name
        told = ran([self.bin / "generator", "--seed", str(seed), "--events", str(N_EVENTS), "--to", "-", "--start", "2026-11-01T00:00:00Z"])
        file.write_text(told)
        return file

    def terraform(self, command, *options, allowed=(0,)):
        variables = os.environ | {"TF_DATA_DIR": str(self.work / "terraform"), "TF_IN_AUTOMATION": "1"}
        command = [ROOT / "scripts" / "terraform.sh", f"-chdir={CONFIGURATION}", command, *options]
        done = subprocess.run(command, env=variables, stdout=subprocess.PIPE, text=True)
        if done.returncode not in allowed:
            sys.stderr.write(done.stdout)
            raise Failure(f"`terraform {command[2]}` ended with {done.returncode}", "its own words stand above")
        return done.stdout

    def client(self, service):
        """In the name of who may do everything."""
        return botocore.session.get_session().create_client(service, region_name=REGION)

    def object_keys(self, bucket):
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]


class Catalog:
    """One of the two, and who may write to its tables."""

    def __init__(self, story, name, storage, role_arn):
        self.story, self.name, self.storage = story, name, storage
        self.settings = storage["settings"]
        given = story.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="catalogs")["Credentials"]
        self.role = keys(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])

    def variables(self, **more):
        """The environment of a function in AWS, with other endpoints."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("CALVE_")}
        endpoints = {"CALVE_CATALOG_URI": f"{self.story.endpoint}/iceberg", "CALVE_S3_PATH_STYLE": "true"}
        return ours | self.role | self.settings | endpoints | {"CALVE_TABLE_NAME": f"{NAMESPACE}.{TABLE}"} | more

    def calve(self, *words, **more):
        return json.loads(ran([self.story.bin / "calve", *words, "--output", "json"], self.variables(**more)))

    def client(self, service):
        """In the name of the role."""
        given = {name.removeprefix("AWS_").lower(): value for name, value in self.role.items()}
        renamed = {"session_token": "aws_session_token", "access_key_id": "aws_access_key_id", "secret_access_key": "aws_secret_access_key"}
        session = botocore.session.get_session()
        return session.create_client(service, region_name=REGION, **{renamed[name]: value for name, value in given.items()})

    def metadata_location(self):
        """As AWS's own API tells it."""
        if self.name == "glue":
            return self.story.client("glue").get_table(DatabaseName=NAMESPACE, Name=TABLE)["Table"]["Parameters"]["metadata_location"]
        answer = self.story.client("s3tables").get_table_metadata_location(
            tableBucketARN=self.settings["CALVE_CATALOG_WAREHOUSE"], namespace=NAMESPACE, name=TABLE)  # fmt: skip
        return answer["metadataLocation"]

    def lines(self):
        """The rows that DuckDB sees."""
        test = {"ENDPOINT": self.story.endpoint, "ACCESS_KEY_ID": self.story.master["AWS_ACCESS_KEY_ID"],
                "SECRET_ACCESS_KEY": self.story.master["AWS_SECRET_ACCESS_KEY"]}  # fmt: skip
        os.environ |= {f"CALVE_READ_S3_{name}": value for name, value in test.items()}
        rows = readers.duckdb_with_extensions().execute(f"SELECT * FROM iceberg_scan({readers.quoted(self.metadata_location())})")
        return readers.canonical_lines(rows.fetch_arrow_table())


# The steps. Each returns what it saw, in a few words.


def applied(story):
    story.terraform("init", "-input=false", f"-backend-config=path={story.work / 'terraform.tfstate'}")
    story.terraform("apply", "-input=false", "-auto-approve")
    outputs = {name: output["value"] for name, output in json.loads(story.terraform("output", "-json")).items()}
    story.catalogs = [Catalog(story, name, storage, outputs["role_arns"][name]) for name, storage in outputs["storage"].items()]
    story.check([catalog.name for catalog in story.catalogs] == ["glue", "s3tables"], "not both catalogs were applied")
    addresses = story.terraform("state", "list").splitlines()
    return f"{sum('data.' not in address for address in addresses)} resources"


def unchanged(story):
    story.terraform("plan", "-input=false", "-detailed-exitcode")  # 2 were there something to do.
    return "plan: no changes"


def settings_are_those_of_aws(story):
    """As AWS documents its two endpoints, before the test puts MiniStack in their place."""
    glue, s3tables = (catalog.settings for catalog in story.catalogs)
    account = story.client("sts").get_caller_identity()["Account"]
    arn = f"arn:aws:s3tables:{REGION}:{account}:bucket/calve-catalogs-s3tables-tables"
    for settings, service, warehouse in ((glue, "glue", account), (s3tables, "s3tables", arn)):
        wanted = {
            "CALVE_CATALOG_URI": f"https://{service}.{REGION}.amazonaws.com/iceberg",
            "CALVE_CATALOG_AUTH": "sigv4",
            "CALVE_CATALOG_SIGNING_NAME": service,
            "CALVE_CATALOG_SIGNING_REGION": REGION,
            "CALVE_CATALOG_WAREHOUSE": warehouse,
        }
        differing = [name for name, value in wanted.items() if settings[name] != value]
        story.check(not differing, f"of {service} these are not as AWS wants them: {', '.join(differing)}")
    return "endpoint, signing name and warehouse of both"


def databases_tell_their_location(story):
    """AWS's Glue names a database's location among the properties of its namespace, and refuses tables without one."""
    glue = story.client("glue")
    database = glue.get_database(Name=NAMESPACE)["Database"]
    expected = f"{story.catalogs[0].settings['CALVE_WAREHOUSE']}/tables"
    story.check(database["LocationUri"] == expected, f"the database lies at {database['LocationUri']}, not {expected}")
    told = {name: database[name] for name in ("Name", "Description", "LocationUri")}
    glue.update_database(Name=NAMESPACE, DatabaseInput=told | {"Parameters": {"location": expected}})
    return expected


def tables_are_made(story):
    for catalog in story.catalogs:
        made = catalog.calve("table", "create")
        forgotten_properties(story, catalog)
        wanted = f"s3://calve-catalogs-s3tables-tables/{NAMESPACE}/{TABLE}"
        if catalog.name == "glue":
            wanted = f"{catalog.settings['CALVE_WAREHOUSE']}/tables/{TABLE}"
        story.check(made["location"] == wanted, f"{catalog.name}: the table lies at {made['location']}, not {wanted}")
    return "one in each, where it belongs"


def forgotten_properties(story, catalog):
    """Gives the table once more the properties that MiniStack's S3 Tables did not keep. Glue's have to be there."""
    changes = ran([story.bin / "calve", "table", "configure"], catalog.variables())
    story.check(catalog.name != "glue" or "→" not in changes, f"Glue did not keep what the table was made with: {changes}")


def events_land_once(story):
    for catalog in story.catalogs:
        first, again = (catalog.calve("ingest", str(story.files[0])) for _ in range(2))
        counts = [(seen["n_rows"], seen["n_rows_delivered_before"]) for seen in (first, again)]
        story.check(counts == [(N_EVENTS, 0), (0, N_EVENTS)], f"{catalog.name}: rows and rows known before are {counts}")
    return f"{N_EVENTS} rows, then none"


def writers_at_once_both_land(story):
    """Both commit on the same snapshot; the one that comes later is refused and commits again."""
    with ThreadPoolExecutor() as pool:
        for catalog in story.catalogs:
            seen = list(pool.map(lambda file, catalog=catalog: catalog.calve("ingest", str(file)), story.files[1:]))
            counts = [each["n_rows"] for each in seen]
            story.check(counts == [N_EVENTS] * 2, f"{catalog.name}: two writers brought {counts} rows")
    return f"{N_EVENTS} rows each"


def rows_are_as_sent(story):
    """What DuckDB reads is what a table on this machine has of the same events."""
    together = story.work / "together.ndjson"
    together.write_text("".join(file.read_text() for file in story.files))
    expected = rows_of(laptop(story, together))
    for catalog in story.catalogs:
        rows = rows_of(catalog.lines())
        lost, foreign = expected - rows, rows - expected
        example = next(iter(lost or foreign), "")
        story.check(rows == expected, f"{catalog.name}: {lost.total()} rows are missing, {foreign.total()} not as sent, like {example}")
    return f"{expected.total():,} rows in each"


def quarantine_comes_home(story):
    """What was refused lies in the lake bucket, and is removed from there once it is a row."""
    file = story.work / "refused.ndjson"
    file.write_text('{"event_id": "late", "event_time": "never"}\n')
    as_arrived = {"CALVE_TABLE_SHAPE_UNREADABLE_TIME": "arrival"}
    for catalog in story.catalogs:
        seen = catalog.calve("ingest", str(file))
        story.check(seen["n_quarantined"] == 1, f"{catalog.name}: {seen['n_quarantined']} events were quarantined, not 1")
        ran([story.bin / "calve", "table", "configure"], catalog.variables(**as_arrived))
        catalog.calve("quarantine", "replay", "--all", **as_arrived)
        left = catalog.calve("quarantine", "list")["totals"]["n_events"]
        n_rows = len(catalog.lines())
        story.check((left, n_rows) == (0, 3 * N_EVENTS + 1), f"{catalog.name}: {left} events stay in the quarantine, {n_rows} are rows")
    return "1 event in each, a row now"


def objects_lie_where_they_belong(story):
    """Ledgers in the lake bucket with both, since a table bucket loses what no snapshot names; data with the catalog."""
    glue, s3tables = story.catalogs
    of_glue = story.object_keys(glue.storage["lake_bucket"])
    of_lake = story.object_keys(s3tables.storage["lake_bucket"])
    of_tables = story.object_keys("calve-catalogs-s3tables-tables")
    for keys_there, place, prefix in ((of_glue, "Glue's lake bucket", f"{NAMESPACE}/tables/{TABLE}/data/"),
                                      (of_lake, "the lake bucket of S3 Tables", f"{NAMESPACE}/ledger/"),
                                      (of_tables, "the table bucket", f"{NAMESPACE}/{TABLE}/data/")):  # fmt: skip
        story.check(any(key.startswith(prefix) for key in keys_there), f"{place} has nothing below {prefix}")
    astray = [key for key in of_tables if "ledger" in key] + [key for key in of_lake if key.endswith(".parquet")]
    story.check(not astray, f"astray: {', '.join(astray)}")
    return f"{len(of_glue)} objects of Glue, {len(of_lake)} and {len(of_tables)} of S3 Tables"


def wrong_signatures_are_refused(story):
    """Else all that went well before would say nothing about signatures."""
    for catalog in story.catalogs:
        command = [story.bin / "calve", "table", "show"]
        done = subprocess.run(command, env=catalog.variables(AWS_SECRET_ACCESS_KEY="another"), capture_output=True, text=True)
        is_refused = done.returncode == 1 and "403" in done.stderr and "ignature" in done.stderr
        story.check(is_refused, f"{catalog.name}: a wrong signature ended with {done.returncode}: {done.stderr}")
    return "403 from both"


def policies_allow_no_more(story):
    """What the role needs not, it may not."""
    n_denied = 0
    for catalog in story.catalogs:
        bucket, prefix = catalog.storage["lake_bucket"], catalog.storage["prefix"]
        arn = catalog.settings["CALVE_CATALOG_WAREHOUSE"]
        cases = [
            ("s3", "put_object", {"Bucket": bucket, "Key": "elsewhere/object"}),
            ("s3", "get_object", {"Bucket": bucket, "Key": "elsewhere/object"}),
            ("s3", "delete_object", {"Bucket": bucket, "Key": f"{prefix}/tables/{TABLE}/data/file.parquet"}),
            ("s3", "delete_object", {"Bucket": bucket, "Key": f"{prefix}/ledger/segment"}),
            ("s3", "delete_bucket", {"Bucket": bucket}),
        ]
        cases += [
            ("glue", "delete_table", {"DatabaseName": NAMESPACE, "Name": TABLE}),
            ("glue", "delete_database", {"Name": NAMESPACE}),
            ("glue", "get_database", {"Name": "another"}),
            ("glue", "create_table", {"DatabaseName": "another", "TableInput": {"Name": TABLE}}),
        ] if catalog.name == "glue" else [
            ("s3tables", "delete_table", {"tableBucketARN": arn, "namespace": NAMESPACE, "name": TABLE}),
            ("s3tables", "delete_namespace", {"tableBucketARN": arn, "namespace": NAMESPACE}),
            ("s3tables", "delete_table_bucket", {"tableBucketARN": arn}),
            ("s3tables", "create_namespace", {"tableBucketARN": arn, "namespace": ["another"]}),
        ]  # fmt: skip
        for service, operation, arguments in cases:
            code = refusal(getattr(catalog.client(service), operation), arguments)
            story.check(code.startswith("AccessDenied"), f"{catalog.name}: {operation} of {service} came to {code}")
            n_denied += 1
    return f"{n_denied} requests are denied"


def destroyed(story):
    s3tables = story.catalogs[1].settings["CALVE_CATALOG_WAREHOUSE"]
    story.client("s3tables").delete_table(tableBucketARN=s3tables, namespace=NAMESPACE, name=TABLE)
    story.terraform("destroy", "-input=false", "-auto-approve")
    left = story.terraform("state", "list").splitlines() + leftovers(story)
    story.check(not left, f"left behind: {', '.join(left)}")
    return "nothing is left"


# What the steps ask.


def keys(key_id, secret, token=None):
    token = {"AWS_SESSION_TOKEN": token} if token else {}
    return {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret} | token


def refusal(operation, arguments):
    try:
        operation(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "an answer"


def leftovers(story):
    """Whatever MiniStack still knows, but for the bucket that it made by itself."""
    buckets = {bucket["Name"] for bucket in story.client("s3").list_buckets()["Buckets"]} - {MINISTACK_BUCKET}
    databases = [database["Name"] for database in story.client("glue").get_databases()["DatabaseList"]]
    table_buckets = [bucket["name"] for bucket in story.client("s3tables").list_table_buckets()["tableBuckets"]]
    roles = [role["RoleName"] for role in story.client("iam").list_roles()["Roles"] if role["RoleName"].startswith("calve-")]
    return [*buckets, *databases, *table_buckets, *roles]


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"error: {failure}\n\nhint: {failure.hint}")
