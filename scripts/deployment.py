"""What `deploy.sh` and `destroy.sh` look at before Terraform starts, and what they say when it is done.

usage: deployment.py name ENVIRONMENT [--developer NAME]
       deployment.py prepare ENVIRONMENT [--developer NAME] [--values FILE]… [--deployed]
       deployment.py account ACCOUNT ENVIRONMENT
       deployment.py explain LOG COMMAND [--stopped]
       deployment.py tell OUTPUTS
       deployment.py target OUTPUTS queue|stream|url

`name` says what the environment is called in all names. `prepare` holds everything against the environment's values that
Terraform would find out late or say badly: the account, the packages of the functions, whether the endpoint answers. It makes
the bucket of the states when there is none, writes what Terraform needs to `.calve/deploy/NAME`, and prints shell variables.
With `--deployed` it makes nothing, and packages may be gone. `account` checks the account alone. `explain` says what to do
about the errors in a log of Terraform, with `--stopped` after Ctrl-C. `tell` prints what a person needs of Terraform's outputs.
`target` prints the options that make the generator send there.
"""

import argparse
import json
import os
import platform
import re
import shlex
import socket
import sys
import urllib.parse
import zipfile
from pathlib import Path

import botocore.exceptions
import botocore.parsers
import botocore.session

from orphans import orphans, plain
from package_function import NotPackable, architecture

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / "infrastructure" / "environments"
FUNCTIONS = ("ingest", "commit")
LOCALSTACK = "http://127.0.0.1:4566"
# The account of who names none, with LocalStack.
EMULATED_ACCOUNT = "000000000000"
# Settings of the functions that say where an emulator's catalog is, by their place in the values.
CATALOG_SETTINGS = {
    "CALVE_CATALOG_URI": ("storage", "rest", "uri"),
    "CALVE_CATALOG_WAREHOUSE": ("storage", "rest", "warehouse"),
    "CALVE_CATALOG_AUTH": ("storage", "rest", "auth"),
    "CALVE_CATALOG_OAUTH2_URI": ("storage", "rest", "oauth2_uri"),
    "CALVE_CATALOG_SCOPE": ("storage", "rest", "scope"),
    "CALVE_CATALOG_VENDED_CREDENTIALS": ("storage", "rest", "vended_credentials"),
    "CALVE_CATALOG_CREDENTIAL": ("compute", "extra_settings", "CALVE_CATALOG_CREDENTIAL"),
    "CALVE_CATALOG_TOKEN": ("compute", "extra_settings", "CALVE_CATALOG_TOKEN"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    actions = parser.add_subparsers(required=True)
    add(actions, name, "environment", developer=None)
    add(actions, prepare, "environment", developer=None, values="many", deployed="flag")
    add(actions, account, "account", "environment")
    add(actions, explain, "log", "command", stopped="flag")
    add(actions, tell, "outputs")
    add(actions, target, "outputs", "way")
    act(parser)


def add(actions, action, *positional, **named):
    parser = actions.add_parser(action.__name__)
    parser.set_defaults(action=action)
    for name in positional:
        parser.add_argument(name)
    for name, kind in named.items():
        how = {"flag": {"action": "store_true"}, "many": {"action": "append", "default": []}}.get(kind, {})
        parser.add_argument(f"--{name.replace('_', '-')}", **how)


def act(parser):
    options = parser.parse_args()
    try:
        options.action(options)
    except KeyboardInterrupt:
        sys.exit(130)


# Before Terraform.


def name(options):
    read_values(options.environment)
    print(name_of(options.environment, check_developer(options.environment, options.developer)))


def name_of(environment, developer):
    return f"{environment}-{developer}" if developer else environment


def deploy_command(environment, developer):
    return f"scripts/deploy.sh {environment}" + (f" --developer {developer}" if developer else "")


def prepare(options):
    values = read_values(options.environment)
    developer = check_developer(options.environment, options.developer)
    exports = {}
    if emulated(options.environment):
        values, exports = for_emulator(options.environment, values)
    for path in options.values:
        if not Path(path).exists():
            fail(f"there is no {path}, which was to stand above the values of {options.environment}", "--values with a file of JSON that is there")
        merge(values, read_json(Path(path)))
    values["developer"] = developer
    region = values["region"]
    exports |= {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
    os.environ.update(exports)

    values["account_id"] = check_account(values["account_id"], options.environment, values.get("emulator", False))
    if not options.deployed:
        check_packages(values)
    bucket = f"calve-tfstate-{values['account_id']}-{region}"
    # Its name can be guessed: nothing is kept in somebody else's.
    owner = {} if values.get("emulator") else {"ExpectedBucketOwner": values["account_id"]}
    make_state_bucket(bucket, region, owner, options.deployed and deploy_command(options.environment, developer))

    name = name_of(options.environment, developer)
    folder = ROOT / ".calve" / "deploy" / name
    folder.mkdir(parents=True, exist_ok=True)
    # The values may hold the credential of an emulator's catalog.
    folder.chmod(0o700)
    write_json(folder / "values.tfvars.json", values)
    write_json(folder / "backend.tfbackend.json", backend(bucket, name, values))
    exports |= {"name": name, "folder": str(folder)}
    exports |= {key: str(values.get(key, False)).lower() for key in ("protected", "emulator")}
    for key, value in exports.items():
        print(f"export {key}={shlex.quote(value)}")


def read_values(environment):
    path = ENVIRONMENTS / environment / "values.json"
    if not re.fullmatch("[a-z0-9]+", environment) or not path.exists():
        there = ", ".join(sorted(each.parent.name for each in ENVIRONMENTS.glob("*/values.json")))
        fail(f"there is no environment `{environment}`", f"there are {there}; each is a folder of {shown(ENVIRONMENTS)}")
    values = read_json(path)
    if str(values.get("region")).startswith("cn-"):
        fail(f"{values['region']} is a region of AWS China, which is not supported", f"set another region in {shown(path)}")
    return values


def read_json(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        fail(f"{shown(path)} cannot be read: {error}", "it has to be a JSON object, as in the other environments")


def check_developer(environment, developer):
    if environment == "dev":
        developer = developer or os.environ.get("CALVE_DEVELOPER") or None
        if developer is None:
            fail("environment dev is shared, and nobody says whose system it is", "--developer NAME, or CALVE_DEVELOPER=NAME")
    # As infrastructure/stack wants it; here it becomes the name of a folder before.
    if developer is not None and not re.fullmatch("[a-z][a-z0-9-]{0,18}[a-z0-9]", developer):
        fail(f"`{developer}` is no name of a developer", "2 to 20 lower-case letters, digits and hyphens, the first one a letter")
    return developer


def emulated(environment):
    return environment == "local" or bool(os.environ.get("AWS_ENDPOINT_URL"))


def for_emulator(environment, values):
    """The values as something that plays AWS can take them, and the variables by which all find it."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL") or LOCALSTACK
    check_answers(endpoint)
    if not values.get("emulator"):
        # A catalog on the internet is no neighbour of an emulator's.
        values.get("storage", {}).pop("rest", None)
        merge(values, read_json(ENVIRONMENTS / "emulator.json"))
    # Functions run on this machine there.
    machine = platform.machine().replace("aarch64", "arm64").replace("AMD64", "x86_64")
    merge(values, {"compute": {"architecture": machine}})
    for setting, (module, group, attribute) in CATALOG_SETTINGS.items():
        # In containers functions reach the catalog by another name than commands on this machine.
        given = os.environ.get(setting.replace("CALVE_", "CALVE_LOCAL_", 1)) or os.environ.get(setting)
        if given:
            merge(values, {module: {group: {attribute: given}}})
    exports = {"AWS_ENDPOINT_URL": endpoint}
    if "AWS_ACCESS_KEY_ID" not in os.environ:
        exports |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        os.environ.pop("AWS_PROFILE", None)
    return values, exports


def check_answers(endpoint):
    parts = urllib.parse.urlsplit(endpoint)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), timeout=5).close()
    except (OSError, ValueError) as error:
        fail(f"nothing that plays AWS answers at {endpoint}: {error}",
             "scripts/localstack.sh up   (or AWS_ENDPOINT_URL=http://HOST:PORT, where it runs)")  # fmt: skip


def check_account(wanted, environment, emulator):
    """The account of the credentials, when it is that of the environment."""
    try:
        found = client("sts").get_caller_identity()["Account"]
    except (botocore.parsers.ResponseParserError, KeyError, TypeError):
        not_aws("its answer cannot be read")
    except botocore.exceptions.BotoCoreError as error:
        if isinstance(error, botocore.exceptions.HTTPClientError) and os.environ.get("AWS_ENDPOINT_URL"):
            not_aws(error)
        fail(f"AWS cannot be asked whose credentials these are: {error}",
             "aws sso login --profile NAME && export AWS_PROFILE=NAME   (or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)")  # fmt: skip
    except botocore.exceptions.ClientError as error:
        if os.environ.get("AWS_ENDPOINT_URL") and not error.response["Error"].get("Message"):
            not_aws(f"it answers with {error.response['ResponseMetadata']['HTTPStatusCode']}")
        fail(f"AWS does not take the credentials: {error}", "aws sso login --profile NAME && export AWS_PROFILE=NAME")
    if found != wanted and not (emulator and found == EMULATED_ACCOUNT):
        path = shown(ENVIRONMENTS / environment / "values.json")
        fail(f"the credentials are of account {found}, and environment {environment} is in {wanted}",
             f"export AWS_PROFILE=… of {wanted}; or, when {found} is right, set account_id in {path}")  # fmt: skip
    return found


def not_aws(reason):
    fail(f"what answers at {os.environ.get('AWS_ENDPOINT_URL', 'the endpoint')} is not AWS, nor plays it: {reason}",
         "end it and scripts/localstack.sh up, or leave it the port: scripts/localstack.sh up --port 14566 && eval \"$(scripts/localstack.sh env)\"")  # fmt: skip


def account(options):
    values = read_values(options.environment)
    os.environ.setdefault("AWS_DEFAULT_REGION", values["region"])
    check_account(options.account, options.environment, values.get("emulator", False))


def check_packages(values):
    compute = values.get("compute", {})
    wanted = compute.get("architecture", "arm64")
    folder = Path(values.get("packages") or ROOT / "target" / "lambda" / wanted)
    build = f"scripts/build.sh --arch {wanted}"
    if values.get("emulator"):
        build = "scripts/build.sh --profile quick"
    for function in FUNCTIONS:
        package, manifest = folder / f"{function}.zip", folder / f"{function}.json"
        if not package.exists() or not manifest.exists():
            fail(f"{function} is not built for {wanted}: there is no {shown(package)}", build)
        try:
            with zipfile.ZipFile(package) as archive, archive.open("bootstrap") as binary:
                found = architecture(binary.read(64))
        except (zipfile.BadZipFile, KeyError, NotPackable) as error:
            fail(f"{shown(package)} is no package of a function: {error}", build)
        if found != wanted or json.loads(manifest.read_text())["architecture"] != wanted:
            fail(f"{shown(package)} is built for {found}, and the functions run on {wanted}", build)


def make_state_bucket(bucket, region, owner, deploys):
    """Makes the bucket of the states, or ends what was begun: nothing of it may be public, and all of it has versions.

    Without one nothing can have been deployed; `deploys` is the command that would, for those who want it deployed.
    """
    s3 = client("s3")
    try:
        if not exists(s3, bucket, owner):
            if deploys:
                fail(f"nothing is deployed there: there is no {bucket}, which keeps the states", deploys)
            where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
            s3.create_bucket(Bucket=bucket, **where)
            print(f"made {bucket}, which keeps the states of Terraform", file=sys.stderr)
        if s3.get_bucket_versioning(Bucket=bucket, **owner).get("Status") == "Enabled":
            return
        yes = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        s3.put_public_access_block(Bucket=bucket, **owner, PublicAccessBlockConfiguration=dict.fromkeys(yes, True))
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        s3.put_bucket_encryption(Bucket=bucket, **owner, ServerSideEncryptionConfiguration={"Rules": [rule]})
        # The last one, so that it tells that the others are there.
        s3.put_bucket_versioning(Bucket=bucket, **owner, VersioningConfiguration={"Status": "Enabled"})
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        fail(f"the bucket {bucket}, which keeps the states of Terraform, cannot be made ready: {error}",
             "it takes s3:CreateBucket, s3:PutBucket* and s3:GetBucketVersioning, once")  # fmt: skip


def exists(s3, bucket, owner):
    try:
        s3.head_bucket(Bucket=bucket, **owner)
        return True
    except botocore.exceptions.ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return False
        raise


def backend(bucket, name, values):
    settings = {
        "bucket": bucket,
        "key": f"stack/{name}/terraform.tfstate",
        "region": values["region"],
        "encrypt": True,
        "use_lockfile": True,
        "allowed_account_ids": [values["account_id"]],
    }
    if values.get("emulator"):
        settings |= {"use_path_style": True, "skip_metadata_api_check": True}
    return settings


# After it.


def explain(options):
    """Says which command mends what a log of Terraform complains about, if we know one."""
    log = plain(Path(options.log).read_text(errors="replace"))
    again = options.command
    if "Error acquiring the state lock" in log:
        lock = dict(re.findall(r"^\s*(ID|Who):\s+(\S+)", log, re.MULTILINE)) or held_lock(Path(options.log).parent)
        if "ID" not in lock:
            fail("the state was locked by another run, and is not any more", again)
        fail(f"the state is locked by {lock.get('Who', 'somebody')}: another run works on it, or one was cut off",
             f"when no other is at work: {again} --unlock {lock['ID']}")  # fmt: skip
    if "Error: Failed to load state" in log or "NoSuchBucket" in log:
        fail("the state cannot be read", f"rm -rf .calve/deploy, then {again}")
    if "BucketNotEmpty" in log:
        fail("the lake bucket has objects, and this environment does not throw data away by itself", f"{again} --empty")
    if re.search("prevent_destroy|Instance cannot be destroyed", log):
        fail("what is protected would be destroyed or replaced", "the README of infrastructure/modules/storage says how protection is taken off")
    if found := orphans(log):
        fail(f"{len(found)} things are there that the state does not know: another run was killed before it wrote them down",
             f"when nobody else made them: {again} --take-over")  # fmt: skip
    if options.stopped:
        stopped(log, again)
    fail("Terraform did not get to the end; its own words stand above", f"mend what they name; what was made stays, and {again} goes on from there")


def held_lock(folder):
    """Of whom the lock of the state is, when there is one: Terraform does not always say."""
    settings = read_json(folder / "backend.tfbackend.json")
    try:
        return json.load(client("s3").get_object(Bucket=settings["bucket"], Key=f"{settings['key']}.tflock")["Body"])
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, ValueError):
        return {}


def stopped(log, again):
    """What the second Ctrl-C leaves behind, Terraform itself does not know."""
    if "Two interrupts received" in log:
        print(f"error: Terraform was stopped twice, and did not write down all that it made\n\nhint: {again} says what is left", file=sys.stderr)
    else:
        print(f"error: stopped; what was made until then is written down\n\nhint: {again} goes on from there", file=sys.stderr)
    sys.exit(130)


def read_outputs(path):
    outputs = {name: output["value"] for name, output in json.loads(Path(path).read_text()).items()}
    if "events_queue_url" not in outputs:
        values = read_json(Path(path).with_name("values.tfvars.json"))
        fail("nothing is deployed there", deploy_command(values["environment"], values["developer"]))
    return {"function_url": None, "http_api_url": None, "stream_name": None, "topic_arn": None} | outputs


def target(options):
    """Prints what the generator has to be told, as words of a shell."""
    outputs = read_outputs(options.outputs)
    words = {
        "queue": ["--to", f"sqs:{outputs['events_queue_url']}"],
        "stream": outputs["stream_name"] and ["--to", f"kinesis:{outputs['stream_name']}"],
        "url": outputs["function_url"] and ["--to", outputs["function_url"]],
    }[options.way]
    if not words:
        missing, where = {"stream": ("Kinesis stream", "kinesis of queues"), "url": ("Function URL", "function_url of compute")}[options.way]
        fail(f"{outputs['name']} has no {missing}", f"set {where} in its values.json, and scripts/deploy.sh again")
    if options.way == "url" and outputs["function_url_auth"] == "iam":
        words += ["--sign", "lambda"]
    print(shlex.join(words))


def tell(options):
    outputs = read_outputs(options.outputs)
    lines = {
        "events queue": outputs["events_queue_url"],
        "function URL": outputs["function_url"] and f"{outputs['function_url']} ({outputs['function_url_auth']})",
        "HTTP API": outputs["http_api_url"],
        "stream": outputs["stream_name"],
        "table": outputs["table"],
        "warehouse": outputs["warehouse"],
        "dashboard": outputs["dashboard_name"],
        "alarms go to": outputs["topic_arn"],
    }
    print(f"\n{outputs['name']} is deployed in {outputs['region']}\n")
    for what, value in lines.items():
        if value:
            print(f"{what:<14} {value}")
    print(f"\nfirst events   {outputs['first_command']}")


# Small things.


def client(service):
    emulated_s3 = {"s3": {"addressing_style": "path"}} if os.environ.get("AWS_ENDPOINT_URL") else {}
    config = botocore.config.Config(connect_timeout=5, retries={"max_attempts": 3}, **emulated_s3)
    return botocore.session.get_session().create_client(service, config=config)


def merge(values, others):
    """Puts what `others` say over `values`, object by object."""
    for key, value in others.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            merge(values[key], value)
        else:
            values[key] = value


def write_json(path, content):
    path.write_text(json.dumps(content, indent=2) + "\n")


def shown(path):
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def fail(message, hint):
    sys.exit(f"error: {message}\n\nhint: {hint}")


if __name__ == "__main__":
    main()
