#!/usr/bin/env bash
# Checks and tests everything, installing what that needs; `--long` adds what takes minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly cargo_fuzz_version=0.13.2 fuzz_seconds=60 long_cases=5000 long_costly_cases=200 long_fault_runs=20

usage() {
  cat <<'USAGE'
Checks and tests everything, installing what that needs.

usage: scripts/test.sh [--long]

  --long  also what takes minutes: faults twenty times each, fuzzing, a deployment on LocalStack, packages for arm64
USAGE
}

main() {
  local long=false
  case "${1:-}" in
    "") ;;
    --long) long=true ;;
    -h | --help) usage; exit 0 ;;
    *) printf 'error: %s is not an option\n\nhint: scripts/test.sh --help\n' "$1" >&2; exit 1 ;;
  esac
  # A fresh clone on a build machine takes up the dependencies that the clone before it compiled.
  if [ "${CI:-}" = true ]; then
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/calve/target}
  fi
  require_tools

  step "Python tools" ./scripts/venv.sh
  step "format" cargo fmt --all --check
  step "shell scripts" .venv/bin/shellcheck scripts/*.sh .ci/run
  step "metric filters" .venv/bin/python tests/localstack/metric_filters.py
  step "lints" cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
  step "tools that check the infrastructure" ./scripts/infra_tools.sh
  step "infrastructure" ./scripts/check_infrastructure.sh
  step "costs" costs
  step "two that make one environment" .venv/bin/python scripts/venv_test.py
  step "what packages may hold" .venv/bin/python scripts/package_function_test.py
  step "what makes two plans one" .venv/bin/python scripts/plan_digest_test.py
  step "what readers wait for" .venv/bin/python tests/readers/readers_test.py
  step "build" cargo build --profile quick --workspace --locked --quiet
  step "tests" cargo test --profile quick --workspace --locked --quiet
  step "main job, short" main_job
  step "servers that play AWS" ./scripts/local_aws.sh
  step "main job with AWS, short" ./scripts/run.sh --with aws --seconds 2 --rate 2000
  step "tests with servers" .venv/bin/python scripts/servers.py run -- \
    cargo test --profile quick --workspace --locked --quiet --tests -- --ignored
  step "faults, one run of each" .venv/bin/python scripts/servers.py run -- ./scripts/faults.sh --with-servers
  [ ! -x scripts/bench.sh ] || step "short gate" ./scripts/bench.sh --gate --short
  if $long; then
    # In the environment the number wins over that of a test itself.
    step "properties, $long_cases cases each" env PROPTEST_CASES=$long_cases \
      cargo test --profile quick --workspace --locked --quiet -- --skip costly_tests::
    step "costly properties, $long_costly_cases cases each" env PROPTEST_CASES=$long_costly_cases \
      cargo test --profile quick --workspace --locked --quiet -- costly_tests::
    fuzz
    step "faults, $long_fault_runs runs of each" .venv/bin/python scripts/servers.py run -- \
      ./scripts/faults.sh --with-servers --runs $long_fault_runs --seed 1
    step "checks of the infrastructure find what is wrong" .venv-infra/bin/python scripts/infrastructure_checks_test.py
    step "checks of the wiring find what is wrong" .venv-infra/bin/python scripts/check_wiring.py --self-test
    step "functions on LocalStack" .venv/bin/python tests/localstack/functions.py
    step "what goes wrong for who deploys" .venv/bin/python scripts/servers.py run --with localstack -- \
      .venv/bin/python tests/cloud/refusals.py
    step "packages of the functions" ./scripts/build.sh --profile quick
    step "a deployment on LocalStack" .venv/bin/python scripts/servers.py run --with cloud,seaweedfs -- \
      .venv/bin/python tests/cloud/deployment.py "${CARGO_TARGET_DIR:-target}/quick"
    step "what plays Glue and S3 Tables" ./scripts/ministack.sh
    step "Glue and S3 Tables" .venv/bin/python scripts/servers.py run --with ministack -- \
      .venv/bin/python tests/cloud/catalogs.py "${CARGO_TARGET_DIR:-target}/quick"
    step "packages for arm64" .venv/bin/python tests/cloud/arm64.py
    [ ! -x scripts/bench.sh ] || step "gate" ./scripts/bench.sh --gate
    [ ! -x scripts/bench.sh ] || step "functions as they are deployed" ./scripts/bench.sh --functions
  fi
  printf 'all steps passed in %s s\n' "$SECONDS"
}

require_tools() {
  local tool
  for tool in cargo cc sha256sum; do
    command -v "$tool" >/dev/null || missing "$tool" "install Rust (rustup.rs), a C compiler and coreutils"
  done
  command -v npm >/dev/null || missing npm "install Node 20 or newer: the local Kinesis runs on it"
  ./scripts/terraform.sh version >/dev/null # It says itself what is missing.
  cargo fmt --version >/dev/null 2>&1 || missing "cargo fmt" "rustup component add rustfmt"
  cargo clippy --version >/dev/null 2>&1 || missing "cargo clippy" "rustup component add clippy"
}

missing() {
  printf 'error: %s is not installed\n\nhint: %s\n' "$1" "$2" >&2
  exit 1
}

# What the README's first command does, for a moment, into a warehouse of its own.
main_job() {
  local warehouse status=0
  warehouse=$(mktemp -d)
  ./scripts/run.sh --seconds 2 --rate 5000 --warehouse "$warehouse" || status=$?
  rm -rf "$warehouse"
  return $status
}

# The tables of docs/costs.md are what prices and measurements come to.
costs() {
  .venv/bin/python scripts/costs_test.py && .venv/bin/python scripts/costs.py --check
}

# Runs one step and says how long it took, or that it failed.
step() {
  local name=$1 begun=$SECONDS
  shift
  printf '== %s\n' "$name"
  if ! "$@"; then
    printf '== %s: FAILED after %s s\n' "$name" "$((SECONDS - begun))"
    exit 1
  fi
  printf '== %s: ok, %s s\n' "$name" "$((SECONDS - begun))"
}

# Every fuzz target for a minute. Stable Rust has no sanitizers; panics and disagreements are what is looked for.
fuzz() {
  local tools=$PWD/target/tools target
  step "install cargo-fuzz" cargo install --quiet --locked --root "$tools" cargo-fuzz --version $cargo_fuzz_version
  step "format of the fuzz targets" cargo fmt --manifest-path tests/fuzz/Cargo.toml --check
  for target in tests/fuzz/fuzz_targets/*.rs; do
    target=$(basename "$target" .rs)
    mkdir -p tests/fuzz/corpus
    step "fuzz $target" "$tools/bin/cargo-fuzz" fuzz run --fuzz-dir tests/fuzz --sanitizer none "$target" \
      tests/fuzz/corpus "tests/fuzz/seeds/$target" -- -max_total_time=$fuzz_seconds -dict=tests/fuzz/json.dict
  done
}

main "$@"
