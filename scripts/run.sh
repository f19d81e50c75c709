#!/usr/bin/env bash
# Sends mock events through the ingest function on this machine and reads the table back with DuckDB.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'USAGE'
Sends mock events through the ingest function on this machine and reads the table back with DuckDB.

usage: scripts/run.sh [--seconds N] [--rate N] [--seed N] [--warehouse DIR | --with aws|localstack]

  --seconds N      how long to send events, default 10
  --rate N         events a second, default 20000
  --seed N         seed of the events; default: another one for every run
  --warehouse DIR  where the table is, default .calve/warehouse; a second run adds to it
  --with aws       the way it is deployed: events through an SQS queue into the ingest function, its receipts through
                   another into the commit function, the table in S3 and in a REST catalog. SeaweedFS and LocalStack
                   play AWS, `calve local` plays Lambda; needs npm, and ends with the table. Default rate: 10000
  --with localstack  the same, deployed: Terraform applies infrastructure/stack to LocalStack, which runs the functions;
                   events through the queue and to the Function URL. Needs Terraform, too. Default rate: 1000
USAGE
}

fail() {
  printf 'error: %s\n\nhint: %s\n' "$1" "$2" >&2
  exit 1
}

seconds=10 rate="" seed="" warehouse=.calve/warehouse with=""
while [ $# -gt 0 ]; do
  case "$1" in
    --seconds | --rate | --seed | --warehouse | --with)
      [ $# -ge 2 ] || fail "$1 needs a value" "scripts/run.sh --help"
      declare "${1#--}=$2"
      shift 2
      ;;
    -h | --help) usage; exit 0 ;;
    *) fail "$1 is not an option" "scripts/run.sh --help" ;;
  esac
done

main() {
  # Before what takes minutes.
  case "$with" in
    "" | aws | localstack) ;;
    *) fail "there is no \`--with $with\`" "scripts/run.sh --help" ;;
  esac
  command -v cargo >/dev/null || fail "cargo is not installed" "install Rust from rustup.rs"
  [ "$with" != localstack ] || ./scripts/terraform.sh version >/dev/null
  [ -z "$with" ] || ./scripts/local_aws.sh
  ./scripts/venv.sh
  export PATH=$PWD/.venv/bin:$PATH
  bin=${CARGO_TARGET_DIR:-target}/quick
  echo "building (the first time takes minutes)" >&2
  # All packages at once, as the tests build them: `cargo lambda watch` then finds everything made.
  cargo build --profile quick --workspace --locked --quiet

  case "$with" in
    aws) run_with_aws ;;
    localstack) run_with_localstack ;;
  esac
  rate=${rate:-20000}
  mkdir -p "$warehouse"
  warehouse=$(cd "$warehouse" && pwd)
  work=$(mktemp -d)
  trap stop EXIT
  look before
  [ -n "$seed" ] || seed=$((7 + $(rows before)))
  start_function
  send_events
  look after
  python scripts/run_summary.py "$work" "$warehouse"
}

# The whole of it, with servers that play AWS; they end with it.
run_with_aws() {
  exec python scripts/servers.py run -- python scripts/run_aws.py "$bin" \
    --seconds "$seconds" --rate "${rate:-10000}" --seed "${seed:-7}"
}

run_with_localstack() {
  ./scripts/build.sh --profile quick
  exec python scripts/servers.py run --with cloud,seaweedfs -- python scripts/run_localstack.py "$bin" \
    --seconds "$seconds" --rate "${rate:-1000}" --seed "${seed:-7}"
}

# Keeps what DuckDB and the catalog say about the table, `{}` while there is none.
look() {
  echo '{}' | tee "$work/$1.rows" >"$work/$1.table"
  if [ -n "$("$bin/calve" table list --warehouse "$warehouse" 2>/dev/null)" ]; then
    "$bin/calve" table show --output json --warehouse "$warehouse" >"$work/$1.table"
    python tests/readers/readers.py duckdb "$warehouse" analytics.events >"$work/$1.rows"
  fi
}

rows() {
  python -c 'import json, sys; print(json.load(open(sys.argv[1])).get("n_rows", 0))' "$work/$1.rows"
}

# Starts the function as AWS would run it, and waits until it answers.
start_function() {
  port=$(python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  log=$warehouse/run.log
  CALVE_WAREHOUSE=$warehouse cargo lambda watch --ignore-changes --profile quick --quiet \
    --invoke-address 127.0.0.1 --invoke-port "$port" >"$log" 2>&1 &
  watch_pid=$!
  local tries
  for ((tries = 0; ; tries++)); do
    # The first answer starts the function: no events, so no rows.
    if cargo lambda invoke --invoke-address 127.0.0.1 --invoke-port "$port" --data-ascii '[]' ingest \
      >"$work/first_answer" 2>&1; then
      break
    fi
    if [ $tries -ge 60 ] || ! kill -0 "$watch_pid" 2>/dev/null; then
      tail -n 20 "$log" "$work/first_answer" >&2
      fail "the function does not answer" "its last words stand above"
    fi
    sleep 0.5
  done
  function_pid=$(child_of "$watch_pid")
  memory >"$work/memory_idle"
}

# The process of the function, which `cargo lambda watch` started. Linux only; elsewhere nothing.
child_of() {
  cat /proc/"$1"/task/*/children 2>/dev/null | tr ' ' '\n' | while read -r pid; do
    if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = ingest ]; then
      echo "$pid"
      break
    fi
  done
}

# The most memory that the function ever had, in kB.
memory() {
  awk '/^VmHWM:/ { print $2 }' "/proc/$function_pid/status" 2>/dev/null || true
}

send_events() {
  local batch=$((rate / 20)) # Twenty requests a second, of at most 1,000 events, about 0.9 MB.
  batch=$((batch < 1 ? 1 : batch > 1000 ? 1000 : batch))
  echo "sending $rate events/s for $seconds s, seed $seed" >&2
  if ! "$bin/generator" --seed "$seed" --rate "$rate" --seconds "$seconds" --batch "$batch" --output json \
    --to "http://127.0.0.1:$port/2015-03-31/functions/ingest/invocations" >"$work/sent.json"; then
    cat "$work/sent.json" >&2
    grep -v '"level":"INFO"' "$log" | tail -n 5 >&2
    fail "not every request was answered well" "the first failure and the log stand above"
  fi
  memory >"$work/memory_peak"
}

stop() {
  local pid
  for pid in "${watch_pid:-}" "${function_pid:-}"; do
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
  done
  [ -z "${watch_pid:-}" ] || wait "$watch_pid" 2>/dev/null || true
  rm -rf "${work:-}"
}

main
