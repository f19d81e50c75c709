"""Gives deploy.sh, destroy.sh and the others what goes wrong for a user, and holds what they say against what helps.

usage: servers.py run --with localstack -- python tests/cloud/refusals.py

Each case runs in a copy of scripts and infrastructure, with packages that hold no program, and has to end with 1 and say
`error:` with what is wrong and `hint:` with the command that mends it; a few ask for what is no mistake, and have to end with 0.
Nothing is deployed.
"""

import contextlib
import http.server
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import botocore.session

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from package_function import package  # noqa: E402

HERE = {"x86_64": ("x86_64", 62), "aarch64": ("arm64", 183), "arm64": ("arm64", 183)}[platform.machine()]
STRANGER = ("arm64", 183) if HERE[0] == "x86_64" else ("x86_64", 62)
STATES, STATE = "calve-tfstate-000000000000-us-east-1", "stack/local/terraform.tfstate"
LOCK = "1b2c3d4e-0000-4000-8000-123456789abc"
NO_KEYS = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL": None}


def main():
    with tempfile.TemporaryDirectory(prefix="calve-refusals-") as work:
        desk = Desk(Path(work))
        failed = 0
        cases = all_cases(desk)
        for name, case in cases.items():
            problem = case()
            failed += problem is not None
            print(f"{name}: {problem or 'as it should be'}", flush=True)
        print(f"{len(cases)} cases, {failed} failed")
        sys.exit(bool(failed))


