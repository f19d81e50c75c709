"""Checks infrastructure/, docker/, .github/ and the scripts: no network, no account, no engine.

usage: check_infrastructure.sh [CHECK …]     all, or those named, or all that begin so: `module`, `checkov`
       check_infrastructure.sh --write       all, and the table of infrastructure/README.md is written anew
       check_infrastructure.sh --list        their names

It ends with a table: what was checked, how much of it, how many seconds it took. It fails when a check fails, when
one had nothing to look at, or when infrastructure/README.md tells of other sums. An exception to a policy stands beside what it excuses, with its reason:
`#checkov:skip=ID:reason`, `#trivy:ignore:ID reason`, `# hadolint ignore=ID # reason`.
"""

import json
import os
import re
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from terraform_provider import Provider, ProviderMissing

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".venv-infra" / "bin"
KEPT = ROOT / ".calve" / "terraform"
INFRASTRUCTURE = Path("infrastructure")
STACK = INFRASTRUCTURE / "stack"
POLICED = [INFRASTRUCTURE, Path("docker"), Path(".github")]
# What Checkov looks at, by the name of the check: framework, folder, and the files of which it must know something to say.
# Modules with their defaults: called by the stack, what they get comes from files of values, which Checkov cannot follow.
CHECKOV = {
    "terraform": ("terraform", INFRASTRUCTURE / "modules", []),
    "github": ("terraform", INFRASTRUCTURE / "github", []),
    "dockerfile": ("dockerfile", Path("docker"), ["*/Dockerfile"]),
    "github_actions": ("github_actions", Path(".github"), ["workflows/*.yml"]),
}
EXCEPTION = re.compile(r"#\s*(checkov:skip=|trivy:ignore:|hadolint ignore=)([\w,-]+)[:\s#]*(.*)")
YAML_RULES = {
    "extends": "default",
    "rules": {
        "comments": {"min-spaces-from-content": 1},
        "document-start": "disable",
        "line-length": {"max": 120},
        "truthy": {"check-keys": False},
    },
}
README = INFRASTRUCTURE / "README.md"
# What its table says of the sums.
TOLD = {
    "resources": "blocks `resource` in modules, stack and GitHub's roles",
    "tests": "runs of `terraform test`",
    "policies passed": "policies that pass, by Checkov and Trivy",
    "exceptions, each with its reason": "exceptions from policies, each with its reason",
}
COUNTED = 64  # Characters of the table's widest column.
PROVIDER = Provider()


class Failed(Exception):
    """A check failed; says what its tool said."""


def main():
    os.chdir(ROOT)
    checks = all_checks()
    names = sys.argv[1:]
    if "--list" in names:
        print(*checks, sep="\n")
        return
    if "--help" in names or "-h" in names:
        print(__doc__.strip())
        return
    write = "--write" in names
    names = [name for name in names if name != "--write"]
    chosen = {name: check for name, check in checks.items() if not names or {name, name.split()[0]} & set(names)}
    known = {*checks, *(name.split()[0] for name in checks)}
    if unknown := sorted(set(names) - known):
        sys.exit(f"error: there is no check {', '.join(unknown)}\n\nhint: check_infrastructure.sh --list")
    begun = time.monotonic()
    try:
        rows = run(chosen)
    finally:
        PROVIDER.stop()
    print_table(rows, time.monotonic() - begun)
    if not names or "exceptions" in names:
        print_exceptions()
    failed = [name for name, (_, _, error) in rows.items() if error]
    if failed:
        sys.exit(f"error: failed: {', '.join(failed)}\n\nhint: the words of each stand above the table")
    if not names:
        hold_counts(README, sums(rows), write)


