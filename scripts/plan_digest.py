"""Prints the SHA-256 of what a plan of Terraform would do: `terraform show -json PLAN | plan_digest.py`.

Two plans with the same digest change the same things to the same values, whenever and by whom they were made. What a plan
only looks at, or finds as it is, does not count: AWS tells of some things by the minute, like when a mapping last read
its queue.
"""

import hashlib
import json
import sys


def main():
    print(digest(json.load(sys.stdin)))


def digest(plan):
    # Of deferred changes nothing can be said. (Terraform without its experiments never has any.)
    if plan.get("errored") or plan.get("deferred_changes"):
        sys.exit("error: the plan is not complete\n\nhint: its own words stand above")
    changes = [
        {"resource": each["address"], "provider": each["provider_name"], "deposed": each.get("deposed"), **told(each["change"])}
        for each in plan.get("resource_changes", [])
        if each["change"]["actions"] not in (["no-op"], ["read"]) or moved(each)
    ]
    outputs = [{"output": name, **told(change)} for name, change in plan.get("output_changes", {}).items() if change["actions"] != ["no-op"]]
    changes.sort(key=lambda change: (change["resource"], change["deposed"] or ""))
    outputs.sort(key=lambda change: change["output"])
    text = json.dumps([changes, outputs], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def moved(resource):
    """Nothing is done to it, but the state will know it by another name, or for the first time."""
    return "previous_address" in resource or "importing" in resource["change"]


def told(change):
    """What is done, and each value that will be another than now; of those AWS chooses, that it does."""
    before, after = change.get("before"), change.get("after")
    if isinstance(before, dict) and isinstance(after, dict):
        after = {name: value for name, value in after.items() if name not in before or before[name] != value}
    return {
        "actions": change["actions"],
        "after": after,
        "after_unknown": change.get("after_unknown"),
        "replaced_for": change.get("replace_paths"),
        "imported": change.get("importing"),
    }


if __name__ == "__main__":
    main()
