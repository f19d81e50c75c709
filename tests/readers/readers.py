"""Reads a table with an engine that shares no code with Calve and prints what it saw as one JSON object.

  readers.py duckdb    WAREHOUSE NAMESPACE.TABLE [--day 2026-01-31]... [--lines] [--at-least ROWS [--within SECONDS]]
  readers.py pyiceberg WAREHOUSE NAMESPACE.TABLE [--day 2026-01-31]... [--lines] [--at-least ROWS [--within SECONDS]]
  readers.py create    WAREHOUSE NAMESPACE.TABLE
  readers.py overwrite WAREHOUSE NAMESPACE.TABLE

`overwrite` writes all rows anew, so that none of the files that held them is part of the table any more.
`create` makes the table of another tool: columns without pointers, partitioned in other ways than ours.

With `--at-least` the table is read again until it has as many rows: events are committed some seconds after they were sent.

WAREHOUSE is the directory of `catalog.db`, or the URL of a REST catalog, which is asked for the warehouse
CALVE_READ_CATALOG_WAREHOUSE in the name of CALVE_READ_CATALOG_CREDENTIAL (`id:secret`). Tables that lie in S3 are read with CALVE_READ_S3_ENDPOINT,
CALVE_READ_S3_ACCESS_KEY_ID and CALVE_READ_S3_SECRET_ACCESS_KEY.
"""

import argparse
import base64
import datetime
import decimal
import importlib.metadata
import json
import os
import socket
import sqlite3
import sys
import time
import urllib.parse
from collections import Counter
from pathlib import Path

IDS = ["event_id", "id", "message_id"]
TYPES = ["event_type", "type"]
READ_CATALOG = ["CALVE_READ_CATALOG_WAREHOUSE", "CALVE_READ_CATALOG_CREDENTIAL"]
S3_ACCESS = ["endpoint", "access-key-id", "secret-access-key"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("action", choices=["duckdb", "pyiceberg", "create", "overwrite"])
    parser.add_argument("warehouse")
    parser.add_argument("table")
    parser.add_argument("--day", action="append", default=[], help="also count the rows of this UTC day")
    parser.add_argument("--time", default="event_time", help="the column that days are taken from")
    parser.add_argument("--lines", action="store_true", help="every row too, as canonical JSON")
    parser.add_argument("--at-least", type=int, default=0, metavar="ROWS", help="wait until the table has as many rows")
    parser.add_argument("--within", type=float, default=180, metavar="SECONDS", help="and for so long, default 180")
    options = parser.parse_args()
    check_warehouse(options)
    if options.at_least:
        await_rows(options)
    action = {"duckdb": read_with_duckdb, "pyiceberg": read_with_pyiceberg, "create": create, "overwrite": overwrite}
    print(json.dumps(action[options.action](options), ensure_ascii=False))


def check_warehouse(options):
    """What a person gets wrong, before an engine says it in its own words."""
    local = 'eval "$(./scripts/localstack.sh env)", where environment `local` is deployed'
    if not options.warehouse:
        fail("the warehouse is an empty word: a variable that is not set in this terminal?", local)
    if is_rest(options):
        if missing := [name for name in READ_CATALOG if not os.environ.get(name)]:
            fail(f"not set, and leads to the catalog: {', '.join(missing)}", local)
        parts = urllib.parse.urlsplit(options.warehouse)
        try:
            socket.create_connection((parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)), timeout=10).close()
        except (OSError, ValueError) as error:
            fail(f"no catalog answers at {options.warehouse}: {error}", "scripts/localstack.sh status, for that of environment `local`")
    elif not database(options).is_file():
        fail(f"there is no table in {options.warehouse} yet: it has no catalog.db", "scripts/run.sh fills .calve/warehouse")


def await_rows(options):
    """Looks once a second: at the facts of the snapshot, and not at the rows."""
    deadline, told = time.monotonic() + options.within, None
    while (n_rows := n_rows_of(options)) < options.at_least:
        if time.monotonic() > deadline:
            fail(f"{options.table} has {n_rows:,} rows of {options.at_least:,} after {options.within:g} s",
                 "events still wait in the queues, or were refused: `calve quarantine list`, and the functions' logs")  # fmt: skip
        if n_rows != told:
            told = n_rows
            print(f"{n_rows:,} of {options.at_least:,} rows are there", file=sys.stderr, flush=True)
        time.sleep(min(1, options.within))


