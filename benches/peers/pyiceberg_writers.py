"""Appends the batches of a table to another one with PyIceberg, by many processes at once.

usage: pyiceberg_writers.py CATALOG_URI SOURCE TABLE N_WRITERS N_BATCHES SECONDS

SOURCE is a table that Calve wrote: the data files of one token are one batch. They are read before the clock starts, so that only
appending is measured, and TABLE has no partitions, so that PyIceberg has less to do. A writer that loses a race loads the table and appends again, as often as it takes; after SECONDS
no append is begun any more. Prints one JSON object.
"""

import json
import multiprocessing
import os
import sys
import time
from collections import defaultdict

import pyarrow
import pyarrow.parquet
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.exceptions import CommitFailedException

START_SECONDS = 300


def main():
    uri, source, target, n_writers, n_batches, seconds = sys.argv[1:]
    n_writers, n_batches, seconds = int(n_writers), int(n_batches), float(seconds)
    # Children begin with everything imported, and wait for each other. The catalog is asked by a child too: what a process
    # has connected to and started is not for those that it forks.
    context = multiprocessing.get_context("fork")
    barrier, answers = context.Barrier(n_writers + 1), context.Queue()
    preparing = context.Process(target=prepare, args=(uri, source, target, answers))
    preparing.start()
    batches = answers.get()
    preparing.join()
    if len(batches) < n_writers * n_batches:
        sys.exit(f"error: `{source}` has {len(batches)} batches, and {n_writers * n_batches} are needed")

    shares = [batches[n * n_batches : (n + 1) * n_batches] for n in range(n_writers)]
    arguments = [(uri, source, target, share, seconds, barrier, answers) for share in shares]
    writers = [context.Process(target=write, args=each) for each in arguments]
    for writer in writers:
        writer.start()
    barrier.wait(START_SECONDS)
    began = time.monotonic()
    seen = [answers.get() for _ in writers]
    ended = time.monotonic()
    if errors := [one["error"] for one in seen if "error" in one]:
        sys.exit(f"error: {len(errors)} writers failed; the first: {errors[0]}")
    for writer in writers:
        writer.join()
    latencies = [each for one in seen for each in one["acknowledged_ms"]]
    result = {
        "table": target,
        "seconds": ended - began,
        "n_conflicts": sum(one["n_conflicts"] for one in seen),
        "n_rows": sum(one["n_rows"] for one in seen),
        "acknowledged_ms": latencies,
    }
    print(json.dumps(result))


def prepare(uri, source, target, answers):
    """Makes the table, and answers the locations of the data files, by the batch that they were written for."""
    tables = catalog(uri)
    table = tables.load_table(source)
    tables.create_table(target, table.schema())
    batches = defaultdict(list)
    for task in table.scan().plan_files():
        location = task.file.file_path
        token = location.rsplit("/", 1)[1].split("-", 1)[0]
        batches[token].append(location)
    answers.put(list(batches.values()))


def write(uri, source, target, share, seconds, barrier, answers):
    try:
        answers.put(append_all(uri, source, target, share, seconds, barrier))
    except Exception as error:
        barrier.abort()
        answers.put({"error": repr(error)})


def append_all(uri, source, target, share, seconds, barrier):
    tables = catalog(uri)
    table = tables.load_table(target)
    schema = tables.load_table(source).schema().as_arrow()
    rows = [pyarrow.concat_tables([read(table.io, location, schema) for location in files]) for files in share]
    n_conflicts, n_rows, acknowledged_ms = 0, 0, []
    barrier.wait(START_SECONDS)
    deadline = time.monotonic() + seconds
    for batch in rows:
        began = time.monotonic()
        while time.monotonic() < deadline:
            try:
                table.append(batch)
            except CommitFailedException:
                n_conflicts += 1
                table.refresh()
                continue
            acknowledged_ms.append((time.monotonic() - began) * 1e3)
            n_rows += batch.num_rows
            break
    return {"n_conflicts": n_conflicts, "n_rows": n_rows, "acknowledged_ms": acknowledged_ms}


def read(io, location, schema):
    """One data file with all columns of the table: those that no row of it has a value for are left out of files."""
    with io.new_input(location).open() as file:
        rows = pyarrow.parquet.read_table(file)
    columns = [
        rows[field.name].cast(field.type) if field.name in rows.column_names else pyarrow.nulls(len(rows), field.type)
        for field in schema
    ]
    return pyarrow.table(columns, schema=schema)


def catalog(uri):
    access = {
        f"s3.{name}": os.environ[f"CALVE_READ_S3_{name.upper().replace('-', '_')}"]
        for name in ("endpoint", "access-key-id", "secret-access-key")
    }
    warehouse = os.environ["CALVE_READ_CATALOG_WAREHOUSE"]
    credential = os.environ["CALVE_READ_CATALOG_CREDENTIAL"]
    return RestCatalog("calve", uri=uri, warehouse=warehouse, credential=credential, **access, **{"s3.region": "us-east-1"})


if __name__ == "__main__":
    main()
