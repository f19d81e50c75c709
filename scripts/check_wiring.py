#!/usr/bin/env python3
"""Holds the stack, Terragrunt's units and the values of the environments against the modules' variables and outputs.

usage: check_wiring.py [--root FOLDER] [--self-test]

Terraform itself tells of what the stack passes and a module lacks, when it plans; of what values say and nobody reads it
tells nothing, and Terragrunt passes inputs that no module has without a word. So this reads all of it, with HashiCorp's
parser: every variable of a module is either wired, by stack and unit alike, or open to the values; what is required is
there; outputs that are used, and mocked, exist; values name nothing else. `--self-test` breaks copies of FOLDER, the
repository's infrastructure/ by default, and fails unless each break is found.
"""

import argparse
import json
import re
import sys
from collections import Counter
from pathlib import Path

import pygohcl

MODULES = ("networking", "storage", "queues", "observability", "compute")
ENVIRONMENTS = ("local", "dev", "int", "prod")
FUNCTIONS = ("ingest", "commit")
# Variables that nobody sets, since what they default to follows from others.
UNSET = {"observability": {"function_names"}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent / "infrastructure")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        from check_wiring_faults import self_test

        sys.exit(self_test(options.root))
    check = Check(options.root)
    check.everything()
    for problem in check.problems:
        print(f"error: {problem}")
    print(", ".join(f"{n} {what}" for what, n in check.counts.items()))
    sys.exit(bool(check.problems))


