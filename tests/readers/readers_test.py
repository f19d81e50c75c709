"""What the readers say when there is nothing to read, and that they wait for rows: `.venv/bin/python tests/readers/readers_test.py`."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import pyarrow
from pyiceberg.catalog.sql import SqlCatalog

READERS = Path(__file__).resolve().parent / "readers.py"
TABLE = "local.events"


class Readers(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="calve-readers-")
        self.addCleanup(folder.cleanup)
        self.warehouse = Path(folder.name)

    def make_table(self):
        catalog = SqlCatalog("calve", uri=f"sqlite:///{self.warehouse}/catalog.db", warehouse=f"file://{self.warehouse}")
        catalog.create_namespace("local")
        return catalog.create_table(TABLE, pyarrow.schema([("id", pyarrow.int64())]))

    def start(self, warehouse, *words, **variables):
        ours = {name: value for name, value in os.environ.items() if not name.startswith("CALVE_")} | variables
        command = [sys.executable, READERS, "pyiceberg", str(warehouse), TABLE, *words]
        return subprocess.Popen(command, cwd=self.warehouse, env=ours, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def check_refused(self, parts, warehouse, *words, **variables):
        reader = self.start(warehouse, *words, **variables)
        told, errors = reader.communicate(timeout=60)
        self.assertEqual((reader.returncode, told), (1, ""), errors)
        self.assertNotIn("Traceback", errors)
        for part in ("error: ", "\nhint: ", *parts):
            self.assertIn(part, errors)

    def test_rows_that_come_later_are_waited_for(self):
        table = self.make_table()
        with self.start(self.warehouse, "--at-least", "3", "--within", "60") as reader:
            self.assertEqual(reader.stderr.readline(), "0 of 3 rows are there\n")
            table.append(pyarrow.table({"id": [1, 2, 3]}))
            told, errors = reader.communicate(timeout=60)
        self.assertEqual(reader.returncode, 0, errors)
        self.assertEqual(json.loads(told)["n_rows"], 3)

    def test_rows_that_do_not_come_are_told_of(self):
        self.make_table()
        self.check_refused(["local.events has 0 rows of 3 after 0.1 s"], self.warehouse, "--at-least", "3", "--within", "0.1")

    def test_a_variable_that_is_not_set_leaves_no_file_behind(self):
        self.check_refused(["the warehouse is an empty word", 'eval "$(./scripts/localstack.sh env)"'], "")
        self.assertEqual(list(self.warehouse.iterdir()), [])

    def test_a_folder_without_tables_stays_as_it_is(self):
        self.check_refused(["has no catalog.db"], self.warehouse)
        self.assertEqual(list(self.warehouse.iterdir()), [])

    def test_a_catalog_that_nothing_leads_to(self):
        self.check_refused(["not set", "CALVE_READ_CATALOG_WAREHOUSE"], "http://127.0.0.1:1")

    def test_a_catalog_that_does_not_answer(self):
        leads = {"CALVE_READ_CATALOG_WAREHOUSE": "s3://tables", "CALVE_READ_CATALOG_CREDENTIAL": "id:secret"}
        self.check_refused(["no catalog answers at http://127.0.0.1:1"], "http://127.0.0.1:1", **leads)


if __name__ == "__main__":
    unittest.main()
