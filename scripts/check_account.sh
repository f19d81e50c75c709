#!/usr/bin/env bash
# Fails unless the credentials are of the account: scripts/check_account.sh ACCOUNT ENVIRONMENT. Terragrunt asks it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
./scripts/venv.sh
exec .venv/bin/python scripts/deployment.py account "$1" "$2"
