"""NDJSON to Parquet with DuckDB on one thread: what the gate measures Calve against.

usage: duckdb_bench.py COLUMNS EVENTS OUTPUT ZSTD_LEVEL

COLUMNS is a JSON list of {"pointer", "type"}: the columns that Calve has for the same events, so that both
do the same work. For every line on the standard input the file is converted once, and one line of JSON is
answered: {"seconds", "n_rows", "file_bytes"}.
"""

import json
import os
import sys
import time

import duckdb

TYPES = {
    "boolean": "BOOLEAN",
    "long": "BIGINT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "timestamptz": "TIMESTAMPTZ",
    "json": "JSON",
}


def main() -> None:
    columns_path, events, output, level = sys.argv[1:]
    with open(columns_path, encoding="utf-8") as file:
        columns = json.load(file)
    query = conversion(columns, events, output, int(level))
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET preserve_insertion_order = true")
    for _ in sys.stdin:
        started = time.perf_counter()
        n_rows = connection.execute(query).fetchone()[0]
        seconds = time.perf_counter() - started
        answer = {"seconds": seconds, "n_rows": n_rows, "file_bytes": os.path.getsize(output)}
        print(json.dumps(answer), flush=True)


def conversion(columns: list[dict], events: str, output: str, level: int) -> str:
    """The statement that reads the events with explicit columns and writes one flat Parquet file."""
    tree: dict = {}
    projection = []
    for column in columns:
        keys = column["pointer"].strip("/").split("/")
        node = tree
        for key in keys[:-1]:
            node = node.setdefault(key, {})
        node[keys[-1]] = TYPES[column["type"]]
        path = ".".join(quoted(key) for key in keys)
        projection.append(f"{path} AS {quoted('_'.join(keys))}")
    explicit = ", ".join(f"{quoted(key)}: {literal(type_of(node))}" for key, node in tree.items())
    return f"""
        COPY (
            SELECT {", ".join(projection)}
            FROM read_json({literal(events)}, format = 'newline_delimited', columns = {{{explicit}}})
        ) TO {literal(output)} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL {level})
    """


def type_of(node: dict | str) -> str:
    """The DuckDB type of a column: a struct of its members, or the type itself."""
    if isinstance(node, str):
        return node
    members = ", ".join(f"{quoted(key)} {type_of(member)}" for key, member in node.items())
    return f"STRUCT({members})"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


if __name__ == "__main__":
    main()