def all_cases(desk):
    run = desk.expects
    deploy, destroy, local = "scripts/deploy.sh", "scripts/destroy.sh", ("local", "--yes")
    return {
        "no environment": run(["no environment is named", "deploy.sh --help"], deploy),
        "an option that is none": run(["--force is not an option", "--help"], deploy, "local", "--force"),
        "an environment that is none": run(["there is no environment `nowhere`", "dev, int, local, prod"], deploy, "nowhere", "--yes"),
        "nobody to be asked": run(["nobody is there to be asked", "deploy.sh local --yes"], deploy, "local"),
        "nobody to be asked of what is none": run(["there is no environment `prdo`", "dev, int, local, prod"], deploy, "prdo"),
        "nobody to be asked, nor a developer": run(["environment dev is shared", "--developer NAME"], deploy, "dev"),
        "two things at once": run(["--plan and --check are two things to do", "--help"], deploy, "local", "--plan", "--check"),
        "values that are not there": run(["there is no nowhere.json, which was to stand above", "--values"],
                                         deploy, *local, "--values", "nowhere.json"),
        "dev without a developer": run(["environment dev is shared", "--developer NAME"], deploy, "dev", "--yes"),
        "nothing at the endpoint": run(["nothing that plays AWS answers at http://127.0.0.1:1", "scripts/localstack.sh up"],
                                       deploy, *local, AWS_ENDPOINT_URL="http://127.0.0.1:1"),
        "no AWS at the endpoint": desk.with_website(lambda url: run(
            [f"what answers at {url} is not AWS", "scripts/localstack.sh up"], deploy, *local, AWS_ENDPOINT_URL=url)),
        "no AWS at the endpoint, for the generator": desk.with_website(lambda url: run(
            [f"what answers at {url} is not AWS", "scripts/localstack.sh up"], "scripts/run_mock_generator.sh", AWS_ENDPOINT_URL=url)),
        "nobody who speaks HTTP at the endpoint": desk.with_listener(lambda url: run(
            [f"what answers at {url} is not AWS", "scripts/localstack.sh up"], destroy, *local, AWS_ENDPOINT_URL=url)),
        "no credentials": run(["Unable to locate credentials", "aws sso login"], deploy, "int", "--yes", **NO_KEYS),
        "another account": run(["credentials are of account 999999999999, and environment local is in 000000000000", "AWS_PROFILE"],
                               deploy, *local, AWS_ACCESS_KEY_ID="999999999999"),
        "another account, asked by Terragrunt": run(["credentials are of account 999999999999", "AWS_PROFILE"],
                                                    "scripts/check_account.sh", "000000000000", "local", AWS_ACCESS_KEY_ID="999999999999"),
        "Terraform is not there": run(["`no-terraform` is not installed", "developer.hashicorp.com"], deploy, *local, TERRAFORM="no-terraform"),
        "Terraform is old": run(["is 1.9.8, older than 1.10", "install a newer one"], deploy, *local, TERRAFORM=desk.terraform("1.9.8")),
        "the provider is not to be had": run(["hashicorp/aws 5.100.0 cannot be had", "terraform providers mirror"],
                                             deploy, *local, TERRAFORM=desk.terraform("1.11.4"), PATH=desk.path_without_mirrors()),
        "not built": desk.with_packages(None, run(["ingest is not built", "scripts/build.sh --profile quick"], deploy, *local)),
        "built for another processor": desk.with_packages(STRANGER[1], run(
            [f"is built for {STRANGER[0]}, and the functions run on {HERE[0]}", "scripts/build.sh"], deploy, *local)),
        "no package at all": desk.with_file(f"target/lambda/{HERE[0]}/commit.zip", "no zip", run(
            ["commit.zip is no package of a function", "scripts/build.sh"], deploy, *local)),
        "values that are no JSON": desk.with_file("infrastructure/environments/local/values.json", "{", run(
            ["values.json cannot be read", "JSON object"], deploy, *local)),
        "a region of AWS China": desk.with_file("infrastructure/environments/local/values.json", '{"region": "cn-north-1"}', run(
            ["cn-north-1 is a region of AWS China, which is not supported", "set another region"], deploy, *local)),
        "values that no module takes": run(["katalog", "scripts/deploy.sh local"], deploy, "local", "--plan",
                                           "--values", desk.file("katalog.json", '{"storage": {"katalog": "glue"}}')),
        "another plan than was approved": run(
            ["and another was approved, 0123abcd: nothing was changed", "--plan, and approve what it says"], deploy, "local", "--approved", "0123abcd",
            "--values", desk.file("no-network.json", '{"networking": {"enabled": false}}')),
        "approved, and not what": run(["--approved needs a value", "--help"], deploy, "local", "--approved"),
        "a lock that was left behind": desk.with_lock(run(
            ["the state is locked by somebody@else", f"scripts/deploy.sh local --unlock {LOCK}"], deploy, "local", "--plan")),
        "a lock that Terraform does not tell of": desk.with_lock(desk.explains(
            "Error acquiring the state lock", ["the state is locked by somebody@else", f"--unlock {LOCK}"])),
        "a lock that is gone": desk.explains(
            "Error acquiring the state lock: 412", ["was locked by another run, and is not any more", "scripts/deploy.sh local"]),
        "an ID as it stands in the help": run(["`ID` is not the ID of a lock", "scripts/deploy.sh local says it"], deploy, "local", "--unlock", "ID"),
        "and for what is destroyed": run(["`ID` is not the ID of a lock", "scripts/destroy.sh local says it"], destroy, "local", "--unlock", "ID"),
        "what a killed run had made": desk.explains(
            "creating IAM Role (calve-local-commit): EntityAlreadyExists: Role with name calve-local-commit already exists.",
            ["1 things are there that the state does not know", "scripts/deploy.sh local --take-over"]),
        "a bucket with objects": desk.explains(
            "deleting S3 Bucket (calve-int-lake-1): BucketNotEmpty", ["does not throw data away by itself", "--empty"]),
        "what is protected": desk.explains(
            "Instance cannot be destroyed", ["what is protected would be destroyed", "how protection is taken off"]),
        "prod without its name": run(["nobody is there to type its name", "destroy.sh prod --name prod"], destroy, "prod", "--yes"),
        "prod by another name": run(["`proud` is not prod: nothing was changed", "--name prod"], destroy, "prod", "--name", "proud"),
        "the lake bucket of prod": run(["the lake bucket of prod is protected"], destroy, "prod", "--name", "prod", "--empty"),
        "destroyed without a word": run(["nobody is there to be asked", "destroy.sh local --yes"], destroy, "local"),
        "destroyed twice": run(["local is gone"], destroy, *local, code=0),
        "emptied and destroyed twice": run(["local is gone"], destroy, *local, "--empty", code=0),
        "events for what is not deployed": run(["nothing is deployed there", "hint: scripts/deploy.sh local\n"], "scripts/run_mock_generator.sh"),
        "a way in that is none": run(["there is no way in called `pigeon`", "--help"], "scripts/run_mock_generator.sh", "--to", "pigeon"),
        "a run with what is none": run(["there is no `--with localstak`", "scripts/run.sh --help"], "scripts/run.sh", "--with", "localstak"),
        "a run without Terraform": run(["`no-terraform` is not installed", "developer.hashicorp.com"],
                                       "scripts/run.sh", "--with", "localstack", TERRAFORM="no-terraform"),
        "a run without npm": run(["`npm` is not installed", "install Node"],
                                 "scripts/run.sh", "--with", "aws", PATH=desk.path_without("npm")),
        "a fault that is none": run(["--faults is not an option", "scripts/faults.sh --help"], "scripts/faults.sh", "--faults"),
        "help about faults": run(["usage: scripts/faults.sh"], "scripts/faults.sh", "--help", code=0),
        "help about tests": run(["usage: scripts/test.sh"], "scripts/test.sh", "--help", code=0),
        "a test that is none": run(["--short is not an option", "scripts/test.sh --help"], "scripts/test.sh", "--short"),
        "a port that is taken": desk.with_listener(lambda url: run(
            [f"port {url.rsplit(':', 1)[1]} is taken by ", f"process {os.getpid()}", "scripts/localstack.sh up --port N"],
            "scripts/localstack.sh", "up", "--host", "--port", url.rsplit(":", 1)[1])),
        "a processor that is none": run(["there is no architecture `sparc`", "--help"], "scripts/build.sh", "--arch", "sparc"),
        "quick for another processor": run(["the Rust target", "is not installed", "rustup target add"], "scripts/build.sh",
                                           "--profile", "quick", "--arch", STRANGER[0], RUSTC=desk.program("rustc", "echo /nowhere")),
        "quick, not built": run(["quick/ingest is not built", "cargo build --profile quick"], "scripts/build.sh", "--profile", "quick"),
        "a target that Rust lacks": run(["the Rust target aarch64-unknown-linux-gnu is not installed", "rustup target add"],
                                        "scripts/build.sh", RUSTC=desk.program("rustc", "echo /nowhere")),
    }  # fmt: skip