def n_rows_of(options):
    from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

    try:
        snapshot = catalog(options).load_table(options.table).current_snapshot()
    except (NoSuchNamespaceError, NoSuchTableError):
        return 0  # The first event makes it.
    return int(snapshot.summary.get("total-records") or 0) if snapshot else 0


def fail(message, hint):
    raise SystemExit(f"error: {message}\n\nhint: {hint}")


def column_of(columns, names):
    """The first of these names that is a column: the id and the type of an event have the usual names."""
    return next((name for name in names if name in columns), None)


def read_with_duckdb(options):
    connection = duckdb_with_extensions()
    location = quoted(metadata_location(options))
    connection.execute(f"CREATE VIEW events AS SELECT * FROM iceberg_scan({location})")
    columns = {row[0] for row in connection.execute("DESCRIBE events").fetchall()}

    def counts(expression):
        query = f"SELECT {expression}, count(*) FROM events GROUP BY 1 ORDER BY 1"
        return {str(key): n for key, n in connection.execute(query).fetchall()}

    def one_day(day):
        condition = f"{name(options.time)} >= {instant(day)} AND {name(options.time)} < {instant(after(day))}"
        n_rows = connection.execute(f"SELECT count(*) FROM events WHERE {condition}").fetchone()[0]
        plan = connection.execute(f"EXPLAIN ANALYZE SELECT {name(options.time)} FROM events WHERE {condition}")
        return {"n_rows": n_rows, "n_files": files_read(plan.fetchall()[0][1])}

    n_rows = connection.execute("SELECT count(*) FROM events").fetchone()[0]
    seen = {"engine": "duckdb", "n_rows": n_rows, "columns": sorted(columns)}
    if event_id := column_of(columns, IDS):
        query = f"SELECT count(DISTINCT {name(event_id)}) FROM events"
        seen["n_distinct"] = connection.execute(query).fetchone()[0]
    if options.time in columns:
        seen["by_day"] = counts(f"strftime({name(options.time)} AT TIME ZONE 'UTC', '%Y-%m-%d')")
        seen["days"] = {day: one_day(day) for day in options.day}
    if event_type := column_of(columns, TYPES):
        seen["by_type"] = counts(name(event_type))
    if options.lines:
        seen["lines"] = canonical_lines(connection.execute("SELECT * FROM events").fetch_arrow_table())
    return seen


def duckdb_with_extensions():
    import duckdb

    connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    for extension in ("httpfs", "avro", "iceberg"):
        package = importlib.metadata.distribution(f"duckdb-ext-{extension}")
        for file in package.files:
            if file.name.endswith(".duckdb_extension"):
                connection.execute(f"LOAD {quoted(str(package.locate_file(file)))}")
    connection.execute("SET TimeZone = 'UTC'")
    if s3 := s3_access():
        scheme, _, endpoint = s3["endpoint"].partition("://")
        connection.execute(
            f"CREATE SECRET (TYPE s3, ENDPOINT {quoted(endpoint)}, USE_SSL {scheme == 'https'}, URL_STYLE 'path', "
            f"REGION 'us-east-1', KEY_ID {quoted(s3['access-key-id'])}, SECRET {quoted(s3['secret-access-key'])})"
        )
    return connection


def s3_access():
    names = {name: f"CALVE_READ_S3_{name.upper().replace('-', '_')}" for name in S3_ACCESS}
    return {name: os.environ[variable] for name, variable in names.items() if variable in os.environ}


def files_read(plan):
    """The number of data files that a scan opened, from the plan that DuckDB prints."""
    for line in plan.splitlines():
        if "Total Files Read:" in line:
            return int("".join(filter(str.isdigit, line)))
    return 0


def read_with_pyiceberg(options):
    from pyiceberg.expressions import And, GreaterThanOrEqual, LessThan

    table = catalog(options).load_table(options.table)
    rows = table.scan().to_arrow()

    def one_day(day):
        bounds = And(GreaterThanOrEqual(options.time, iso(day)), LessThan(options.time, iso(after(day))))
        scan = table.scan(row_filter=bounds)
        return {"n_rows": scan.to_arrow().num_rows, "n_files": len(list(scan.plan_files()))}

    seen = {"engine": "pyiceberg", "n_rows": rows.num_rows, "columns": sorted(rows.column_names)}
    if event_id := column_of(rows.column_names, IDS):
        seen["n_distinct"] = len({value for value in rows[event_id].to_pylist() if value is not None})
    if options.time in rows.column_names:
        seen["by_day"] = tally(str(time.date()) for time in rows[options.time].to_pylist())
        seen["days"] = {day: one_day(day) for day in options.day}
    if event_type := column_of(rows.column_names, TYPES):
        seen["by_type"] = tally(str(value) for value in rows[event_type].to_pylist())
    if options.lines:
        seen["lines"] = canonical_lines(rows)
    return seen


