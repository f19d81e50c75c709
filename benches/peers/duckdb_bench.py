"""NDJSON to Parquet with DuckDB: `duckdb_bench.py COLUMNS EVENTS OUTPUT ZSTD_LEVEL THREADS`, see rounds.py."""

import duckdb
from rounds import arguments, serve, tree_of

TYPES = {
    "boolean": "BOOLEAN",
    "long": "BIGINT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "timestamptz": "TIMESTAMPTZ",
    "json": "JSON",
}


def main() -> None:
    columns, events, output, level, threads = arguments()
    query = conversion(columns, events, output, level)
    connection = duckdb.connect()
    connection.execute(f"SET threads = {threads}")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET preserve_insertion_order = true")
    serve(f"DuckDB {duckdb.__version__}", output, lambda: connection.execute(query).fetchone()[0])


def conversion(columns: list[dict], events: str, output: str, level: int) -> str:
    """The statement that reads the events with explicit columns and writes one flat Parquet file."""
    projection = []
    for column in columns:
        keys = column["pointer"].strip("/").split("/")
        path = ".".join(quoted(key) for key in keys)
        projection.append(f"{path} AS {quoted('_'.join(keys))}")
    explicit = ", ".join(f"{quoted(key)}: {literal(type_of(node))}" for key, node in tree_of(columns).items())
    return f"""
        COPY (
            SELECT {", ".join(projection)}
            FROM read_json({literal(events)}, format = 'newline_delimited', columns = {{{explicit}}})
        ) TO {literal(output)} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL {level})
    """


def type_of(node: dict | str) -> str:
    """The DuckDB type of a column: a struct of its members, or the type itself."""
    if isinstance(node, str):
        return TYPES[node]
    members = ", ".join(f"{quoted(key)} {type_of(member)}" for key, member in node.items())
    return f"STRUCT({members})"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


if __name__ == "__main__":
    main()