class Website(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_words):
        pass


class Desk:
    """A copy of what the scripts need, in which they may write."""

    def __init__(self, folder):
        self.root = folder / "calve"
        ignored = shutil.ignore_patterns(".terraform*", "__pycache__")
        for part in ("scripts", "infrastructure"):
            shutil.copytree(ROOT / part, self.root / part, ignore=ignored)
        (self.root / ".venv").symlink_to(ROOT / ".venv")
        kept = ROOT / ".calve" / "terraform"
        if (kept / "mirror").exists():
            # What takes half a minute to find is found already.
            (self.root / ".calve" / "terraform").mkdir(parents=True)
            for name in ("mirror", "mirror.tfrc"):
                shutil.copy(kept / name, self.root / ".calve" / "terraform" / name)
        self.programs = folder / "programs"
        self.programs.mkdir()
        self.files = folder
        self.pack(HERE[1])
        self.session = botocore.session.get_session()
        for name in (STATES, STATES.replace("us-east-1", "eu-central-1")):
            self.s3().create_bucket(Bucket=name)

    def s3(self):
        return self.session.create_client(
            "s3", region_name="us-east-1", endpoint_url=os.environ["CALVE_TEST_AWS_ENDPOINT"],
            aws_access_key_id="test", aws_secret_access_key="test",
            config=botocore.config.Config(s3={"addressing_style": "path"}),
        )  # fmt: skip

    def variables(self, changed):
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CALVE_", "TF_", "CARGO_"))}
        ours |= {"AWS_ENDPOINT_URL": os.environ["CALVE_TEST_AWS_ENDPOINT"], "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        return {name: str(value) for name, value in (ours | changed).items() if value is not None}

    def expects(self, parts, *command, code=1, **changed):
        """A case: runs the command, and returns what is not as it should be."""

        def case():
            done = subprocess.run(
                [str(word) for word in command], cwd=self.root, env=self.variables(changed), text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
            )  # fmt: skip
            said = done.stdout
            missing = [part for part in (*(("error: ", "\nhint: ") if code else ()), *parts) if part not in said]
            if done.returncode != code:
                return f"it ended with {done.returncode}:\n{said}"
            if "Traceback" in said:
                return f"it broke down:\n{said}"
            return f"it does not say {missing}, but:\n{said}" if missing else None

        return case

    def explains(self, words, parts):
        """A case: what is said when Terraform ends with these words."""
        folder = self.files / f"explained-{len(words)}"
        folder.mkdir()
        log = self.file(folder / "errors.log", f"╷\n│ Error: {words}\n│ \n│   with module.x.aws_thing.this,\n│   on main.tf line 1\n╵\n")
        self.file(folder / "backend.tfbackend.json", json.dumps({"bucket": STATES, "key": STATE}))
        return self.expects(parts, ".venv/bin/python", "scripts/deployment.py", "explain", log, "scripts/deploy.sh local", AWS_DEFAULT_REGION="us-east-1")

    # What a case needs.

    def file(self, name, content):
        path = self.files / name
        path.write_text(content)
        return path

    def program(self, name, body):
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    def terraform(self, version):
        """One that knows its version, and cannot get a provider."""
        told = json.dumps({"terraform_version": version, "platform": "linux_none"}, indent=2)
        return self.program(f"terraform-{version}", f"""case "$*" in
  *version*) echo '{told}' ;;
  *) echo 'Error: Failed to query available provider packages' >&2; exit 1 ;;
esac""")

    def path_without_mirrors(self):
        self.program("find", "exit 0")
        return f"{self.programs}:{os.environ['PATH']}"

    def path_without(self, program):
        """All that this machine has, but for one program."""
        folder = self.files / f"without-{program}"
        if not folder.exists():
            folder.mkdir()
            for place in map(Path, os.environ["PATH"].split(os.pathsep)):
                for file in place.iterdir() if place.is_dir() else []:
                    if file.name != program and not (folder / file.name).is_symlink():
                        (folder / file.name).symlink_to(file)
        return folder

    def with_file(self, name, content, case):
        path = self.root / name
        return lambda: self.while_changed(path, lambda: path.write_text(content), case)

    def with_packages(self, machine, case):
        folder = self.root / "target" / "lambda"

        def changed():
            found = folder.with_name("lambda-aside")
            folder.rename(found)
            try:
                if machine is not None:
                    self.pack(machine)
                return case()
            finally:
                shutil.rmtree(folder, ignore_errors=True)
                found.rename(folder)

        return changed

    def with_lock(self, case):
        """The state as a run leaves it that was killed."""
        lock = {"ID": LOCK, "Operation": "OperationTypeApply", "Who": "somebody@else", "Version": "1.11.4", "Path": "there"}
        key = f"{STATE}.tflock"

        def locked():
            self.s3().put_object(Bucket=STATES, Key=key, Body=json.dumps(lock).encode())
            try:
                return case()
            finally:
                self.s3().delete_object(Bucket=STATES, Key=key)

        return locked

    def with_website(self, case_of):
        """What answers there is an ordinary web server."""

        def served():
            with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Website) as server:
                threading.Thread(target=server.serve_forever, daemon=True).start()
                try:
                    return case_of(f"http://127.0.0.1:{server.server_port}")()
                finally:
                    server.shutdown()

        return served

    def with_listener(self, case_of):
        """What answers there hangs up at once."""

        def hang_up(listener):
            with contextlib.suppress(OSError):
                while True:
                    listener.accept()[0].close()

        def listened():
            with socket.create_server(("127.0.0.1", 0)) as listener:
                threading.Thread(target=hang_up, args=(listener,), daemon=True).start()
                return case_of(f"http://127.0.0.1:{listener.getsockname()[1]}")()

        return listened

    def while_changed(self, path, change, case):
        before = path.read_bytes()
        try:
            change()
            return case()
        finally:
            path.write_bytes(before)

    def pack(self, machine):
        """Packages for this machine's folder, whatever they are built for."""
        header = bytearray(64)
        header[:6] = b"\x7fELF\x02\x01"
        header[18] = machine
        binary = self.file("bootstrap", "")
        binary.write_bytes(header)
        folder = self.root / "target" / "lambda" / HERE[0]
        folder.mkdir(parents=True, exist_ok=True)
        for function in ("ingest", "commit"):
            package(function, binary, folder)


if __name__ == "__main__":
    main()
