"""What `check_wiring.py --self-test` breaks, each in a copy of its own, and what has to be said of it."""

import shutil
import tempfile
from pathlib import Path

# File, what stands there, what is put in its place, and part of what must be said.
FAULTS = [
    ("stack/main.tf", '  stream_name            = try(module.queues.stream.name, null)\n', "",
     "leaves out stream_name of module observability"),
    ("stack/main.tf", "module.networking.subnet_ids", "module.networking.subnets", "module networking has no output subnets"),
    ("stack/main.tf", 'lookup(var.storage, "prefix", null)', 'lookup(var.storage, "prefixes", null)',
     "stack/attributes.tf has prefix of storage, which stack/main.tf does not read"),
    ("stack/main.tf", "  policy_json ", "  policy ", "module compute has no variable policy"),
    ("stack/main.tf", "= module.storage.policy_json", "= module.storage.lake_bucket", "make policy_json of different things"),
    ("stack/attributes.tf", '"zones", ', "", "stack/attributes.tf lacks zones of networking"),
    ("stack/attributes.tf", '"memory_mb", ', "", "variable ingest of compute differ in memory_mb"),
    ("modules/queues/outputs.tf", 'output "events_queue" {', 'output "queue" {', "module queues has no output events_queue"),
    ("modules/storage/variables.tf", 'variable "namespace" {', 'variable "schema" {', "module storage has no variable namespace"),
    ("modules/storage/variables.tf", 'variable "name" {', 'variable "new" {\n  type = string\n}\n\nvariable "name" {',
     "environments/_units/storage.hcl: new, which module storage requires, is not there"),
    ("environments/_units/compute.hcl", "dependency.storage.outputs.policy_json", "dependency.storage.outputs.policies",
     "module storage has no output policies"),
    ("environments/_units/compute.hcl", "    subnet_ids         = []\n", "", "mocks no output subnet_ids of networking"),
    ("environments/_units/compute.hcl", '/../queues"', '/../storage"', "dependency queues points to"),
    ("environments/_units/compute.hcl", 'dependency "networking" {', 'dependency "network" {', "has no dependency on it"),
    ("environments/_units/compute.hcl", "dependency.queues.outputs.receipts_queue\n", "dependency.queues.outputs.events_queue\n",
     "make receipts_queue of different things"),
    ("environments/_units/networking.hcl", "modules//networking", "modules//queues", "does not have modules/networking for its source"),
    ("environments/_units/storage.hcl", "  namespace  = local.common.namespace\n", "", "lacks namespace, which stack/main.tf passes"),
    ("environments/_units/storage.hcl", "  namespace  =", "  catalog    =", "passes catalog, and stack/main.tf leaves it to the values"),
    ("environments/_units/queues.hcl", "inputs = merge(", "inputs = merge((", "cannot be read"),
    ("environments/root.hcl", "remote_state {", "local_state {", "root.hcl has no remote_state"),
    ("environments/root.hcl", "local.common.name", "local.common.names", "environments/root.hcl: values.hcl has no names"),
    ("environments/values.hcl", "  protected =", "  guarded   =", "values.hcl has no protected"),
    ("environments/dev/queues/terragrunt.hcl", "_units/queues.hcl", "_units/storage.hcl", "includes another unit than queues"),
    ("environments/dev/queues/terragrunt.hcl", 'include "root"', 'include "roots"', "must include root and unit"),
    ("environments/int/compute/terragrunt.hcl", None, None, "not one for each module"),
    ("environments/prod/values.json", '"log_retention_days"', '"log_days"', "module observability takes no log_days"),
    ("environments/prod/values.json", '"maximum_concurrency": 200', '"concurrency": 200', "function ingest takes no concurrency"),
    ("environments/prod/values.json", '"protected"', '"protect"', "the stack has no variable protect"),
    ("environments/prod/values.json", '"environment": "prod"', '"environment": "int"', "is of environment int"),
    ("environments/prod/values.json", "{", "", "cannot be read"),
    ("environments/local/values.json", '"tracing": false', '"tracing": true', "does not agree with emulator.json in compute.tracing"),
    ("environments/test/values.json", None, "{}", "environments/test is not looked at"),
]  # fmt: skip


def self_test(root):
    """Breaks a copy in each way, and returns 1 unless each was found, and nothing in the copy as it is."""
    from check_wiring import Check

    missed = []
    with tempfile.TemporaryDirectory(prefix="calve-wiring-") as scratch:
        for number, fault in enumerate([None, *FAULTS]):
            copy = Path(scratch) / str(number)
            shutil.copytree(root, copy, ignore=shutil.ignore_patterns(".terraform*", "tests"))
            if fault is not None:
                break_file(copy, *fault[:3])
            check = Check(copy)
            check.everything()
            if fault is None:
                missed += [f"the copy as it is: {problem}" for problem in check.problems]
            elif not any(fault[3] in problem for problem in check.problems):
                missed.append(f"{fault[0]}: `{fault[3]}` was not said, but {check.problems}")
    for each in missed:
        print(f"error: {each}")
    print(f"{len(FAULTS)} faults, {len(FAULTS) - len(missed)} found")
    return bool(missed)


def break_file(copy, name, old, new):
    path = copy / name
    if old is None and new is None:
        path.unlink()
    elif old is None:
        path.parent.mkdir()
        path.write_text(new)
    else:
        found = path.read_text()
        if old not in found:
            raise SystemExit(f"error: {name} does not have `{old}` any more\n\nhint: mend FAULTS in scripts/check_wiring_faults.py")
        path.write_text(found.replace(old, new, 1))
