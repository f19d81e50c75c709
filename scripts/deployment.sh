# What deploy.sh, destroy.sh and run_mock_generator.sh share; they source it, in the repository's folder.
# shellcheck shell=bash

# What `prepare` finds out: the middle of all names, where Terraform's own files are, whether it holds data that stays,
# whether something plays AWS.
# shellcheck disable=SC2034 # Some are for who sources this.
name="" folder="" protected=false emulator=false

# Whether Ctrl-C came while Terraform ran.
stopped=false

# What a run that takes over tells Terraform, as long as it goes on.
readonly taken_over=infrastructure/stack/taken_over.tf

fail() {
  printf 'error: %s\n\nhint: %s\n' "$1" "$2" >&2
  exit 1
}

# What the environment and its developer are called, or what is wrong with them. It takes what `prepare` takes.
check_name() {
  local words=("$1")
  shift
  while [ $# -gt 0 ]; do
    [ "$1" != --developer ] || words+=("$1" "$2")
    shift 2
  done
  ./scripts/venv.sh
  .venv/bin/python scripts/deployment.py name "${words[@]}" >/dev/null
}

# Terraform gives a lock a UUID; which one, the same command without `--unlock` says.
check_lock() {
  [[ "$1" =~ ^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$ ]] ||
    fail "\`$1\` is not the ID of a lock" "$2 says it, as long as the state is locked"
}

# Looks at everything that can be wrong beforehand, and connects Terraform with the environment's state.
prepare() {
  local exports
  ./scripts/venv.sh
  ./scripts/terraform.sh version >/dev/null
  # Every state would take over what it names.
  [ ! -e "$taken_over" ] || fail "another run takes over what exists, or was killed" "when no other is at work: rm $taken_over"
  exports=$(.venv/bin/python scripts/deployment.py prepare "$@")
  eval "$exports"
  # A folder for each state, so that several may be worked on from one clone.
  export TF_DATA_DIR=$folder/data TF_IN_AUTOMATION=1
  [ -t 1 ] || export TF_CLI_ARGS_plan=-no-color TF_CLI_ARGS_apply=-no-color TF_CLI_ARGS_destroy=-no-color
  terraform init -input=false -reconfigure -backend-config="$folder/backend.tfbackend.json" >"$folder/init.log"
}

# Terraform, and what to do about its errors. `again` is the command that was given.
terraform() {
  attempt "$@" || explain
}

# Says what helps, and ends us; with 130 when it was Ctrl-C that ended Terraform.
explain() {
  ! $stopped || set -- --stopped
  .venv/bin/python scripts/deployment.py explain "$folder/errors.log" "${again:-scripts/deploy.sh}" "$@" || exit
}

# Terraform, with its errors on the screen and in a file, and all else where it belongs. Ctrl-C goes to everything that
# runs here: Terraform then writes down what it made and unlocks the state, and we wait for that.
attempt() {
  local code=0
  trap 'stopped=true' INT
  {
    trap : INT
    ./scripts/terraform.sh -chdir=infrastructure/stack "$@" 2>&1 >&3 | outlive tee "$folder/errors.log" >&2
  } 3>&1 | outlive cat || code=$?
  trap - INT
  return $code
}

# What Terraform writes into must not end before it, or a closed pipe ends it, with the state locked: neither by the signal
# that stops it, nor when there is nobody left to read.
outlive() {
  trap '' INT TERM HUP PIPE
  "$@" 2>/dev/null || cat >/dev/null
}
