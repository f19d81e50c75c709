"""Tests of package_function.py with programs that the machine's C compiler links: `python3 scripts/package_function_test.py`."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).with_name("package_function.py")


class Packages(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="calve-package-")))

    def linked(self, *versions, weak=False):
        """A program that asks a libc.so.6 for one function of each of these versions."""
        functions = [f"f{n}" for n in range(len(versions))]
        self.compiled("library.c", "".join(f"void {name}(void) {{}}\n" for name in functions))
        nodes = zip(versions, functions)
        (self.folder / "versions").write_text("".join(f"{version} {{ global: {name}; }};\n" for version, name in nodes))
        attribute = "__attribute__((weak)) " if weak else ""
        declared = "".join(f"{attribute}void {name}(void);\n" for name in functions)
        self.compiled("program.c", f"{declared}void _start(void) {{ {' '.join(f'{name}();' for name in functions)} }}\n")
        library, program = self.folder / "libc.so.6", self.folder / "program"
        self.cc("-shared", "-Wl,-soname,libc.so.6", f"-Wl,--version-script={self.folder / 'versions'}", "library.o", "-o", library)
        self.cc("program.o", library, "-o", program)
        return program

    def compiled(self, name, source):
        (self.folder / name).write_text(source)
        self.cc("-c", name, "-o", name.replace(".c", ".o"))

    def cc(self, *arguments):
        subprocess.run(["cc", "-fPIC", "-nostdlib", *arguments], cwd=self.folder, check=True)

    def check(self, program, *parts):
        """It is packed for a system with glibc 2.34, or refused in these words."""
        command = [sys.executable, SCRIPT, "--glibc", "2.34", self.folder / "packed", f"ingest={program}"]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, bool(parts), done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)
        self.assertEqual((self.folder / "packed" / "ingest.zip").exists(), not parts)

    def test_what_asks_for_nothing_newer_is_packed(self):
        self.check(self.linked("GLIBC_2.4", "GLIBC_2.34"))

    def test_what_asks_for_no_library_is_packed(self):
        self.compiled("program.c", "void _start(void) {}\n")
        self.cc("program.o", "-o", "program")
        self.check(self.folder / "program")

    def test_versions_are_numbers_and_named_oldest_first(self):
        self.check(self.linked("GLIBC_2.100", "GLIBC_2.4", "GLIBC_2.35"), "error: ingest", "asks for GLIBC_2.35, GLIBC_2.100,", "glibc 2.34", "hint:")

    def test_a_version_without_a_number_is_newer(self):
        self.check(self.linked("GLIBC_2.4", "GLIBC_ABI_DT_RELR"), "asks for GLIBC_ABI_DT_RELR,")

    def test_what_may_be_missing_is_not_asked_for(self):
        self.check(self.linked("GLIBC_2.35", weak=True))

    def test_versions_of_other_libraries_do_not_count(self):
        self.check(self.linked("GCC_9.9", "OTHER_3"))

    def test_half_a_binary_is_refused(self):
        program = self.linked("GLIBC_2.4")
        program.write_bytes(program.read_bytes()[:200])
        self.check(program, "no whole ELF binary")

    def test_what_is_no_binary_is_refused(self):
        self.check(SCRIPT, "no ELF binary")


if __name__ == "__main__":
    unittest.main()