def all_checks():
    """By name, the long ones first."""
    checks = {f"checkov {name}": policies(*what) for name, what in CHECKOV.items()}
    checks |= {f"module {module.relative_to(INFRASTRUCTURE)}": terraform(module) for module in modules()}
    return checks | {
        "trivy": trivy,
        "format": terraform_format,
        "hcl": hcl,
        "wiring": wiring,
        "reference": reference,
        "hadolint": hadolint,
        "compose": compose,
        "actionlint": actionlint,
        "yamllint": yamllint,
        "shellcheck": shellcheck,
        "exceptions": exceptions,
    }


def run(checks):
    """As many at a time as there are processors; what a failed one said is printed at once."""
    done = {}
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        running = {pool.submit(timed, check): name for name, check in checks.items()}
        for finished in as_completed(running):
            name = running[finished]
            done[name] = finished.result()
            if error := done[name][2]:
                print(f"== {name}: FAILED\n{error.rstrip()}\n", flush=True)
    return {name: done[name] for name in checks}


def timed(check):
    begun, counts, error = time.monotonic(), [], None
    try:
        counts = check()
        if missing := [what for n, what in counts if n == 0 and not what.startswith("exception")]:
            error = f"there was nothing to look at: 0 {', 0 '.join(missing)}"
    except (Failed, ProviderMissing) as failure:
        error = str(failure)
    return counts, time.monotonic() - begun, error


# Terraform.


def modules():
    """Every folder of Terraform, which is checked as a module of its own."""
    found = {file.parent for file in files(INFRASTRUCTURE, "*.tf")}
    return sorted(found)


def terraform(module):
    def check():
        environment = of_module(module) | PROVIDER.attached(find_provider)
        here = ["scripts/terraform.sh", f"-chdir={module}"]
        call(*here, "init", "-backend=false", "-input=false", "-no-color", environment=environment)
        call(*here, "validate", "-no-color", environment=environment)
        said = call(*here, "test", "-no-color", environment=environment)
        passed = re.search(r"^Success! (\d+) passed", said, re.MULTILINE)
        text = "\n".join(file.read_text() for file in module.glob("*.tf"))
        counts = [(len(re.findall(rf'^{kind} "', text, re.MULTILINE)), f"{kind}s") for kind in ("resource", "module")]
        return [count for count in counts if count[0]] + [(int(passed[1]) if passed else 0, "tests")]

    return check


def of_module(module):
    data = KEPT / "data" / "_".join(module.relative_to(INFRASTRUCTURE).parts)
    return {"TF_DATA_DIR": str(data), "TF_IN_AUTOMATION": "1"}


def find_provider():
    """Installs the provider as the stack wants it, which calls every module and so has the wishes of all."""
    environment = of_module(STACK)
    call("scripts/terraform.sh", f"-chdir={STACK}", "init", "-backend=false", "-input=false", "-no-color",
         environment=environment)  # fmt: skip
    pattern = "providers/*/hashicorp/aws/*/*/terraform-provider-aws*"
    found = sorted(Path(environment["TF_DATA_DIR"]).glob(pattern))
    if len(found) != 1:
        raise ProviderMissing(f"{STACK} has {len(found)} AWS providers and not one")
    return found[0]


def terraform_format():
    names = [*files(INFRASTRUCTURE, "*.tf"), *files(INFRASTRUCTURE, "*.tftest.hcl")]
    call("scripts/terraform.sh", "fmt", "-check", "-recursive", "-diff", INFRASTRUCTURE)
    return [(len(names), "files")]


def hcl():
    """What Terraform's own `fmt` looks past: the files of Terragrunt. Two parsers, and the style."""
    import hcl2
    import pygohcl

    names = [file for file in files(INFRASTRUCTURE, "*.hcl") if not file.name.endswith(".tftest.hcl")]
    wrong = []
    for file in names:
        text = file.read_text()
        for parse in (pygohcl.loads, hcl2.loads):
            try:
                parse(text)
            except Exception as error:  # Each has its own kind.
                wrong.append(f"{file}: {parse.__module__}: {error}")
        try:
            call("scripts/terraform.sh", "fmt", "-check", "-diff", "-", stdin=text)
        except Failed as error:
            wrong.append(f"{file}: not as `terraform fmt` writes it\n{error}")
    if wrong:
        raise Failed("\n".join(wrong))
    return [(len(names), "files of Terragrunt")]


