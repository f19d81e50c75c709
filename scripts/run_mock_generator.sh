#!/usr/bin/env bash
# Sends mock events to an environment that deploy.sh deployed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'USAGE'
Sends mock events to an environment that deploy.sh deployed.

usage: scripts/run_mock_generator.sh [--environment NAME] [--developer NAME] [--to queue|stream|url]
                                     [--rate N] [--seconds N] [--seed N] [-- OPTION…]

  --environment NAME  local (default), dev, int, prod
  --developer NAME    whose system it is, where several share an environment; in dev also CALVE_DEVELOPER
  --to WHERE          `queue`, the events queue (default); `stream`, the Kinesis stream; `url`, the Function URL, with
                      requests signed by your credentials unless it is public
  --rate N            events a second, default 1000
  --seconds N         for how long, default 10
  --seed N            seed of the events; default: another one for every run
  -- OPTION…          further options of the generator, e.g. -- --shape hostile
USAGE
}

# shellcheck source=scripts/deployment.sh
source scripts/deployment.sh

environment=local developer="" to=queue rate=1000 seconds=10 seed=$RANDOM
while [ $# -gt 0 ]; do
  case "$1" in
    --environment | --developer | --to | --rate | --seconds | --seed)
      [ $# -ge 2 ] || fail "$1 needs a value" "scripts/run_mock_generator.sh --help"
      declare "${1#--}=$2"
      shift 2
      ;;
    --) shift; break ;;
    -h | --help) usage; exit 0 ;;
    *) fail "$1 is not an option" "scripts/run_mock_generator.sh --help" ;;
  esac
done

main() {
  case "$to" in
    queue | stream | url) ;;
    *) fail "there is no way in called \`$to\`" "scripts/run_mock_generator.sh --help" ;;
  esac
  prepare "$environment" ${developer:+--developer "$developer"} --deployed
  terraform output -json >"$folder/outputs.json"
  local target batch generator options
  target=$(.venv/bin/python scripts/deployment.py target "$folder/outputs.json" "$to")
  eval "options=($target)"
  generator=$(find_generator)
  # Twenty requests a second, of at most 1,000 events.
  batch=$((rate / 20))
  batch=$((batch < 1 ? 1 : batch > 1000 ? 1000 : batch))
  options+=(--rate "$rate" --seconds "$seconds" --seed "$seed" --batch "$batch")
  # Many events in a message: it is messages that are paid for.
  [ "$to" = url ] || options+=(--pack 100 --compress zstd)
  echo "sending $rate events/s for $seconds s: $target" >&2
  "$generator" "${options[@]}" "$@"
}

find_generator() {
  local built=${CARGO_TARGET_DIR:-target}/quick/generator
  if [ ! -x "$built" ]; then
    command -v cargo >/dev/null || fail "cargo is not installed" "install Rust from rustup.rs"
    echo "building the generator (the first time takes minutes)" >&2
    cargo build --profile quick --package generator --locked --quiet
  fi
  echo "$built"
}

main "$@"
