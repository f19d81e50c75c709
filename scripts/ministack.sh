#!/usr/bin/env bash
# Makes or updates `.venv-ministack` in the repository: the server of requirements-ministack.txt. Prints nothing when it
# is up to date. `scripts/servers.py --with ministack` runs what this installs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
  printf 'error: %s\n\nhint: %s\n' "$1" "$2" >&2
  exit 1
}

# shellcheck source=scripts/venv_lock.sh
source scripts/venv_lock.sh

stamp=.venv-ministack/requirements.sha256
python=${PYTHON:-python3}
command -v "$python" >/dev/null ||
  fail "\`$python\` is not installed" "install Python 3.11 or newer, or name one: PYTHON=/path/to/python3"
wanted=$({ cat scripts/requirements-ministack.txt scripts/constraints-ministack.txt; "$python" --version; } | sha256sum)
is_made() { [ -x .venv-ministack/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; }
! is_made || exit 0
lock_venv .venv-ministack
! is_made || exit 0

"$python" -c 'import ensurepip, venv' 2>/dev/null ||
  fail "\`$python\` cannot make virtual environments" "install its venv module (Debian: apt-get install python3-venv)"

echo "installing the server of scripts/requirements-ministack.txt into .venv-ministack" >&2
rm -rf .venv-ministack
"$python" -m venv .venv-ministack
.venv-ministack/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
  --requirement scripts/requirements-ministack.txt --constraint scripts/constraints-ministack.txt ||
  fail "pip could not install scripts/requirements-ministack.txt" \
    "its own message stands above; is the package index reachable?"
printf '%s\n' "$wanted" >"$stamp"
