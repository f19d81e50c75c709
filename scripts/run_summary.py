"""Prints what `run.sh` saw, for a person; fails when a row is missing or doubled.

usage: run_summary.py WORK_DIRECTORY WAREHOUSE
"""

import json
import sys
from pathlib import Path


def main():
    work, warehouse = Path(sys.argv[1]), sys.argv[2]
    sent = json.loads((work / "sent.json").read_text())
    before, after = (json.loads((work / f"{when}.rows").read_text()) for when in ("before", "after"))
    table_before, table = (json.loads((work / f"{when}.table").read_text()) for when in ("before", "after"))

    def grown(facts, facts_before, key):
        return facts.get(key, 0) - facts_before.get(key, 0)

    n_sent = sent["n_events"]
    n_rows, n_distinct = grown(after, before, "n_rows"), grown(after, before, "n_distinct")
    file_bytes = grown(table, table_before, "data_file_bytes")
    seconds = sent["elapsed_s"]
    latency = sent["latency_ms"]
    print(f"""
events sent      {n_sent:>12,}   {n_sent / seconds:,.0f} events/s, {sent["event_bytes"] / seconds / 1e6:,.1f} MB/s
rows read back   {n_rows:>12,}   with DuckDB
distinct ids     {n_distinct:>12,}   {"equal" if n_sent == n_rows == n_distinct else "NOT EQUAL"}
latency          p50 {latency["p50"]:,.0f} ms, p95 {latency["p95"]:,.0f} ms, p99 {latency["p99"]:,.0f} ms, from the intended send time
compression      {sent["event_bytes"] / max(file_bytes, 1):.1f} : 1, {size(sent["event_bytes"])} of JSON in {size(file_bytes)} of Parquet
peak memory      {memory(work / "memory_peak")} for the function, {memory(work / "memory_idle")} idle
data files       {grown(table, table_before, "n_data_files"):>12,}   {table.get("n_data_files", 0):,} in the table
snapshots        {grown(table, table_before, "n_snapshots"):>12,}   {table.get("n_snapshots", 0):,} in the table
rows before      {before.get("n_rows", 0):>12,}
rows in all      {after.get("n_rows", 0):>12,}
""")
    print_counts("rows by day", after.get("by_day", {}))
    print_counts("rows by type", after.get("by_type", {}))
    if not n_sent == n_rows == n_distinct:
        complain(sent["seed"], warehouse, n_sent, n_rows, n_distinct)
    option = "" if warehouse.endswith("/.calve/warehouse") else f" --warehouse {warehouse}"
    print(f"""next
  target/quick/calve table show{option}
  target/quick/calve ingest FILE.ndjson{option}
  ./scripts/run.sh{option}    adds to the table
  .venv/bin/python tests/readers/readers.py duckdb {warehouse} analytics.events""")


def print_counts(title, counts):
    print(title)
    for name, n_rows in counts.items():
        print(f"  {name:24} {n_rows:>12,}")
    print()


def complain(seed, warehouse, n_sent, n_rows, n_distinct):
    hint = f"the function's log is {warehouse}/run.log; did something else write to the table?"
    if n_rows == n_sent and n_distinct < n_rows:
        hint = f"seed {seed} was used before in this warehouse, so its events have the same ids: choose another"
    sys.exit(f"error: {n_sent:,} events sent, {n_rows:,} rows read back, {n_distinct:,} new ids\n\nhint: {hint}")


def memory(path):
    text = path.read_text().strip() if path.exists() else ""
    return f"{int(text) / 1024:,.0f} MiB" if text else "not known on this system"


def size(n_bytes):
    return f"{n_bytes / 2**20:,.1f} MiB"


if __name__ == "__main__":
    main()