def create(options):
    from pyiceberg.partitioning import PartitionField, PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.transforms import BucketTransform, DayTransform, TruncateTransform
    from pyiceberg import types

    schema = Schema(
        types.NestedField(1, "id", types.LongType(), required=True),
        types.NestedField(2, "event_time", types.TimestamptzType()),
        types.NestedField(3, "city", types.StringType()),
        types.NestedField(4, "price", types.DecimalType(10, 2)),
        types.NestedField(5, "small", types.IntegerType()),
        types.NestedField(6, "ratio", types.FloatType()),
        types.NestedField(7, "bought_on", types.DateType()),
        types.NestedField(8, "tags", types.ListType(9, types.StringType(), element_required=False)),
    )
    spec = PartitionSpec(
        PartitionField(2, 1000, DayTransform(), "event_day"),
        PartitionField(1, 1001, BucketTransform(4), "id_bucket"),
        PartitionField(3, 1002, TruncateTransform(3), "city_start"),
    )
    tables = catalog(options)
    tables.create_namespace_if_not_exists(options.table.rsplit(".", 1)[0])
    table = tables.create_table(options.table, schema, partition_spec=spec, properties={"format-version": "2"})
    return {"metadata_location": table.metadata_location}


def overwrite(options):
    table = catalog(options).load_table(options.table)
    before = {file.file.file_path for file in table.scan().plan_files()}
    table.overwrite(table.scan().to_arrow())
    after = {file.file.file_path for file in table.refresh().scan().plan_files()}
    return {"n_before": len(before), "n_after": len(after), "n_kept": len(before & after)}


def catalog(options):
    s3 = {f"s3.{name}": value for name, value in s3_access().items()}
    s3 = s3 | {"s3.region": "us-east-1"} if s3 else {}
    if is_rest(options):
        from pyiceberg.catalog.rest import RestCatalog

        warehouse, credential = (os.environ[name] for name in READ_CATALOG)
        return RestCatalog("calve", uri=options.warehouse, warehouse=warehouse, credential=credential, **s3)

    from pyiceberg.catalog.sql import SqlCatalog

    return SqlCatalog(
        catalog_name(options),
        uri=f"sqlite:///{database(options)}",
        warehouse=f"file://{database(options).parent}",
        **s3,
    )


def is_rest(options):
    return options.warehouse.startswith(("http://", "https://"))


def database(options):
    return Path(options.warehouse).resolve() / "catalog.db"


def catalog_name(options):
    with sqlite3.connect(database(options)) as connection:
        names = connection.execute("SELECT DISTINCT catalog_name FROM iceberg_tables").fetchall()
    return names[0][0] if names else "calve"


def metadata_location(options):
    if is_rest(options):
        from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

        try:
            return catalog(options).load_table(options.table).metadata_location
        except (NoSuchNamespaceError, NoSuchTableError):
            fail(f"there is no table `{options.table}` in {options.warehouse} yet", "it is made by the first event: --at-least ROWS waits for it")
    namespace, table = options.table.rsplit(".", 1)
    query = "SELECT metadata_location FROM iceberg_tables WHERE table_namespace = ? AND table_name = ?"
    with sqlite3.connect(database(options)) as connection:
        found = connection.execute(query, (namespace, table)).fetchone()
    if found is None:
        fail(f"no table `{options.table}` in `{database(options)}`", "target/quick/calve table list, with the same warehouse")
    return found[0].removeprefix("file://")


def canonical_lines(rows):
    """Every row as JSON with sorted keys, the rows sorted: equal lists mean equal tables."""
    return sorted(json.dumps(row, default=as_text, sort_keys=True, ensure_ascii=False) for row in rows.to_pylist())


def as_text(value):
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, bytes):
        return base64.b16encode(value).decode()
    return str(value)


def tally(values):
    return dict(sorted(Counter(values).items()))


def after(day):
    return str(datetime.date.fromisoformat(day) + datetime.timedelta(days=1))


def iso(day):
    return f"{day}T00:00:00+00:00"


def instant(day):
    return f"TIMESTAMPTZ '{iso(day)}'"


def name(column):
    return '"' + column.replace('"', '""') + '"'


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


if __name__ == "__main__":
    main()
