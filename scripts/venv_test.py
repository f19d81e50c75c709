"""Two runs that make `.venv` at once: `.venv/bin/python scripts/venv_test.py`. Python itself is played."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent
# Its pip tells that it works, and waits until it is let go.
PYTHON = """#!/bin/sh
case "$*" in
  --version) echo Python 3.11.0 ;;
  "-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
  "-m pip install"*) echo installing >>pip.log; echo installing; read -r _ <go; touch .venv/installed ;;
esac
"""


@unittest.skipUnless(shutil.which("flock"), "without flock there is no lock")
class TwoAtOnce(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="calve-venv-")
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        (self.root / "scripts").mkdir()
        for name in ("venv.sh", "venv_lock.sh", "requirements.txt", "constraints.txt"):
            shutil.copy(SCRIPTS / name, self.root / "scripts")
        self.python = self.root / "python"
        self.python.write_text(PYTHON)
        self.python.chmod(0o755)
        os.mkfifo(self.root / "go")

    def start(self):
        run = subprocess.Popen(["scripts/venv.sh"], cwd=self.root, env=os.environ | {"PYTHON": str(self.python)},
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
        self.addCleanup(run.stdout.close)
        self.addCleanup(run.stderr.close)
        return run

    def test_the_second_waits_and_finds_what_the_first_has_made(self):
        first = self.start()
        self.assertEqual(first.stdout.readline(), "installing\n")
        second = self.start()
        self.assertEqual(second.stderr.readline(), "another run makes .venv; waiting for it\n")
        (self.root / "go").write_text("go\n")
        self.assertEqual([run.wait(60) for run in (first, second)], [0, 0])
        self.assertEqual((self.root / "pip.log").read_text(), "installing\n")
        self.assertTrue((self.root / ".venv" / "installed").exists())


if __name__ == "__main__":
    unittest.main()
