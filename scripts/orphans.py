"""Finds in a log of Terraform what is there already and not in the state: a run was killed before it wrote it down.

usage: orphans.py LOG

Prints for each a block `import` for Terraform. What carries a name of ours, which AWS gives only once, is found so; network
and the like are made a second time instead.
"""

import json
import re
import sys
from pathlib import Path

EXISTS = re.compile(
    r"EntityAlreadyExists|ResourceAlreadyExists|AlreadyExistsException|BucketAlready(Exists|OwnedByYou)|ResourceConflictException"
    r"|ResourceInUseException|already exists"
)


def main():
    for address, identity in orphans(Path(sys.argv[1]).read_text(errors="replace")):
        print(f"import {{\n  to = {address}\n  id = {json.dumps(identity)}\n}}\n")


def orphans(log):
    """Address and id of each thing that an error of the log tells of."""
    found = {}
    for error in re.split(r"^Error: ", plain(log), flags=re.MULTILINE)[1:]:
        address = re.search(r"^\s*with ([^\n]+),$", error, re.MULTILINE)
        named = re.search(r"\(([^()\s]+)\)", error)
        # An event source mapping has an id of its own, which the error tells.
        mapping = re.search(r"UUID\s+([0-9a-f-]{36})", error)
        if EXISTS.search(error) and address and (mapping or named):
            found[address[1]] = (mapping or named)[1]
    return list(found.items())


def plain(log):
    """The log without colours and frames."""
    return re.sub(r"\x1b\[[0-9;]*m|^[│╷╵] ?", "", log, flags=re.MULTILINE)


if __name__ == "__main__":
    main()
