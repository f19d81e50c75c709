"""How long events took from when they were due to be sent to when they were visible, as one JSON object.

  freshness.py CATALOG NAMESPACE.TABLE MESSAGES SNAPSHOTS

MESSAGES is what the generator notes of each message (`id`, `due_ms`), SNAPSHOTS when each snapshot was first seen in the
catalog (id to milliseconds). A row leads to its message by `_source_id`, and to its snapshot by the file that it is in.
The environment is that of `readers.py`.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

from readers import catalog, duckdb_with_extensions


def main():
    uri, table, messages, snapshots = sys.argv[1:]
    due_ms = {}
    for line in Path(messages).read_text().splitlines():
        message = json.loads(line)
        due_ms[message["id"]] = message["due_ms"]
    seen_ms = json.loads(Path(snapshots).read_text())
    table = catalog(SimpleNamespace(warehouse=uri)).load_table(table)
    manifests = table.current_snapshot().manifests(table.io)
    snapshot_of = {}
    for manifest in manifests:
        for entry in manifest.fetch_manifest_entry(table.io):
            # One without a snapshot has that of its manifest.
            snapshot_of[entry.data_file.file_path] = str(entry.snapshot_id or manifest.added_snapshot_id)

    waits = []
    query = "SELECT filename, _source_id, count(*) FROM read_parquet(?, filename = true) GROUP BY ALL"
    for file, source_id, n_rows in duckdb_with_extensions().execute(query, [list(snapshot_of)]).fetchall():
        waits.append((seen_ms[snapshot_of[file]] - due_ms[source_id], n_rows))
    waits.sort()
    shares = {f"p{percent}_ms": percentile(waits, percent) for percent in (50, 95, 99)}
    print(json.dumps(shares | {"max_ms": waits[-1][0], "n_rows": sum(n for _, n in waits)}))


def percentile(waits, percent):
    """The wait that so many rows in a hundred do not exceed."""
    left = sum(n_rows for _, n_rows in waits) * percent / 100
    for wait, n_rows in waits:
        left -= n_rows
        if left <= 0:
            break
    return wait


if __name__ == "__main__":
    main()
