"""How the `bootstrap` of a function is started on this machine."""

import os
import platform
import shutil
from pathlib import Path

# What the field `e_machine` of an ELF file says, in AWS's words.
ARCHITECTURES = {62: "x86_64", 183: "arm64"}
EMULATORS = {"arm64": "aarch64", "x86_64": "x86_64"}
INSTALLABLE = "install qemu-user-static (Debian: apt-get install qemu-user-static), or build for this machine"


class CannotRun(Exception):
    """The `bootstrap` cannot be started; says why, in words for people."""


def architecture_of(bootstrap):
    """The architecture that the file was built for; none for scripts."""
    with open(bootstrap, "rb") as file:
        head = file.read(20)
    if not head.startswith(b"\x7fELF"):
        return None
    machine = int.from_bytes(head[18:20], "little" if head[5] == 1 else "big")
    return ARCHITECTURES.get(machine, f"ELF machine {machine}")


def command_of(directory, declared):
    """The words that start the `bootstrap` in the directory, through qemu when it is for another architecture."""
    bootstrap = Path(directory, "bootstrap")
    if not bootstrap.exists():
        raise CannotRun("the zip has no file `bootstrap` at its top")
    built_for = architecture_of(bootstrap)
    if built_for is None or built_for == host():
        emulator = []
    elif found := find_emulator(built_for):
        emulator = [found, *libraries(built_for)]
    else:
        raise CannotRun(f"`bootstrap` is built for {built_for}, this machine is {host()}: {INSTALLABLE}")
    if built_for not in (None, declared):
        raise CannotRun(f"`bootstrap` is built for {built_for}, the function is declared as {declared}")
    return [*emulator, bootstrap]


def host():
    machine = platform.machine()
    return {"aarch64": "arm64", "AMD64": "x86_64"}.get(machine, machine)


def find_emulator(architecture):
    name = EMULATORS.get(architecture)
    return name and (shutil.which(f"qemu-{name}-static") or shutil.which(f"qemu-{name}"))


def libraries(architecture):
    """Where the emulator finds the other architecture's C library, as Debian's packages for cross-building lay it."""
    path = os.environ.get("QEMU_LD_PREFIX") or f"/usr/{EMULATORS[architecture]}-linux-gnu"
    return ["-L", path] if os.path.isdir(path) else []
