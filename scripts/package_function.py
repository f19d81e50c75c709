"""Packs built functions as Lambda takes them, and says what each package is.

usage: package_function.py FOLDER FUNCTION=BINARY …

For each function `FOLDER/FUNCTION.zip` holds the binary as `bootstrap`, and `FOLDER/FUNCTION.json` what Terraform asks
of it: {"function", "architecture", "sha256", "zip_bytes", "binary_bytes"}. The architecture is that of the binary's own
header, the sha256 that of the zip. The same binary always makes the same zip, so that nothing is deployed twice.
"""

import hashlib
import json
import sys
import zipfile
from pathlib import Path

# `e_machine` of the ELF header, and what Lambda calls it.
ARCHITECTURES = {62: "x86_64", 183: "arm64"}
MIB = 1 << 20


class NotPackable(Exception):
    """The file is not one that Lambda could start."""


def main():
    folder, *functions = sys.argv[1:]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for function in functions:
        name, binary = function.split("=", 1)
        try:
            made = package(name, Path(binary), folder)
        except (OSError, NotPackable) as error:
            sys.exit(f"error: {name} cannot be packed: {error}\n\nhint: scripts/build.sh")
        binary_size, zip_size = (f"{made[key] / MIB:6.1f} MiB" for key in ("binary_bytes", "zip_bytes"))
        print(f"{made['function']:<8} {made['architecture']:<7} {binary_size}, zipped {zip_size}   {folder / name}.zip")


def package(name, binary, folder):
    """Writes zip and manifest of one function, and returns what stands in the manifest."""
    code = binary.read_bytes()
    kind = architecture(code)
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


if __name__ == "__main__":
    main()
