#!/usr/bin/env bash
# Builds the functions as they are deployed, and packs them: target/lambda/<arch>/<function>.zip and .json.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'USAGE'
Builds the functions as they are deployed, and packs them.

usage: scripts/build.sh [--arch arm64|x86_64|both] [--profile release|quick]

  --arch ARCH        what they run on, default arm64; with `quick` this machine's
  --profile PROFILE  `release` (default) is what is deployed, and takes minutes. `quick` packs what tests use, built for
                     this machine alone; it is large, and for LocalStack

Each function becomes target/lambda/ARCH/FUNCTION.zip, and FUNCTION.json says what that is.
USAGE
}

fail() {
  printf 'error: %s\n\nhint: %s\n' "$1" "$2" >&2
  exit 1
}

readonly functions=(ingest commit)
arch="" profile=release
while [ $# -gt 0 ]; do
  case "$1" in
    --arch | --profile)
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
  target=${CARGO_TARGET_DIR:-target}
  lambda=target/lambda # Where deploy.sh looks, wherever Cargo builds.
  case "$profile" in
    release) build_release ;;
    quick) pack_quick ;;
    *) fail "there is no profile \`$profile\`" "scripts/build.sh --help" ;;
  esac
}

build_release() {
  local architectures=("${arch:-arm64}") architecture
  [ "$arch" != both ] || architectures=(arm64 x86_64)
  export PATH=$PWD/.venv/bin:$PATH
  command -v zig python-zig >/dev/null ||
    fail "zig is not installed, which compiles and links for Lambda's system" "rm -rf .venv && ./scripts/venv.sh"
  # Looked at before the first of them takes minutes.
  for architecture in "${architectures[@]}"; do
    require_target "$(triple "$architecture")"
  done
  for architecture in "${architectures[@]}"; do
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
  local root
  root=$("${RUSTC:-rustc}" --print sysroot)
  [ -d "$root/lib/rustlib/$1/lib" ] ||
    fail "the Rust target $1 is not installed" "rustup target add $1   (or another compiler: RUSTC=/path/to/rustc)"
}

build() {
  local folder=$lambda/$1 function packages=() binaries=()
  for function in "${functions[@]}"; do
    packages+=(--package "$function" --bin "$function")
    binaries+=("$function=$folder/build/$function/bootstrap")
  done
  echo "building for $1 (takes minutes)" >&2
  cargo lambda build --release --locked --target "$(triple "$1")" --lambda-dir "$folder/build" "${packages[@]}" ||
    fail "the functions could not be built for $1" "the compiler's own words stand above"
  .venv/bin/python scripts/package_function.py "$folder" "${binaries[@]}"
}

pack_quick() {
  local here function binaries=()
  here=$(uname -m)
  here=${here/aarch64/arm64}
  [ -z "$arch" ] || [ "$arch" = "$here" ] ||
    fail "the profile \`quick\` is built for this machine, $here, and not for $arch" "scripts/build.sh --arch $arch"
  for function in "${functions[@]}"; do
    [ -x "$target/quick/$function" ] ||
      fail "$target/quick/$function is not built" "cargo build --profile quick --workspace --locked"
    binaries+=("$function=$target/quick/$function")
  done
  .venv/bin/python scripts/package_function.py "$lambda/$here" "${binaries[@]}"
}

main
