#!/usr/bin/env bash
# Runs faults against the real functions and local servers, and counts what was lost and doubled.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'USAGE'
Runs faults against the real functions and local servers, and counts what was lost and doubled; fails when anything was.

usage: scripts/faults.sh [--runs N] [--seed N] [--only WORDS] [--logs FOLDER] [--programs FOLDER]

  --runs N           how many runs of each fault, each with a seed of its own, default 1
  --seed N           what all seeds are drawn from, default 7
  --only WORDS       only faults whose name holds these words
  --logs FOLDER      where the functions' logs go. By default they go away when all is well
  --programs FOLDER  where `ingest` and `commit` are, when not those that are built here
  --with-servers     servers.py runs already, and all is built: scripts/servers.py run -- scripts/faults.sh --with-servers
USAGE
}

main() {
  bin=${CARGO_TARGET_DIR:-target}/quick
  if [ "${1:-}" = --with-servers ]; then
    AWS_ACCESS_KEY_ID=$CALVE_TEST_S3_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY=$CALVE_TEST_S3_SECRET_ACCESS_KEY \
      exec "$bin/faults" --python .venv/bin/python "${@:2}"
  fi
  check_options "$@"
  ./scripts/venv.sh
  ./scripts/local_aws.sh
  cargo build --locked --quiet --profile quick --workspace
  exec .venv/bin/python scripts/servers.py run -- ./scripts/faults.sh --with-servers "$@"
}

# Before what takes minutes.
check_options() {
  while [ $# -gt 0 ]; do
    case "$1" in
      -h | --help) usage; exit 0 ;;
      --runs | --seed | --only | --logs | --programs)
        [ $# -ge 2 ] || fail "$1 needs a value"
        shift 2
        ;;
      --runs=* | --seed=* | --only=* | --logs=* | --programs=*) shift ;;
      *) fail "$1 is not an option" ;;
    esac
  done
}

fail() {
  printf 'error: %s\n\nhint: scripts/faults.sh --help\n' "$1" >&2
  exit 1
}

main "$@"
