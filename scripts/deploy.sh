#!/usr/bin/env bash
# Deploys an environment with Terraform, and prints where events go.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'USAGE'
Deploys an environment with Terraform, and prints where events go.

usage: scripts/deploy.sh ENVIRONMENT [--developer NAME] [--values FILE] [--plan | --check | --yes | --approved DIGEST | --take-over | --unlock ID]

  ENVIRONMENT       local, dev, int, prod: a folder of infrastructure/environments
  --developer NAME  whose system it is, where several share an environment; in dev also CALVE_DEVELOPER
  --values FILE     JSON that stands above the environment's values.json
  --plan            say what would change, and the digest of it, and change nothing (but make the bucket of the states, when there is none)
  --check           the same, and end with 2 when something would
  --yes             change it without asking
  --approved DIGEST change it without asking, if it is still what --plan gave this digest for; else change nothing
  --take-over       as --yes, and take what is there under our names into the state: a run was killed that had made it
  --unlock ID       take away the lock of a run that was cut off; the error that tells of the lock has its ID

It changes what differs from the values and nothing else. A run that was stopped is just run again; after one that was
killed the error says what else to do. What functions are made of comes from scripts/build.sh. With AWS_ENDPOINT_URL, and always for `local`, it deploys to what plays AWS there
(local: http://127.0.0.1:4566); what that cannot do stands in infrastructure/environments/emulator.json, and where its
catalog is in CALVE_CATALOG_URI, CALVE_CATALOG_WAREHOUSE, CALVE_CATALOG_AUTH and CALVE_CATALOG_CREDENTIAL, if they are set.
USAGE
}

# shellcheck source=scripts/deployment.sh
source scripts/deployment.sh

# One of what this can do.
choose() {
  [ "$action" = ask ] || fail "--$action and $1 are two things to do" "one of them: scripts/deploy.sh --help"
  action=${1#--}
}

environment="" action=ask lock="" approved="" digest="" again="scripts/deploy.sh" options=()
while [ $# -gt 0 ]; do
  case "$1" in
    --developer | --values)
      [ $# -ge 2 ] || fail "$1 needs a value" "scripts/deploy.sh --help"
      options+=("$1" "$2")
      again+=" $1 $2"
      shift 2
      ;;
    --plan | --check | --yes | --take-over) choose "$1"; shift ;;
    --approved)
      [ $# -ge 2 ] || fail "$1 needs a value" "scripts/deploy.sh --help"
      choose "$1"
      approved=$2
      shift 2
      ;;
    --unlock)
      [ $# -ge 2 ] || fail "$1 needs a value" "scripts/deploy.sh --help"
      choose "$1"
      lock=$2
      shift 2
      ;;
    -h | --help) usage; exit 0 ;;
    -*) fail "$1 is not an option" "scripts/deploy.sh --help" ;;
    *)
      [ -z "$environment" ] || fail "there are two environments, $environment and $1" "scripts/deploy.sh --help"
      environment=$1
      again+=" $1"
      shift
      ;;
  esac
done

main() {
  [ -n "$environment" ] || fail "no environment is named" "scripts/deploy.sh --help"
  [ -z "$lock" ] || check_lock "$lock" "$again"
  if [ "$action" = ask ] && [ ! -t 0 ]; then
    # What is wrong with the command is said first.
    check_name "$environment" ${options[@]+"${options[@]}"}
    fail "nobody is there to be asked" "$again --yes"
  fi
  prepare "$environment" ${options[@]+"${options[@]}"}

  case "$action" in
    unlock) terraform force-unlock -force "$lock" ;;
    plan) plan ;;
    check) check ;;
    ask | yes | approved) apply ;;
    take-over) take_over ;;
  esac
}

plan() {
  keep_plan
  printf '\ndigest %s\n%s --approved %s changes just this\n' "$digest" "$again" "$digest"
}

# The plan is a file as long as this runs, and no longer: it holds what the settings hold.
keep_plan() {
  trap 'rm -f "$folder/plan"' EXIT
  tell "planning $name"
  terraform plan -input=false -out="$folder/plan" -var-file="$folder/values.tfvars.json"
  digest=$(./scripts/terraform.sh -chdir=infrastructure/stack show -json "$folder/plan" | .venv/bin/python scripts/plan_digest.py)
}

check() {
  ./scripts/terraform.sh -chdir=infrastructure/stack plan -input=false -detailed-exitcode \
    -var-file="$folder/values.tfvars.json"
}

# Where we are, for who does not see what Terraform says of it.
tell() {
  [ -t 1 ] || echo "$1" >&2
}

# What was said yes to is what is done: the plan is kept in between.
apply() {
  local yes
  keep_plan
  if [ "$action" = ask ]; then
    read -r -p "deploy this to $name? [y/N] " yes
    [[ "$yes" =~ ^(y|yes)$ ]] || fail "nothing was changed" "$again --yes does not ask"
  elif [ "$action" = approved ] && [ "$digest" != "$approved" ]; then
    fail "this plan is $digest, and another was approved, $approved: nothing was changed" "$again --plan, and approve what it says"
  fi
  tell "applying the plan to $name"
  terraform apply -input=false "$folder/plan"
  ! $emulator || settle
  told
}

# LocalStack forgets some tags and descriptions that a thing is made with, and keeps them when it is changed.
settle() {
  echo "once more, for what an emulator forgets at first" >&2
  terraform apply -input=false -auto-approve -var-file="$folder/values.tfvars.json" >"$folder/settle.log"
}

told() {
  terraform output -json >"$folder/outputs.json"
  .venv/bin/python scripts/deployment.py tell "$folder/outputs.json"
}

# What cannot be made because it is there shows only when what it needs is there: so several rounds.
take_over() {
  # Terraform takes what to import from its configuration alone.
  local round imports=$taken_over
  trap 'rm -f "$taken_over"' EXIT
  : >"$imports"
  for round in 1 2 3 4 5 6; do
    if attempt apply -input=false -auto-approve -var-file="$folder/values.tfvars.json"; then
      ! $emulator || settle
      told
      return
    fi
    ! $stopped || break
    .venv/bin/python scripts/orphans.py "$folder/errors.log" >"$folder/orphans"
    [ -s "$folder/orphans" ] || break
    echo "round $round: taking over $(grep -c '^import' "$folder/orphans") things" >&2
    cat "$folder/orphans" >>"$imports"
  done
  explain
}

main
