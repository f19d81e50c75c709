"""NDJSON to Parquet as a Lambda in Python does it: `python_lambda.py COLUMNS EVENTS OUTPUT ZSTD_LEVEL THREADS`, see rounds.py.

json.loads for each event, objects taken apart by a function that calls itself, a list for each column, pyarrow to write. Arrays
become texts of JSON. It has one thread, as Python has.
"""

import json
import platform
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
from rounds import arguments, serve

TYPES = {
    "boolean": pa.bool_(),
    "long": pa.int64(),
    "double": pa.float64(),
    "string": pa.string(),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "json": pa.string(),
}


def main() -> None:
    columns, events, output, level, _ = arguments()
    types = {column["pointer"].strip("/").replace("/", "_"): column["type"] for column in columns}

    def convert() -> int:
        values: dict[str, list] = {name: [] for name in types}
        n_rows = 0
        with open(events, "rb") as file:
            for line in file:
                row: dict = {}
                flatten(json.loads(line), "", row)
                for name, column in values.items():
                    column.append(row.get(name))
                n_rows += 1
        arrays = [pa.array(typed(values.pop(name), kind), TYPES[kind]) for name, kind in types.items()]
        table = pa.Table.from_arrays(arrays, names=list(types))
        pq.write_table(table, output, compression="zstd", compression_level=level)
        return n_rows

    serve(f"Python {platform.python_version()}, pyarrow {pa.__version__}", output, convert)


def flatten(members: dict, prefix: str, row: dict) -> None:
    for key, value in members.items():
        if isinstance(value, dict):
            flatten(value, f"{prefix}{key}_", row)
        elif isinstance(value, list):
            row[prefix + key] = json.dumps(value, ensure_ascii=False)
        else:
            row[prefix + key] = value


def typed(values: list, kind: str) -> list:
    if kind != "timestamptz":
        return values
    return [None if value is None else datetime.fromisoformat(value) for value in values]


if __name__ == "__main__":
    main()
