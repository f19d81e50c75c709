#!/usr/bin/env bash
# Destroys what deploy.sh made. What is protected stays.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'USAGE'
Destroys what deploy.sh made. What is protected stays.

usage: scripts/destroy.sh ENVIRONMENT [--developer NAME] [--values FILE] [--name NAME] [--yes] [--empty] [--unlock ID]

  --developer NAME  whose system it is, where several share an environment; in dev also CALVE_DEVELOPER
  --values FILE     JSON that stands above the environment's values.json, as for deploy.sh
  --name NAME       the name of the environment once more, for one that is protected; else it is asked for
  --yes             do not ask, where nothing is protected
  --empty           remove what is in the lake bucket first. Never where it is protected
  --unlock ID       take away the lock of a run that was cut off; the error that tells of the lock has its ID

Of a protected environment (prod) functions, HTTP API, alarms, logs and network go. Lake bucket, catalog, queues and stream stay
with all that they hold; deploy.sh builds the rest around them again, with another Function URL and another URL of the
HTTP API. The lake bucket of prod is never deleted by this.

Tables go with what holds them: a Glue database takes its tables along, and in the catalog of an emulator (`local`) they are
dropped with their files. In a REST catalog elsewhere they stay.
USAGE
}

# shellcheck source=scripts/deployment.sh
source scripts/deployment.sh

# All but what holds data. The HTTP API is with the queues and holds none: left behind it would take events that nobody reads,
# with no alarm to tell. What depends on these (stage, route, integration, policy) goes with them.
readonly unprotected=(
  -target=module.compute -target=module.observability -target=module.networking
  -target=module.queues.aws_apigatewayv2_api.events
  -target=module.queues.aws_cloudwatch_log_group.http_api
  -target=module.queues.aws_iam_role.http_api
)

environment="" typed="" n_resources="" lake_bucket="" yes=false empty=false lock="" again="scripts/destroy.sh" options=()
while [ $# -gt 0 ]; do
  case "$1" in
    --developer | --values)
      [ $# -ge 2 ] || fail "$1 needs a value" "scripts/destroy.sh --help"
      options+=("$1" "$2")
      again+=" $1 $2"
      shift 2
      ;;
    --name | --unlock)
      [ $# -ge 2 ] || fail "$1 needs a value" "scripts/destroy.sh --help"
      if [ "$1" = --name ]; then typed=$2; else lock=$2; fi
      shift 2
      ;;
    --yes) yes=true; shift ;;
    --empty) empty=true; shift ;;
    -h | --help) usage; exit 0 ;;
    -*) fail "$1 is not an option" "scripts/destroy.sh --help" ;;
    *)
      [ -z "$environment" ] || fail "there are two environments, $environment and $1" "scripts/destroy.sh --help"
      environment=$1
      again+=" $1"
      shift
      ;;
  esac
done

main() {
  [ -n "$environment" ] || fail "no environment is named" "scripts/destroy.sh --help"
  # Before anything else is looked at.
  [ "$environment" != prod ] || [ -n "$typed" ] || [ -t 0 ] ||
    fail "prod is protected, and nobody is there to type its name" "$again --name prod"
  [ -z "$lock" ] || check_lock "$lock" "$again"
  prepare "$environment" ${options[@]+"${options[@]}"} --deployed
  # Whatever the values say.
  [ "$environment" != prod ] || protected=true
  if [ -n "$lock" ]; then
    terraform force-unlock -force "$lock"
    exit
  fi

  confirm
  look
  if [ "$n_resources" = 0 ]; then
    gone
  elif $protected; then
    destroy "${unprotected[@]}"
    echo "lake bucket, catalog, queues and stream of $name stay. What is still sent to them is there until their retention is over"
  else
    if $empty; then empty_bucket; else refuse_data; fi
    destroy
    gone
  fi
}

# What Terraform knows of: nothing, after a run that got to the end.
look() {
  local facts
  facts=$(terraform state pull | .venv/bin/python scripts/destruction.py state)
  eval "$facts"
}

gone() {
  $protected || .venv/bin/python scripts/destruction.py drop_tables "$name" "$folder/values.tfvars.json"
  rm -rf "$folder"
  echo "$name is gone"
}

confirm() {
  if $protected; then
    ! $empty || fail "the lake bucket of $name is protected, and not emptied" "$again"
    if [ -z "$typed" ]; then
      [ -t 0 ] || fail "$name is protected, and nobody is there to type its name" "$again --name $name"
      read -r -p "$name is protected. Its functions, HTTP API, alarms, logs and network will go. Type its name: " typed
    fi
    [ "$typed" = "$name" ] || fail "\`$typed\` is not $name: nothing was changed" "$again --name $name"
  elif ! $yes; then
    [ -t 0 ] || fail "nobody is there to be asked" "$again --yes"
    read -r -p "destroy $name, and what its queues hold? [y/N] " typed
    [[ "$typed" =~ ^(y|yes)$ ]] || fail "nothing was changed" "$again --yes does not ask"
  fi
}

# Before anything goes: Terraform would take the functions and queues, and only then find that the bucket holds data.
refuse_data() {
  [ -z "$lake_bucket" ] || .venv/bin/python scripts/destruction.py holds "$folder/values.tfvars.json" "$lake_bucket" "$again"
}

empty_bucket() {
  [ -z "$lake_bucket" ] || .venv/bin/python scripts/destruction.py empty "$lake_bucket"
}

destroy() {
  terraform destroy -input=false -auto-approve -var-file="$folder/values.tfvars.json" "$@"
}

main
