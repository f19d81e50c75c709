#!/usr/bin/env bash
# Checks infrastructure/, docker/, .github/ and the scripts: no network, no account, no engine. `--help` says more.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
./scripts/infra_tools.sh
exec .venv-infra/bin/python scripts/infrastructure_checks.py "$@"
