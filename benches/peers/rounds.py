"""What every peer in Python does: it says who it is, and then converts the file once for every line on its standard input."""

import json
import os
import sys
import time


def arguments():
    """COLUMNS EVENTS OUTPUT ZSTD_LEVEL THREADS: the columns that Calve has for the events, and how they are to be converted.

    COLUMNS is a JSON list of {"name", "pointer", "type"}, so that a peer does the same work.
    """
    columns_path, events, output, level, threads = sys.argv[1:]
    with open(columns_path, encoding="utf-8") as file:
        return json.load(file), events, output, int(level), int(threads)


def serve(version, output, convert):
    """Answers {"version"} at once, and {"seconds", "n_rows", "file_bytes"} for every line; `convert` returns the rows.

    When `convert` fails the answer is {"error"}, and the last one.
    """
    print(json.dumps({"version": version}), flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        try:
            n_rows = convert()
        except Exception as error:
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
            return
        seconds = time.perf_counter() - started
        answer = {"seconds": seconds, "n_rows": n_rows, "file_bytes": os.path.getsize(output)}
        print(json.dumps(answer), flush=True)


def tree_of(columns):
    """The columns as the objects that they stand in: a type for a value, a dict for an object."""
    tree = {}
    for column in columns:
        *path, key = column["pointer"].strip("/").split("/")
        node = tree
        for name in path:
            node = node.setdefault(name, {})
        node[key] = column["type"]
    return tree
