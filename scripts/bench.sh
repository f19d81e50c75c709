#!/usr/bin/env bash
# Measures speed, compression and memory: `--gate` fails when a figure is not reached, without it criterion compares with the last run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'USAGE'
usage: scripts/bench.sh [FILTER] [--quick] criterion: flattening, Parquet, and both, in bytes/s
       scripts/bench.sh --gate            the figures that must be reached: against DuckDB and parsing alone, on 200,000 events and
                                          other shapes, and the memory of fresh processes
       scripts/bench.sh --gate --short    the same on 20,000 events, without parsing alone, quick to build: lower gates
       scripts/bench.sh --peers [--shape SHAPE] [OPTIONS]
                                          beside DuckDB, pyarrow, a Lambda in Python, arrow-json, and parsing alone, in turns (one
                                          that cannot do it gets a row with its reason);
                                          writes benches/results/peers-SHAPE.md and .svg
       scripts/bench.sh --levels [OPTIONS] what each Zstandard level costs and saves
       scripts/bench.sh --instructions [EVENTS]
                                          instructions for each event, of flattening and of encoding (needs valgrind)
       scripts/bench.sh --writers [OPTIONS]
                                          1 to 64 writers of one table on local servers, against PyIceberg, and 10,000 commits in
                                          a row: more than an hour; OPTIONS like --writers 1,4 --commits 0
       scripts/bench.sh --functions [--starts N] [--rounds N]
                                          both functions as they are deployed: size, start to first poll, peak memory of 6 MiB, and
                                          invocations in a row
USAGE
}

main() {
  case "${1:-} ${2:-}" in
    "--gate --short")
      ./scripts/venv.sh
      build quick
      "$bin/gate" --short --events 20000 --rounds 5 --peer-python .venv/bin/python
      ;;
    "--gate ")
      ./scripts/venv.sh
      # What is deployed is built this way, so this is what is measured.
      build release
      build_rust_peers
      "$bin/gate" --peer-python .venv/bin/python --rust-peers "$rust_peers"
      ;;
    "--peers "*)
      ./scripts/venv.sh
      build release
      build_rust_peers
      "$bin/peers" --python .venv/bin/python --rust-peers "$rust_peers" \
        --commit "$(git describe --always --dirty 2>/dev/null || echo unknown)" --date "$(date -u +%F)" \
        --out benches/results "${@:2}"
      ;;
    "--levels "*)
      build release
      "$bin/levels" "${@:2}"
      ;;
    "--instructions "*)
      if ! command -v valgrind >/dev/null; then
        printf 'error: valgrind is not installed\n\nhint: apt-get install valgrind\n' >&2
        exit 1
      fi
      build release
      instructions "${2:-20000}"
      ;;
    "--writers "*)
      ./scripts/venv.sh
      ./scripts/local_aws.sh
      build quick
      .venv/bin/python scripts/servers.py run -- ./scripts/bench.sh --with-servers "${@:2}"
      ;;
    "--functions "*)
      ./scripts/venv.sh
      ./scripts/local_aws.sh
      compile --profile release -p ingest -p commit -p generator
      .venv/bin/python scripts/servers.py run -- \
        .venv/bin/python scripts/bench_functions.py "${CARGO_TARGET_DIR:-target}/release" "${@:2}"
      ;;
    "--with-servers "*)
      # What `--writers` starts once there are servers.
      bin=${CARGO_TARGET_DIR:-target}/quick
      AWS_ACCESS_KEY_ID=$CALVE_TEST_S3_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY=$CALVE_TEST_S3_SECRET_ACCESS_KEY \
        "$bin/writers" --python .venv/bin/python "${@:2}"
      ;;
    "-h "* | "--help "*) usage ;;
    "--gate"*)
      usage >&2
      exit 2
      ;;
    *) cargo bench --locked --profile quick --package benches --bench speed -- "$@" ;;
  esac
}

compile() {
  echo "building: cargo build $* (the first time this takes up to a quarter of an hour)" >&2
  cargo build --locked --quiet "$@"
}

build() {
  # The quick profile builds the whole workspace, as the tests do: with the same features, and so only once.
  local what=(--package benches --bin gate --bin peak_memory --bin peers --bin levels --bin instructions)
  [ "$1" != quick ] || what=(--workspace)
  compile --profile "$1" "${what[@]}"
  bin=${CARGO_TARGET_DIR:-target}/$1
}

# Prints what one round more takes, for each event.
instructions() {
  local work rounds counts
  for work in flatten encode; do
    counts=()
    for rounds in 1 2; do
      counts+=("$(valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bin/instructions" "$work" "$1" "$rounds" 2>&1 |
        sed -n 's/.*Collected : //p')")
    done
    printf '%s: %d instructions for each of %d events\n' "$work" $(((counts[1] - counts[0]) / $1)) "$1"
  done
}

build_rust_peers() {
  # At its fastest here, which what is deployed cannot ask for.
  RUSTFLAGS="-C target-cpu=native" compile --profile peers --package rust_peers
  rust_peers=${CARGO_TARGET_DIR:-target}/peers/rust_peers
}

main "$@"