def wiring():
    said = call(sys.executable, "scripts/check_wiring.py")
    return [(int(n), what) for n, what in re.findall(r"(\d+) ([a-z]+(?: [a-z]+)*)", said)]


def reference():
    said = call(sys.executable, "scripts/terraform_reference.py", "--check")
    return [(int(n), what) for n, what in re.findall(r"(\d+) (\w+)", said)]


# Policies.


def policies(framework, path, patterns):
    def check():
        code, said, errors = answer(
            TOOLS / "checkov", "--directory", path, "--framework", framework, "--skip-download", "--compact",
            "--download-external-modules", "false", "--output", "json",
        )  # fmt: skip
        try:
            reports = json.loads(said)
        except ValueError:
            raise Failed(f"checkov answered with {code}:\n{errors}\n{said}") from None
        results = [report["results"] for report in (reports if isinstance(reports, list) else [reports]) if "results" in report]
        failed = [failure for result in results for failure in result["failed_checks"]]
        if failed or code:
            lines = {f"{place(it)}: {it['check_id']} {it['check_name']} ({it['resource']})" for it in failed}
            raise Failed("\n".join(sorted(lines)) or f"checkov answered with {code}:\n{errors}\n{said}")
        seen = {it["file_path"].lstrip("/") for result in results for kind in result.values() for it in kind if isinstance(it, dict)}
        wanted = {str(file.relative_to(path)) for pattern in patterns for file in path.glob(pattern)}
        broken = {str(file) for result in results for file in result.get("parsing_errors", [])}
        if unseen := sorted(wanted - seen | broken):
            raise Failed(f"checkov says nothing of {', '.join(unseen)}: it passes over what it cannot read")
        return [(sum(len(result["passed_checks"]) for result in results), "policies passed")]

    return check


def place(failure):
    return f"{failure['repo_file_path'].lstrip('/')}:{failure['file_line_range'][0]}"


def trivy():
    """Everything at once, as each start reads all policies."""
    n_passed, failed = 0, []
    for path in POLICED:
        if not path.exists():
            continue
        said = call(
            TOOLS / "trivy", "config", "--skip-check-update", "--skip-version-check", "--quiet", "--format", "json",
            "--cache-dir", ROOT / ".calve" / "trivy", path,
        )  # fmt: skip
        for result in json.loads(said).get("Results", []):
            n_passed += result.get("MisconfSummary", {}).get("Successes", 0)
            for it in result.get("Misconfigurations", []):
                if it["Status"] == "FAIL":
                    place = f"{path / result['Target']}:{it['CauseMetadata'].get('StartLine', 1)}"
                    failed.append(f"{place}: {it['ID']} {it['Severity']} {it['Message']}")
    if failed:
        raise Failed("\n".join(sorted(set(failed))))
    return [(n_passed, "policies passed")]


def exceptions():
    found = list(written_exceptions())
    if silent := [f"{place}: {policy}" for place, policy, reason in found if not reason]:
        raise Failed("exceptions without a reason:\n" + "\n".join(silent))
    return [(len(found), "exceptions, each with its reason")]


def written_exceptions():
    """Place, policy and reason of each. The reason stands behind it, or in the comment above it."""
    for file in [file for root in POLICED for file in files(root, "*") if file.is_file() and file.suffix != ".md"]:
        above = ""
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if found := EXCEPTION.search(line):
                above = found[3].strip() or above
                yield f"{file}:{number}", found[2], above
            else:
                above = line.strip().lstrip("#").strip() if line.strip().startswith("#") else ""


# Docker, workflows, scripts.


