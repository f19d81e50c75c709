"""NDJSON to Parquet with pyarrow alone: `pyarrow_bench.py COLUMNS EVENTS OUTPUT ZSTD_LEVEL THREADS`, see rounds.py.

It reads with an explicit schema, takes structs apart until none is left, and writes. Arrays stay lists, of what it finds in them.
"""

import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq
from rounds import arguments, serve, tree_of

TYPES = {
    "boolean": pa.bool_(),
    "long": pa.int64(),
    "double": pa.float64(),
    "string": pa.string(),
    "timestamptz": pa.timestamp("us", tz="UTC"),
}


def main() -> None:
    columns, events, output, level, threads = arguments()
    pa.set_cpu_count(threads)
    # What is an array is found out by pyarrow itself.
    tree = tree_of([column for column in columns if column["type"] in TYPES])
    read = pyarrow.json.ReadOptions(use_threads=threads > 1, block_size=16 << 20)
    parse = pyarrow.json.ParseOptions(explicit_schema=pa.schema(fields(tree)))

    def convert() -> int:
        table = pyarrow.json.read_json(events, read_options=read, parse_options=parse)
        while any(pa.types.is_struct(field.type) for field in table.schema):
            table = table.flatten()
        pq.write_table(table, output, compression="zstd", compression_level=level)
        return table.num_rows

    serve(f"pyarrow {pa.__version__}", output, convert)


def fields(tree: dict) -> list[pa.Field]:
    def type_of(node: dict | str) -> pa.DataType:
        return TYPES[node] if isinstance(node, str) else pa.struct(fields(node))

    return [pa.field(key, type_of(node)) for key, node in tree.items()]


if __name__ == "__main__":
    main()
