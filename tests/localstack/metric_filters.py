"""What metric filters make of log lines on this machine: `python3 tests/localstack/metric_filters.py`."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "scripts"))
from localstack_lambda.metric_filters import NotUnderstood, figures, matcher  # noqa: E402

LINE = '{"message":"payload landed in part","n_quarantined":3,"table":{"name":"events"},"is_repeat":true}'


class MetricFilters(unittest.TestCase):
    def check(self, pattern, expected, line=LINE):
        self.assertEqual(matcher(pattern)(line), expected, pattern)

    def test_conditions_on_json_lines(self):
        self.check('{ $.message = "payload landed in part" && $.n_quarantined > 0 }', True)
        self.check('{ $.message = "payload landed in part" && $.n_quarantined > 3 }', False)
        self.check('{ $.message = "payload not landed" || $.n_quarantined >= 3 }', True)
        self.check('{ ($.n_quarantined < 3 || $.n_quarantined != 3) && $.message = "payload landed in part" }', False)
        self.check('{ $.table.name = "events" }', True)

    def test_a_field_that_is_absent_or_of_another_kind_matches_nothing(self):
        self.check("{ $.n_refused != 7 }", False)
        self.check('{ $.n_quarantined = "3" }', False)
        self.check("{ $.is_repeat = 1 }", False)

    def test_a_line_that_is_no_json_matches_no_condition(self):
        self.check("{ $.n_quarantined > 0 }", False, "START RequestId: 1")

    def test_plain_text_and_no_pattern_at_all(self):
        self.check("landed part", True)
        self.check('"landed part"', False)
        self.check("", True)

    def test_what_is_not_understood_is_refused(self):
        for pattern in ["{ $.a = /x/ }", "{ $.a }", "{ $.a IS NULL }", "[a, b]", "-error", "{ $.a = 1 && }"]:
            with self.assertRaises(NotUnderstood, msg=pattern):
                matcher(pattern)

    def test_the_figure_is_the_number_in_the_line(self):
        metric = {"metricName": "Quarantined", "metricNamespace": "Calve/x", "metricValue": "$.n_quarantined", "unit": "Count"}
        absent = metric | {"metricValue": "$.n_refused"}
        filters = [{"filterPattern": "{ $.n_quarantined > 0 }", "metricTransformations": [metric, absent]}]
        found = list(figures(filters, [LINE, "START", '{"n_quarantined":0}']))
        self.assertEqual(found, [("Calve/x", {"MetricName": "Quarantined", "Value": 3.0, "Unit": "Count"})])


if __name__ == "__main__":
    unittest.main()
