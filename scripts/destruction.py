"""What `destroy.sh` has to know and do that Terraform does not.

usage: destruction.py state <STATE
       destruction.py empty BUCKET
       destruction.py holds VALUES BUCKET COMMAND
       destruction.py drop_tables NAME VALUES

`state` prints, as shell variables, how many resources a state knows of, and its lake bucket. `empty` removes every version of
every object. `holds` fails when the bucket holds any that these values do not throw away. `drop_tables` drops the tables that
an environment has in the catalog of an emulator, with their files.
"""

import argparse
import json
import os
import shlex
import sys
from pathlib import Path

import botocore.exceptions

from deployment import CATALOG_SETTINGS, act, add, client, fail, read_json

AWS_ERRORS = (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    actions = parser.add_subparsers(required=True)
    add(actions, state)
    add(actions, empty, "bucket")
    add(actions, holds, "values", "bucket", "again")
    add(actions, drop_tables, "name", "values")
    act(parser)


def state(options):
    told = sys.stdin.read()
    resources = [each for each in (json.loads(told)["resources"] if told.strip() else []) if each["mode"] == "managed"]
    buckets = [each for each in resources if (each.get("module"), each["type"]) == ("module.storage", "aws_s3_bucket")]
    names = [instance["attributes"]["bucket"] for bucket in buckets for instance in bucket["instances"]]
    print(f"n_resources={len(resources)} lake_bucket={shlex.quote(names[0] if names else '')}")


def empty(options):
    s3 = client("s3")
    n_objects = 0
    try:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=options.bucket):
            found = page.get("Versions", []) + page.get("DeleteMarkers", [])
            objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
            if objects:
                answer = s3.delete_objects(Bucket=options.bucket, Delete={"Objects": objects, "Quiet": True})
                if errors := answer.get("Errors"):
                    fail(f"{len(errors)} objects of {options.bucket} stay: {errors[0]['Message']}", "who may delete them?")
            n_objects += len(objects)
    except AWS_ERRORS as error:
        if is_no_bucket(error):
            return
        fail(f"{options.bucket} cannot be emptied: {error}", "it takes s3:ListBucketVersions and s3:DeleteObjectVersion")
    print(f"removed {n_objects} versions of objects from {options.bucket}", file=sys.stderr)


def holds(options):
    storage = read_json(Path(options.values)).get("storage", {})
    if storage.get("force_destroy"):
        return
    try:
        found = client("s3").list_object_versions(Bucket=options.bucket, MaxKeys=1)
    except AWS_ERRORS as error:
        if is_no_bucket(error):
            return
        fail(f"{options.bucket} cannot be looked into: {error}", "it takes s3:ListBucketVersions")
    if found.get("Versions") or found.get("DeleteMarkers"):
        fail(f"the lake bucket {options.bucket} has objects, and this environment does not throw data away by itself: nothing was changed",
             f"{options.again} --empty")  # fmt: skip


def is_no_bucket(error):
    """A run before this one got so far."""
    return isinstance(error, botocore.exceptions.ClientError) and error.response["Error"]["Code"] == "NoSuchBucket"


def drop_tables(options):
    """Terraform made these no more than the catalog that they are in, so it does not take them away either."""
    values = read_json(Path(options.values))
    if not values.get("emulator") or values["storage"].get("catalog") != "rest":
        return
    from pyiceberg.catalog.rest import RestCatalog

    namespace = options.name.replace("-", "_")
    try:
        catalog = RestCatalog("calve", **catalog_of(values))
        if (namespace,) not in catalog.list_namespaces():
            return
        tables = catalog.list_tables(namespace)
        for table in tables:
            catalog.purge_table(table)
        catalog.drop_namespace(namespace)
    except Exception as error:  # Of HTTP, of JSON, of its own: what it raises is many things.
        print(f"the tables in {namespace} stay in the catalog, which cannot be asked to drop them: {str(error).splitlines()[0]}", file=sys.stderr)
        return
    print(f"dropped the tables in {namespace}, with their files: {', '.join('.'.join(table) for table in tables) or 'none'}", file=sys.stderr)


def catalog_of(values):
    """What leads commands on this machine to the catalog: the environment before what functions are told."""
    told = {}
    for setting, (module, group, attribute) in CATALOG_SETTINGS.items():
        told[setting] = os.environ.get(setting) or values.get(module, {}).get(group, {}).get(attribute)
    names = {"uri": "URI", "warehouse": "WAREHOUSE", "credential": "CREDENTIAL", "token": "TOKEN", "oauth2-server-uri": "OAUTH2_URI", "scope": "SCOPE"}
    return {ours: told[f"CALVE_CATALOG_{theirs}"] for ours, theirs in names.items() if told[f"CALVE_CATALOG_{theirs}"]}


if __name__ == "__main__":
    main()
