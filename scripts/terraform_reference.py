"""Holds the table of variables and outputs in each Terraform module's README.md against the module.

usage: terraform_reference.py --check | --write [MODULE …]

Between the markers of a README stand the tables; `--write` writes them (and the README, where there is none), `--check`
says which are not as they would be written. Refused, as no table could tell it: a variable without type or
description, an output without description. HashiCorp's own parser reads the modules (pygohcl of `.venv-infra`).
"""

import json
import re
import sys
import textwrap
from pathlib import Path

import pygohcl

ROOT = Path(__file__).resolve().parent.parent
INFRASTRUCTURE = ROOT / "infrastructure"
BEGIN, END = "<!-- reference:begin -->", "<!-- reference:end -->"
LONG_TYPE = 60


class Refused(Exception):
    """A module from which no reference can be made."""


def main():
    mode, *names = sys.argv[1:] or [""]
    if mode not in ("--check", "--write"):
        sys.exit(__doc__.strip())
    n_variables = n_outputs = 0
    wrong = []
    chosen = [Path(name).resolve() for name in names] or modules()
    for module in chosen:
        try:
            variables, outputs = read(module)
            text = with_reference(module, tables(variables, outputs))
        except Refused as error:
            wrong.append(str(error))
            continue
        n_variables, n_outputs = n_variables + len(variables), n_outputs + len(outputs)
        readme = module / "README.md"
        if mode == "--write":
            readme.write_text(text)
        elif not readme.exists() or readme.read_text() != text:
            wrong.append(f"{readme.relative_to(ROOT)} is not what its variables and outputs say")
    if wrong:
        hint = "scripts/infra_tools.sh && .venv-infra/bin/python scripts/terraform_reference.py --write"
        sys.exit("\n".join(f"error: {line}" for line in wrong) + f"\n\nhint: {hint}")
    print(f"{len(chosen)} modules, {n_variables} variables, {n_outputs} outputs")


def modules():
    found = {file.parent for file in INFRASTRUCTURE.rglob("*.tf") if ".terraform" not in file.parts}
    return sorted(found)


def read(module):
    variables, outputs = {}, {}
    for file in sorted(module.glob("*.tf")):
        source = file.read_text()
        try:
            parsed = pygohcl.loads(source)
        except pygohcl.HCLParseError as error:
            raise Refused(f"{file.relative_to(ROOT)} cannot be read: {error}") from None
        for name, variable in parsed.get("variable", {}).items():
            variables[name] = variable | {"type": written_type(source, name)}
        outputs |= parsed.get("output", {})
    for kind, things, needed in (("variable", variables, ("type", "description")), ("output", outputs, ("description",))):
        for name, thing in things.items():
            for attribute in needed:
                if not thing.get(attribute):
                    raise Refused(f"{kind} {name} of {module.relative_to(ROOT)} has no {attribute}")
    return variables, outputs


def tables(variables, outputs):
    """Required variables first; whoever uses the module begins there."""
    required = {name: it for name, it in variables.items() if "default" not in it}
    optional = {name: it for name, it in variables.items() if "default" in it}
    lines = ["### Variables", "", "| variable | type | default | what |", "| --- | --- | --- | --- |"]
    shapes = []
    for name, it in [*sorted(required.items()), *sorted(optional.items())]:
        shape = it["type"]
        if len(shape) > LONG_TYPE or "\n" in shape:
            shapes.append((name, shape))
            shape = f"{re.match(r'[a-z]+', shape)[0]}, below"
        else:
            shape = code(shape)
        default = code(json.dumps(it["default"], ensure_ascii=False)) if "default" in it else "required"
        lines.append(f"| `{name}` | {shape} | {default} | {cell(it['description'])} |")
    if not variables:
        lines = ["### Variables", "", "None."]
    for name, shape in shapes:
        lines += ["", f"`{name}`:", "", "```hcl", shape, "```"]
    lines += ["", "### Outputs", ""]
    if outputs:
        lines += ["| output | what |", "| --- | --- |"]
        for name, it in sorted(outputs.items()):
            hidden = " Sensitive." if it.get("sensitive") is True else ""
            lines.append(f"| `{name}` | {cell(it['description'])}{hidden} |")
    else:
        lines += ["None."]
    return "\n".join(lines)


def with_reference(module, reference):
    readme = module / "README.md"
    text = readme.read_text() if readme.exists() else f"# {module.name}\n\n{BEGIN}\n{END}\n"
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise Refused(f"{readme.relative_to(ROOT)} needs the lines {BEGIN} and {END}, once each")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{reference}\n{END}{rest.split(END)[1]}"


def written_type(source, variable):
    """The type with its lines, which the parser takes away. Goes by the indentation of `terraform fmt`."""
    block = re.search(rf'^variable "{variable}" {{\n(.*?)^}}', source, re.MULTILINE | re.DOTALL)
    found = block and re.search(r"^  type +=(.*?)(?=^  \S+ +=|^  \S+ {|^ *\n|\Z)", block[1], re.MULTILINE | re.DOTALL)
    return textwrap.dedent(f"  {found[1].strip()}").strip() if found else None


def code(text):
    return f"`{text}`".replace("|", "\\|")


def cell(text):
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    main()