def hadolint():
    names = [file for file in files(Path("docker"), "*Dockerfile*") if file.suffix != ".dockerignore"]
    return over(names, "Dockerfiles", TOOLS / "hadolint")


def compose():
    """Accepted by Compose itself, which needs no engine to read."""
    program = [TOOLS / "docker-compose"] if (TOOLS / "docker-compose").exists() else ["docker", "compose"]
    n_services = n_files = 0
    for file in files(Path("docker"), "*compose*.y*ml"):
        said = call(*program, "--file", file, "config", "--format", "json")
        n_services += len(json.loads(said)["services"])
        n_files += 1
    return [(n_files, "files"), (n_services, "services")]


def actionlint():
    names = files(Path(".github/workflows"), "*.yml")
    return over(names, "workflows", TOOLS / "actionlint", "-shellcheck", TOOLS / "shellcheck")


def yamllint():
    names = [file for root in POLICED for kind in ("*.yml", "*.yaml") for file in files(root, kind)]
    return over(names, "files", TOOLS / "yamllint", "--strict", "--config-data", json.dumps(YAML_RULES))


def shellcheck():
    names = [*files(Path("scripts"), "*.sh"), *files(Path("docker"), "*.sh"), Path(".ci/run")]
    return over(names, "scripts", TOOLS / "shellcheck")


# Running and telling.


def files(root, pattern):
    return sorted(file for file in root.rglob(pattern) if ".terraform" not in file.parts) if root.exists() else []


def over(names, what, *command):
    """Runs a command over files; without any there is nothing to run, which `timed` complains of."""
    if names:
        call(*command, *names)
    return [(len(names), what)]


def call(*command, environment=None, stdin=None):
    """What a command prints. Raises `Failed` with all that it said."""
    code, said, errors = answer(*command, environment=environment, stdin=stdin)
    if code:
        raise Failed(f"{' '.join(map(str, command))}: {code}\n{said}{errors}")
    return said


def answer(*command, environment=None, stdin=None):
    path = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(word) for word in command],
        env=os.environ | {"PATH": path} | (environment or {}),
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def print_table(rows, seconds):
    wide = max(map(len, [*rows, "check"]))
    print(f"{'check':<{wide}}  {'counted':<{COUNTED}}  seconds")
    for name, (counts, took, error) in rows.items():
        said = "FAILED" if error else ", ".join(f"{n:,} {what}" for n, what in counts)
        for i, line in enumerate(textwrap.wrap(said, COUNTED) or [""]):
            print(f"{'' if i else name:<{wide}}  {line:<{COUNTED}}  {'' if i else f'{took:7.1f}'}".rstrip())
    print(f"{'all':<{wide}}  {', '.join(f'{n:,} {what}' for what, n in sums(rows).items()):<{COUNTED}}  {seconds:7.1f}")


def sums(rows):
    """Of what is counted by several checks, or told of in the README."""
    totals = {}
    for counts, _, _ in rows.values():
        for n, what in counts:
            if what in TOLD:
                totals[what] = totals.get(what, 0) + n
    return totals


def hold_counts(readme, totals, write):
    """The README's table of the sums is as they are, or is made so."""
    table = "\n".join(["| counted | by `check_infrastructure.sh` |", "| --- | ---: |", *(f"| {TOLD[what]} | {n:,} |" for what, n in totals.items())])
    text = readme.read_text()
    told = re.sub(r"(?<=<!-- counts:begin -->\n).*?(?=<!-- counts:end -->)", lambda _: f"{table}\n", text, flags=re.DOTALL)
    if told == text:
        return
    if not write:
        sys.exit(f"error: {readme} tells of other sums than were counted\n\nhint: check_infrastructure.sh --write")
    readme.write_text(told)
    print(f"wrote the table of {readme}")


def print_exceptions():
    print("\nexceptions")
    for place, policy, reason in written_exceptions():
        print(f"  {place}: {policy}: {reason}")


if __name__ == "__main__":
    main()
