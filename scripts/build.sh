#!/usr/bin/env bash
# Builds the functions as they are deployed, and packs them: target/lambda/<arch>/<function>.zip and .json.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'USAGE'
Builds the functions as they are deployed, and packs them.

usage: scripts/build.sh [--arch arm64|x86_64|both] [--profile release|quick] [--folder FOLDER]

  --arch ARCH        what they run on, default arm64; with `quick` this machine's
  --profile PROFILE  `release` (default) is what is deployed, and takes minutes. `quick` packs what tests use, which is
                     large. For this machine it has to be built already, and is for LocalStack; for another processor
                     it is built as `release` is
  --folder FOLDER    where the packages go, default target/lambda, from where they are deployed

Each function becomes FOLDER/ARCH/FUNCTION.zip, and FUNCTION.json says what that is.
USAGE
}

fail() {
  printf 'error: %s\n\nhint: %s\n' "$1" "$2" >&2
  exit 1
}

readonly functions=(ingest commit)
# That of Lambda's system, provided.al2023. Zig links against any that it is told, whatever this machine has.
readonly glibc=2.34
arch="" profile=release folder=target/lambda
while [ $# -gt 0 ]; do
  case "$1" in
    --arch | --profile | --folder)
      [ $# -ge 2 ] || fail "$1 needs a value" "scripts/build.sh --help"
      declare "${1#--}=$2"
      shift 2
      ;;
    -h | --help) usage; exit 0 ;;
    *) fail "$1 is not an option" "scripts/build.sh --help" ;;
  esac
done

main() {
  case "$arch" in
    "" | arm64 | x86_64 | both) ;;
    *) fail "there is no architecture \`$arch\`" "scripts/build.sh --help" ;;
  esac
  command -v cargo >/dev/null || fail "cargo is not installed" "install Rust from rustup.rs"
  ./scripts/venv.sh
  local here architectures
  here=$(uname -m)
  here=${here/aarch64/arm64}
  case "$profile" in
    release) architectures=("${arch:-arm64}") ;;
    quick) architectures=("${arch:-$here}") ;;
    *) fail "there is no profile \`$profile\`" "scripts/build.sh --help" ;;
  esac
  [ "$arch" != both ] || architectures=(arm64 x86_64)
  if [ "$profile,${architectures[*]}" = "quick,$here" ]; then
    pack_quick "$here"
  else
    build_all "${architectures[@]}"
  fi
}

build_all() {
  local architecture
  export PATH=$PWD/.venv/bin:$PATH
  command -v zig python-zig >/dev/null ||
    fail "zig is not installed, which compiles and links for Lambda's system" "rm -rf .venv && ./scripts/venv.sh"
  # Looked at before the first of them takes minutes.
  for architecture; do
    require_target "$(triple "$architecture")"
  done
  for architecture; do
    build "$architecture"
  done
}

triple() {
  case "$1" in
    arm64) echo aarch64-unknown-linux-gnu ;;
    x86_64) echo x86_64-unknown-linux-gnu ;;
  esac
}

# The standard library of the target, however Rust came to this machine.
require_target() {
  local root other="RUSTC=/path/to/rustc"
  root=$("${RUSTC:-rustc}" --print sysroot)
  [ "$1,$(uname -m)" != aarch64-unknown-linux-gnu,x86_64 ] || other="on Debian that of \`eval \"\$(scripts/arm64.sh)\"\`"
  [ -d "$root/lib/rustlib/$1/lib" ] ||
    fail "the Rust target $1 is not installed" "rustup target add $1   (or another compiler: $other)"
}

build() {
  local packages=$folder/$1 function options=() binaries=()
  if [ "$profile" = release ]; then options=(--release); else options=(--profile "$profile"); fi
  for function in "${functions[@]}"; do
    options+=(--package "$function" --bin "$function")
    binaries+=("$function=$packages/build/$function/bootstrap")
  done
  echo "building for $1 (takes minutes)" >&2
  # Unless it skips the check, cargo-lambda adds a target to Rust's `stable` whenever that lacks it, whatever compiler builds.
  cargo lambda build --skip-target-check --locked --target "$(triple "$1").$glibc" --lambda-dir "$packages/build" "${options[@]}" ||
    fail "the functions could not be built for $1" "the compiler's own words stand above"
  .venv/bin/python scripts/package_function.py --glibc $glibc "$packages" "${binaries[@]}"
}

# What `cargo build` has made already. It asks for this machine's glibc, as whoever starts it here has.
pack_quick() {
  local target=${CARGO_TARGET_DIR:-target} function binaries=()
  for function in "${functions[@]}"; do
    [ -x "$target/quick/$function" ] ||
      fail "$target/quick/$function is not built" "cargo build --profile quick --workspace --locked"
    binaries+=("$function=$target/quick/$function")
  done
  .venv/bin/python scripts/package_function.py "$folder/$1" "${binaries[@]}"
}

main
