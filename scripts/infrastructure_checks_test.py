"""Whether check_infrastructure.sh sees what it is there for: each fault alone, in a copy, has to be named.

usage: infrastructure_checks_test.py [WORD …]     the faults whose names hold one of the words
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infrastructure_checks import hold_counts

ROOT = Path(__file__).resolve().parent.parent
COPIED = ["infrastructure", "docker", ".github", "scripts", ".ci"]
MAIN = "infrastructure/modules/storage/main.tf"
VARIABLES = "infrastructure/modules/storage/variables.tf"
COMPOSE = "docker/localstack/docker-compose.yml"
DOCKERFILE = "docker/generator/Dockerfile"
WORKFLOW = ".github/workflows/test.yml"

# What is done to which file: old text, new text (old `None`: appended). Then the check, and words of its complaint.
FAULTS = {
    "a file not as fmt writes it": (MAIN, None, 'locals {\n  a = 1\n  long = 2\n}\n', "format", "+  a    = 1"),
    "a unit that does not parse": ("infrastructure/environments/root.hcl", None, "a = {\n", "hcl", "root.hcl"),
    "a variable that no table tells of": (VARIABLES, None, '\nvariable "new" {\n  description = "New."\n  type        = string\n}\n',
                                          "reference", "storage/README.md"),
    "a variable without a description": (VARIABLES, None, '\nvariable "new" {\n  type = string\n}\n', "reference", "has no description"),
    "a table that anybody may write to": (MAIN, None, '\nresource "aws_s3_bucket" "open" {\n  bucket = "x"\n}\n\nresource "aws_s3_bucket_acl" "open" {\n'
                                          '  bucket = aws_s3_bucket.open.id\n  acl    = "public-read-write"\n}\n', "trivy", "public"),
    "a bucket without versions": (MAIN, None, '\nresource "aws_s3_bucket" "open" {\n  bucket = "x"\n}\n', "checkov terraform", "CKV_AWS_21"),
    "a role that may do everything": ("infrastructure/github/main.tf", None, '\nresource "aws_iam_role_policy" "all" {\n  role   = "x"\n  policy = jsonencode('
                                      '{ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "*", Resource = "*" }] })\n}\n', "checkov github", "CKV_AWS_62"),
    "an exception without a reason": (MAIN, None, "\n#trivy:ignore:AVD-AWS-0001\n", "exceptions", "AVD-AWS-0001"),
    "an image without a tag": (DOCKERFILE, "debian:bookworm-20260824-slim", "debian", "hadolint", "DL3006"),
    "an image that runs as root": (DOCKERFILE, "USER 65534:65534", "USER root", "checkov dockerfile", "CKV_DOCKER_8"),
    "a word that Compose does not know": (COMPOSE, "    ports:", "    portz:", "compose", "portz"),
    "a workflow with a wrong input": (WORKFLOW, "cache: test", "cash: test", "actionlint", "cash"),
    "a workflow that may write everything": (WORKFLOW, "permissions: {}", "permissions: write-all", "checkov github_actions", "CKV2_GHA_1"),
    "a workflow that checkov passes over": (WORKFLOW, "permissions: {}", "permissions: []", "checkov github_actions", "says nothing of workflows/test.yml"),
    "a workflow that is no tidy YAML": (WORKFLOW, "jobs:", "jobs:  ", "yamllint", "trailing"),
    "a script with a slip": ("scripts/venv.sh", None, "\nrm -rf $HOME/$1\n", "shellcheck", "SC2086"),
    "nothing to check": ("docker/generator/Dockerfile", None, None, "hadolint", "0 Dockerfiles"),
}  # fmt: skip


def main():
    chosen = {name: fault for name, fault in FAULTS.items() if not sys.argv[1:] or any(word in name for word in sys.argv[1:])}
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        wrong = [answer for answer in pool.map(complaint, chosen, chosen.values()) if answer]
    if not sys.argv[1:] and (answer := complaint_of_sums()):
        wrong.append(answer)
    print(*wrong, sep="\n", end="\n" if wrong else "")
    print(f"{len(chosen) + (not sys.argv[1:]) - len(wrong)} passed, {len(wrong)} failed")
    sys.exit(bool(wrong) or not chosen)


def complaint_of_sums():
    """What is to be said of a README with other sums than were counted; nothing when that is seen, and mended if asked to."""
    with tempfile.TemporaryDirectory() as folder:
        readme = Path(folder) / "README.md"
        readme.write_text("before\n<!-- counts:begin -->\n| tests | 1 |\n<!-- counts:end -->\nafter\n")
        try:
            hold_counts(readme, {"tests": 2}, write=False)
            return "sums that are others: nothing is said"
        except SystemExit as error:
            if "tells of other sums" not in str(error):
                return f"sums that are others: {error}"
        hold_counts(readme, {"tests": 2}, write=True)
        hold_counts(readme, {"tests": 2}, write=False)
        return None if readme.read_text().startswith("before\n") and "after\n" in readme.read_text() else "sums that are others: the README is spoilt"


def complaint(name, fault):
    """What is to be said of one fault; nothing when the check named it."""
    file, old, new, check, words = fault
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for part in COPIED:
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns(".terraform*", "__pycache__"))
        (copy / ".git").mkdir()  # By which actionlint knows where a repository begins.
        (copy / ".venv-infra").symlink_to(ROOT / ".venv-infra")
        if new is None:
            for dockerfile in copy.glob("docker/*/Dockerfile"):
                dockerfile.unlink()
        else:
            text = (copy / file).read_text()
            if old is not None and old not in text:
                return f"{name}: {file} no longer holds `{old}`"
            (copy / file).write_text(text + new if old is None else text.replace(old, new, 1))
        done = subprocess.run(
            [copy / "scripts" / "check_infrastructure.sh", check], stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
    said = done.stdout + done.stderr
    if done.returncode == 0 or words not in said:
        return f"{name}: {check} ended with {done.returncode} and did not say `{words}`:\n{said}"
    return None


if __name__ == "__main__":
    main()
