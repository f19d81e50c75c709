"""Tests of plan_digest.py: which differences of two plans it tells, and which it does not: `python3 scripts/plan_digest_test.py`."""

import copy
import unittest

from plan_digest import digest


def resource(address, actions, before, after, **more):
    change = {"actions": actions, "before": before, "after": after, "after_unknown": {}, **more}
    return {"address": address, "provider_name": "registry.terraform.io/hashicorp/aws", "change": change}


PLAN = {
    "timestamp": "2026-11-21T20:00:00Z",
    "resource_changes": [
        resource("aws_sqs_queue.a", ["create"], None, {"name": "a"}, after_unknown={"arn": True}),
        resource("aws_sqs_queue.b", ["update"], {"wait": 1, "seen": "20:00"}, {"wait": 2, "seen": "20:00"}),
        resource("aws_sqs_queue.c", ["no-op"], {"seen": "20:00"}, {"seen": "20:00"}),
        resource("aws_sqs_queue.d", ["delete"], {"name": "d"}, None),
    ],
    "output_changes": {"url": {"actions": ["update"], "before": "x", "after": "y", "after_unknown": False}},
}


class Digests(unittest.TestCase):
    def check(self, is_same, change):
        other = copy.deepcopy(PLAN)
        change(other, other["resource_changes"])
        (self.assertEqual if is_same else self.assertNotEqual)(digest(PLAN), digest(other))

    def test_the_same_changes_have_one_digest_whenever_they_are_planned(self):
        self.check(True, lambda plan, _: plan.update(timestamp="2026-11-22T08:00:00Z"))
        self.check(True, lambda plan, resources: resources.reverse())

    def test_what_aws_tells_of_things_that_stay_does_not_count(self):
        self.check(True, lambda plan, resources: resources[2]["change"].update(before={"seen": "21:00"}, after={"seen": "21:00"}))
        self.check(True, lambda plan, resources: resources[1]["change"].update(before={"wait": 1, "seen": "21"}, after={"wait": 2, "seen": "21"}))

    def test_another_value_is_another_plan(self):
        self.check(False, lambda plan, resources: resources[0]["change"]["after"].update(name="z"))
        self.check(False, lambda plan, resources: resources[1]["change"]["after"].update(wait=3))
        self.check(False, lambda plan, resources: plan["output_changes"]["url"].update(after="z"))

    def test_another_action_is_another_plan(self):
        self.check(False, lambda plan, resources: resources[2]["change"].update(actions=["delete"], after=None))
        self.check(False, lambda plan, resources: resources[1]["change"].update(actions=["delete", "create"]))
        self.check(False, lambda plan, resources: resources[1]["change"].update(replace_paths=[["wait"]]))

    def test_one_change_more_or_less_is_another_plan(self):
        self.check(False, lambda plan, resources: resources.pop())
        self.check(False, lambda plan, resources: resources.append(resource("aws_sqs_queue.e", ["create"], None, {})))
        self.check(False, lambda plan, resources: resources[2].update(previous_address="aws_sqs_queue.old"))

    def test_a_plan_that_ended_in_the_middle_has_none(self):
        with self.assertRaises(SystemExit):
            digest(PLAN | {"errored": True})


if __name__ == "__main__":
    unittest.main()
