#!/usr/bin/env bash
# Makes or updates `.venv` in the repository from requirements.txt; prints nothing when it is up to date.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
  printf 'error: %s\n\nhint: %s\n' "$1" "$2" >&2
  exit 1
}

# shellcheck source=scripts/venv_lock.sh
source scripts/venv_lock.sh

stamp=.venv/requirements.sha256
python=${PYTHON:-python3}
command -v "$python" >/dev/null ||
  fail "\`$python\` is not installed" "install Python 3.11 or newer, or name one: PYTHON=/path/to/python3"
wanted=$({ cat scripts/requirements.txt scripts/constraints.txt; "$python" --version; } | sha256sum)
is_made() { [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; }
! is_made || exit 0
lock_venv .venv
! is_made || exit 0

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "\`$python\` is $("$python" --version), older than 3.11" "name a newer one: PYTHON=/path/to/python3"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
  fail "\`$python\` cannot make virtual environments" "install its venv module (Debian: apt-get install python3-venv)"

echo "installing the tools of scripts/requirements.txt into .venv" >&2
rm -rf .venv
"$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
  --requirement scripts/requirements.txt --constraint scripts/constraints.txt ||
  fail "pip could not install scripts/requirements.txt" "its own message stands above; is the package index reachable?"
printf '%s\n' "$wanted" >"$stamp"
