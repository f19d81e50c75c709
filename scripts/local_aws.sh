#!/usr/bin/env bash
# Makes or updates `.venv-aws` in the repository: the servers of requirements-aws.txt and the Kinesis that LocalStack
# starts. Prints nothing when it is up to date. `scripts/servers.py` runs what this installs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The version that LocalStack asks for.
readonly kinesis_version=0.5.2

fail() {
  printf 'error: %s\n\nhint: %s\n' "$1" "$2" >&2
  exit 1
}

# shellcheck source=scripts/venv_lock.sh
source scripts/venv_lock.sh

stamp=.venv-aws/requirements.sha256
python=${PYTHON:-python3}
command -v "$python" >/dev/null ||
  fail "\`$python\` is not installed" "install Python 3.11 or newer, or name one: PYTHON=/path/to/python3"
wanted=$({ cat scripts/requirements-aws.txt scripts/constraints-aws.txt scripts/local_aws.sh; "$python" --version; } |
  sha256sum)
is_made() { [ -x .venv-aws/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; }
! is_made || exit 0
lock_venv .venv-aws
! is_made || exit 0

command -v npm >/dev/null || fail "\`npm\` is not installed" "install Node 20 or newer: LocalStack's Kinesis runs on it"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
  fail "\`$python\` cannot make virtual environments" "install its venv module (Debian: apt-get install python3-venv)"

echo "installing the servers of scripts/requirements-aws.txt into .venv-aws (about two minutes)" >&2
rm -rf .venv-aws
"$python" -m venv .venv-aws
.venv-aws/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
  --requirement scripts/requirements-aws.txt --constraint scripts/constraints-aws.txt ||
  fail "pip could not install scripts/requirements-aws.txt" "its own message stands above; is the package index reachable?"
kinesis=.venv-aws/localstack/kinesis-local/$kinesis_version
mkdir -p "$kinesis"
npm install --silent --no-audit --no-fund --prefix "$kinesis" "kinesis-local@$kinesis_version" ||
  fail "npm could not install kinesis-local" "its own message stands above; is the registry reachable?"
printf '%s\n' "$wanted" >"$stamp"
