#!/usr/bin/env bash
# Runs faults against the real functions and local servers, and counts what was lost and doubled; see `--help` of the program.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

main() {
  bin=${CARGO_TARGET_DIR:-target}/quick
  if [ "${1:-}" = --with-servers ]; then
    AWS_ACCESS_KEY_ID=$CALVE_TEST_S3_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY=$CALVE_TEST_S3_SECRET_ACCESS_KEY \
      exec "$bin/faults" --python .venv/bin/python "${@:2}"
  fi
  ./scripts/venv.sh
  ./scripts/local_aws.sh
  cargo build --locked --quiet --profile quick --workspace
  exec .venv/bin/python scripts/servers.py run -- ./scripts/faults.sh --with-servers "$@"
}

main "$@"