class Check:
    """What was looked at, by kind, and what was found wrong."""

    def __init__(self, root):
        self.root = root
        self.counts = Counter()
        self.problems = []

    def everything(self):
        self.modules = {name: self.module(name) for name in MODULES}
        stack = self.read_folder(self.root / "stack")
        self.stack_variables = set(stack.get("variable", {}))
        self.attributes = stack["locals"]["attributes"]
        self.wired = {}
        for name in MODULES:
            self.check_stack_module(name, stack["module"].get(name))
        self.check_functions()
        self.common = self.check_common()
        for name in MODULES:
            self.check_unit(name)
        for environment in ENVIRONMENTS:
            self.check_environment(environment)
        self.check_environments_named()
        self.check_emulator()

    def that(self, holds, problem):
        if not holds:
            self.problems.append(problem)
        return holds

    # Modules.

    def module(self, name):
        parsed = self.read_folder(self.root / "modules" / name)
        variables = parsed.get("variable", {})
        self.counts["modules"] += 1
        self.counts["variables"] += len(variables)
        self.counts["outputs"] += len(parsed.get("output", {}))
        return {
            "variables": set(variables),
            "required": {variable for variable, body in variables.items() if "default" not in body},
            "outputs": set(parsed.get("output", {})),
            "types": {variable: str(body.get("type", "")) for variable, body in variables.items()},
        }

    def check_functions(self):
        """What values may say of a function is what its object takes, but for the zip."""
        known = set(self.attributes.get("function", []))
        for function in FUNCTIONS:
            takes = set(re.findall(r"(\w+)\s*=", self.modules["compute"]["types"].get(function, ""))) - {"zip"}
            differ = ", ".join(sorted(takes ^ known))
            self.that(takes == known, f"stack/attributes.tf and variable {function} of compute differ in {differ}")

    # The stack.

    def check_stack_module(self, name, block):
        if not self.that(block is not None, f"stack/main.tf has no module {name}"):
            self.wired[name] = {}
            return
        passed = {key: text(value) for key, value in block.items() if key != "source"}
        self.counts["arguments of the stack"] += len(passed)
        self.check_names(f"stack/main.tf, module {name}", name, set(passed))
        unset = self.modules[name]["variables"] - set(passed) - UNSET.get(name, set())
        for variable in sorted(unset):
            self.that(False, f"stack/main.tf leaves out {variable} of module {name}: wire it, or open it to the values")
        opened = {key for key, value in passed.items() if value == f'lookup(var.{name}, "{key}", null)'}
        mixed = {key for key, value in passed.items() if f'lookup(var.{name}, "{key}"' in value} | set(FUNCTIONS)
        known = set(self.attributes.get(name, []))
        for key in sorted(opened - known):
            self.that(False, f"stack/attributes.tf lacks {key} of {name}, which stack/main.tf reads")
        looked_up = re.findall(rf'lookup\(var\.{name}, "(\w+)"', " ".join(text(each) for each in self.local_texts()))
        for key in sorted(known - opened - mixed - set(looked_up)):
            self.that(False, f"stack/attributes.tf has {key} of {name}, which stack/main.tf does not read")
        for module, output in re.findall(r"module\.(\w+)\.(\w+)", " ".join(passed.values())):
            self.check_output(f"stack/main.tf, module {name}", module, output)
        self.wired[name] = {key: value for key, value in passed.items() if key not in opened}

    def local_texts(self):
        return self.read_folder(self.root / "stack").get("locals", {}).values()

    # Units.

    def check_common(self):
        """What the units share, and the names that values.hcl gives them."""
        root = self.read(self.root / "environments" / "root.hcl")
        for block in ("remote_state", "generate", "terraform"):
            self.that(block in root, f"environments/root.hcl has no {block}")
        common = set(self.read(self.root / "environments" / "values.hcl").get("locals", {}))
        self.check_common_names("root.hcl", text(root), common)
        return common

    def check_common_names(self, place, expressions, common):
        for name in sorted(set(re.findall(r"local\.common\.(\w+)", expressions)) - common):
            self.that(False, f"environments/{place}: values.hcl has no {name}")

    def check_unit(self, name):
        path = self.root / "environments" / "_units" / f"{name}.hcl"
        parsed = self.read(path)
        place = f"environments/_units/{name}.hcl"
        self.counts["unit bodies"] += 1
        source = text(parsed.get("terraform", {}).get("source", ""))
        self.that(source.endswith(f"/../modules//{name}"), f"{place} does not have modules/{name} for its source")
        inputs = self.inputs(path, name)
        self.counts["inputs of units"] += len(inputs)
        self.check_common_names(f"_units/{name}.hcl", text(parsed), self.common)
        known = set(self.attributes.get(name, []))
        self.check_names(place, name, set(inputs), known)
        for key in sorted(set(self.wired[name]) - set(inputs) - known):
            self.that(False, f"{place} lacks {key}, which stack/main.tf passes to module {name}")
        for key, value in inputs.items():
            if not self.that(key in self.wired[name], f"{place} passes {key}, and stack/main.tf leaves it to the values"):
                continue
            ours, theirs = names_of_unit(value), names_of_stack(self.wired[name][key])
            differ = ", ".join(sorted(ours ^ theirs))
            self.that(not differ, f"{place} and stack/main.tf make {key} of different things: {differ}")
        self.check_dependencies(place, parsed.get("dependency", {}), " ".join(inputs.values()))

    def check_dependencies(self, place, dependencies, used_text):
        used = set(re.findall(r"dependency\.(\w+)\.outputs\.(\w+)", used_text))
        for module in sorted({module for module, _ in used} - set(dependencies)):
            self.that(False, f"{place} uses outputs of {module}, and has no dependency on it")
        for module, block in dependencies.items():
            self.counts["dependencies"] += 1
            path = text(block.get("config_path", ""))
            self.that(path.endswith(f"/../{module}"), f"{place}: dependency {module} points to {path}")
            mocked = set(block.get("mock_outputs", {}))
            wanted = {output for owner, output in used if owner == module}
            for output in sorted(wanted | mocked):
                self.check_output(place, module, output)
            for output in sorted(wanted - mocked):
                self.that(False, f"{place} mocks no output {output} of {module}, which it uses")
            for output in sorted(mocked - wanted):
                self.that(False, f"{place} mocks output {output} of {module}, which it does not use")

    def inputs(self, path, name):
        """The inputs beside the values, as they are written: `inputs = merge(local.common.<name>, {…})`."""
        source = path.read_text()
        found = re.search(rf"^inputs = merge\(local\.common\.{name}, (\{{\n.*?\n\}})\)$", source, re.MULTILINE | re.DOTALL)
        if not self.that(found, f"environments/_units/{name}.hcl has no `inputs = merge(local.common.{name}, {{…}})`"):
            return {}
        parsed = pygohcl.loads(f"inputs = {found[1]}\n")["inputs"]
        return {key: text(value) for key, value in parsed.items()}

    # Environments.

    def check_environment(self, environment):
        folder = self.root / "environments" / environment
        units = {path.parent.name: path for path in folder.glob("*/terragrunt.hcl")}
        self.that(set(units) == set(MODULES), f"environments/{environment} has units {', '.join(sorted(units))}, not one for each module")
        for name, path in units.items():
            self.counts["units"] += 1
            includes = {key: text(block.get("path", "")) for key, block in self.read(path).get("include", {}).items()}
            self.that(set(includes) == {"root", "unit"}, f"environments/{environment}/{name} must include root and unit")
            self.that(includes.get("unit", "").endswith(f"/_units/{name}.hcl"), f"environments/{environment}/{name} includes another unit than {name}")
        values = self.read_values(folder / "values.json")
        self.check_values(f"environments/{environment}/values.json", values)
        for key in ("environment", "region", "account_id"):
            self.that(key in values, f"environments/{environment}/values.json has no {key}")
        self.that(values.get("environment") == environment, f"environments/{environment}/values.json is of environment {values.get('environment')}")

    def check_environments_named(self):
        there = {path.parent.name for path in (self.root / "environments").glob("*/values.json")}
        for name in sorted(there ^ set(ENVIRONMENTS)):
            self.that(False, f"environments/{name} is {'not looked at' if name in there else 'not there'}")

    def check_emulator(self):
        """What an emulator cannot do is the same for every environment, `local` included."""
        overlay = self.read_values(self.root / "environments" / "emulator.json")
        self.check_values("environments/emulator.json", overlay)
        local = self.read_values(self.root / "environments" / "local" / "values.json")
        for place in sorted(set(leaves(overlay)) - set(leaves(local))):
            self.that(False, f"environments/local/values.json does not agree with emulator.json in {'.'.join(place[:-1])}")

    def check_values(self, place, values):
        self.counts["files of values"] += 1
        for key, value in values.items():
            self.that(key in self.stack_variables, f"{place}: the stack has no variable {key}")
            if key not in MODULES:
                continue
            known = set(self.attributes.get(key, []))
            for attribute in sorted(set(value) - known):
                self.that(False, f"{place}: module {key} takes no {attribute} from values")
            self.counts["attributes of values"] += len(value)
        for function in FUNCTIONS:
            for attribute in sorted(set(values.get("compute", {}).get(function, {})) - set(self.attributes.get("function", []))):
                self.that(False, f"{place}: function {function} takes no {attribute} from values")

    # What several of them do.

    def check_names(self, place, name, passed, from_values=frozenset()):
        module = self.modules[name]
        for key in sorted(passed - module["variables"]):
            self.that(False, f"{place}: module {name} has no variable {key}")
        for key in sorted(module["required"] - passed - from_values):
            self.that(False, f"{place}: {key}, which module {name} requires, is not there")

    def check_output(self, place, module, output):
        self.counts["uses of outputs"] += 1
        there = module in self.modules and output in self.modules[module]["outputs"]
        self.that(there, f"{place}: module {module} has no output {output}")

    def read_folder(self, folder):
        merged = {}
        for path in sorted(folder.glob("*.tf")):
            for kind, bodies in self.read(path).items():
                # Blocks without a name, of which there are several, are a list.
                for body in bodies if isinstance(bodies, list) else [bodies]:
                    merged.setdefault(kind, {}).update(body)
        return merged

    def read(self, path):
        try:
            return pygohcl.loads(path.read_text())
        except (OSError, pygohcl.HCLParseError) as error:
            self.that(False, f"{path.relative_to(self.root)} cannot be read: {error}")
            return {}

    def read_values(self, path):
        try:
            return json.loads(path.read_text())
        except (OSError, ValueError) as error:
            self.that(False, f"{path.relative_to(self.root)} cannot be read: {error}")
            return {}


def text(value):
    """An expression as one line, whatever the parser made of it."""
    if isinstance(value, dict):
        return " ".join(text(each) for each in value.values())
    if isinstance(value, list):
        return " ".join(text(each) for each in value)
    return " ".join(str(value).split())


def names_of_stack(expression):
    found = re.findall(r"module\.(\w+\.\w+)|(?:local|var)\.(\w+)", expression)
    return {output or name for output, name in found}


def names_of_unit(expression):
    found = re.findall(r"dependency\.(\w+)\.outputs\.(\w+)|local\.common\.(?:values\.)?(\w+)", expression)
    return {f"{module}.{output}" if module else name for module, output, name in found}


def leaves(values, path=()):
    """Every value with the path to it."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key, json.dumps(value))


if __name__ == "__main__":
    main()
