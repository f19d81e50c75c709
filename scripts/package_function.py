"""Packs built functions as Lambda takes them, and says what each package is.

usage: package_function.py [--glibc VERSION] FOLDER FUNCTION=BINARY …

For each function `FOLDER/FUNCTION.zip` holds the binary as `bootstrap`, and `FOLDER/FUNCTION.json` what Terraform asks
of it: {"function", "architecture", "sha256", "zip_bytes", "binary_bytes"}. The architecture is that of the binary's own
header, the sha256 that of the zip. The same binary always makes the same zip, so that nothing is deployed twice.
With --glibc, a binary that asks for a newer C library is refused: it would not start on a system that has this one.
"""

import argparse
import hashlib
import json
import re
import struct
import sys
import zipfile
from pathlib import Path

# `e_machine` of the ELF header, and what Lambda calls it.
ARCHITECTURES = {62: "x86_64", 183: "arm64"}
# Of a section header: the one that names the versions of libraries which a binary asks for.
VERSIONS_NEEDED = 0x6FFFFFFE
# Of such a version: it may be missing.
WEAK = 2
MIB = 1 << 20


class NotPackable(Exception):
    """The file is not one that Lambda could start."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--glibc", help="the newest C library that a binary may ask for, as 2.34")
    parser.add_argument("folder", type=Path)
    parser.add_argument("functions", nargs="+", metavar="FUNCTION=BINARY")
    options = parser.parse_args()
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    for function in options.functions:
        name, binary = function.split("=", 1)
        try:
            made = package(name, Path(binary), folder, options.glibc)
        except (OSError, NotPackable) as error:
            sys.exit(f"error: {name} cannot be packed: {error}\n\nhint: scripts/build.sh")
        binary_size, zip_size = (f"{made[key] / MIB:6.1f} MiB" for key in ("binary_bytes", "zip_bytes"))
        print(f"{made['function']:<8} {made['architecture']:<7} {binary_size}, zipped {zip_size}   {folder / name}.zip")


def package(name, binary, folder, glibc=None):
    """Writes zip and manifest of one function, and returns what stands in the manifest."""
    code = binary.read_bytes()
    kind = architecture(code)
    if glibc and (newer := newer_than(glibc, code)):
        raise NotPackable(f"it asks for {', '.join(newer)}, and where it runs the C library is glibc {glibc}")
    path = folder / f"{name}.zip"
    entry = zipfile.ZipInfo("bootstrap", date_time=(1980, 1, 1, 0, 0, 0))
    entry.external_attr = 0o100755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3  # Unix, whatever system packs: the file has to be executable.
    # Under another name first: who is cut off leaves no half of a zip.
    unfinished = path.with_suffix(".zip.part")
    with zipfile.ZipFile(unfinished, "w") as archive:
        archive.writestr(entry, code, compresslevel=9)
    made = {
        "function": name,
        "architecture": kind,
        "sha256": hashlib.sha256(unfinished.read_bytes()).hexdigest(),
        "zip_bytes": unfinished.stat().st_size,
        "binary_bytes": len(code),
    }
    unfinished.replace(path)
    path.with_suffix(".json").write_text(json.dumps(made, indent=2) + "\n")
    return made


def architecture(code):
    """What Lambda calls the machine that an ELF binary is for."""
    if code[:4] != b"\x7fELF" or len(code) < 20:
        raise NotPackable("it is no ELF binary, as Lambda runs them")
    order = "big" if code[5] == 2 else "little"
    machine = int.from_bytes(code[18:20], order)
    if machine not in ARCHITECTURES:
        raise NotPackable(f"its machine is number {machine}, and Lambda has arm64 and x86_64")
    return ARCHITECTURES[machine]


def newer_than(glibc, code):
    """The versions that a binary asks for and that this glibc is without, oldest first."""
    try:
        versions = sorted({version for version in versions_needed(code) if version.startswith("GLIBC_")}, key=in_order)
    except (struct.error, IndexError, ValueError) as error:
        raise NotPackable("it is no whole ELF binary: what it asks for cannot be read") from error
    return [version for version in versions if in_order(version) > in_order(glibc)]


def in_order(version):
    """What versions are compared by. One without a number, as GLIBC_ABI_DT_RELR, is newer than all that have one."""
    number = re.fullmatch(r"(?:GLIBC_)?(\d+(?:\.\d+)*)", version)
    return (0, [int(part) for part in number[1].split(".")]) if number else (1, version)


def versions_needed(code):
    """The names of all versions of libraries that a 64-bit binary cannot start without."""
    at, size, count = struct.unpack_from("<Q10xHH", code, 40)
    # Of each section: kind, place, and the section with its names.
    sections = [struct.unpack_from("<4xI16xQ8xI", code, at + n * size) for n in range(count)]
    for kind, library, names in sections:
        if kind != VERSIONS_NEEDED:
            continue
        names = sections[names][1]
        following = True
        while following:
            # A list of libraries, each with a list of versions; both say how far off the next one is.
            version, following = struct.unpack_from("<8xII", code, library)
            version += library
            further = True
            while further:
                flags, name, further = struct.unpack_from("<4xH2xII", code, version)
                if not flags & WEAK:
                    yield code[names + name : code.index(b"\0", names + name)].decode()
                version += further
            library += following


if __name__ == "__main__":
    main()
