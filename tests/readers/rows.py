"""Reads tables with DuckDB as long as somebody asks: one metadata location a line in, the rows as one line of JSON out.

What S3 needs is in CALVE_READ_S3_ENDPOINT, CALVE_READ_S3_ACCESS_KEY_ID and CALVE_READ_S3_SECRET_ACCESS_KEY.
"""

import json
import sys

from readers import as_text, duckdb_with_extensions, quoted


def main():
    connection = duckdb_with_extensions()
    for line in sys.stdin:
        rows = connection.execute(f"SELECT * FROM iceberg_scan({quoted(line.strip())})").fetch_arrow_table()
        print(json.dumps(rows.to_pylist(), default=as_text), flush=True)


if __name__ == "__main__":
    main()
