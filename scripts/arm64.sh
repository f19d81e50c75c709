#!/usr/bin/env bash
# Gets what builds and starts programs for arm64 on x86-64: by rustup, and from Debian's packages into `.calve/arm64`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly target=aarch64-unknown-linux-gnu folder=$PWD/.calve/arm64 root=$PWD/.calve/arm64/root
readonly unavailable=69

usage() {
  cat <<'USAGE'
Gets what builds and starts programs for arm64 on x86-64: by rustup, and from Debian's packages into .calve/arm64.

usage: eval "$(scripts/arm64.sh)"

Prints variables:
  RUSTC            Debian's compiler, which knows the target, as scripts/build.sh takes it. Not set when Rust has the target,
                   which rustup adds where there is one that can get it
  CALVE_RUN_ARM64  a program that runs programs for arm64

No package is installed, and root is not needed: they are unpacked there, and the lists of packages lie there too.
Ends with 69, and says in one line what is missing, where such packages cannot be had.
USAGE
}

main() {
  case "${1:-}" in
    "") ;;
    -h | --help) usage; exit 0 ;;
    *) printf 'error: %s is not an option\n\nhint: scripts/arm64.sh --help\n' "$1" >&2; exit 2 ;;
  esac
  [ "$(uname -sm)" = "Linux x86_64" ] || missing "this is no Linux on x86-64"
  command -v rustc cargo >/dev/null || missing "Rust is not installed"

  local compiler=true stamp=$folder/complete wanted
  # One that was got before says nothing about the machine's own.
  [ "${RUSTC:-}" != "$folder/rustc" ] || unset RUSTC
  if knows_target || { add_target && knows_target; }; then compiler=false; fi
  wanted=$({ cat scripts/arm64.sh; rust_version; echo $compiler; } | sha256sum)
  if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    get
    printf '%s\n' "$wanted" >"$stamp"
  fi
  ! $compiler || printf 'export RUSTC=%q\n' "$folder/rustc"
  printf 'export CALVE_RUN_ARM64=%q\n' "$folder/run"
}

knows_target() {
  [ -d "$("${RUSTC:-rustc}" --print sysroot)/lib/rustlib/$target/lib" ]
}

# To the compiler that rustup chooses here. It fails where rustup cannot download, for which there is Debian's compiler.
add_target() {
  [ -z "${RUSTC:-}" ] && command -v rustup >/dev/null && rustup target add $target >&2
}

# The oldest compiler that builds ours.
rust_version() {
  sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml
}

get() {
  local tool packages
  for tool in apt-get dpkg; do
    command -v $tool >/dev/null || missing "this is no Debian: $tool is not installed"
  done
  rm -rf "$folder"
  mkdir -p "$folder/packages" "$root"
  configure_apt
  echo "looking for Debian's packages for arm64" >&2
  # Other archives that the machine names may fail. What is missing after all is said below.
  ours apt-get update >"$folder/update.log" 2>&1 || true

  packages=(qemu-user-static libc6-arm64-cross libgcc-s1-arm64-cross)
  ! $compiler || add_compiler
  echo "unpacking ${#packages[@]} packages for arm64 into .calve/arm64" >&2
  unpack
  write_runner
  ! $compiler || write_compiler
}

# Lists, downloads and architectures of our own; archives and keys are the machine's. What is installed is looked at alone.
configure_apt() {
  mkdir -p "$folder/apt/lists/partial" "$folder/apt/archives/partial"
  cat >"$folder/apt.conf" <<APT
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::State "$folder/apt";
Dir::State::lists "$folder/apt/lists";
Dir::State::status "/var/lib/dpkg/status";
Dir::Cache "$folder/apt";
Debug::NoLocking "true";
APT::Sandbox::User "";
APT::Architecture "amd64";
APT::Architectures { "amd64"; $(! $compiler || echo '"arm64";') };
APT
}

# ours apt-get|apt-cache ARGUMENT...: with that configuration after the machine's, whose hooks would tidy the machine's folders.
ours() {
  local tool=$1
  shift
  "$tool" --config-file="$folder/apt.conf" "$@"
}

# Debian keeps a recent compiler for its browsers, with a standard library for each architecture.
add_compiler() {
  local library needed
  library=$({ ours apt-cache depends libstd-rust-web-dev 2>/dev/null || true; } | sed -n 's/^ *Depends: \(libstd-rust-web-[0-9.]*\)$/\1/p')
  [ -n "$library" ] || missing "the package libstd-rust-web-dev"
  # What this machine is without of the libraries that the compiler itself needs.
  needed=$(ours apt-get install --simulate --no-install-recommends "$library" 2>/dev/null | sed -n 's/^Inst \([^ ]*\) .*/\1/p') ||
    missing "what the package $library depends on"
  mapfile -t packages < <(printf '%s\n' "${packages[@]}" rustc-web libstd-rust-web-dev libstd-rust-web-dev:arm64 \
    "$library" "$needed" | sed '/^$/d' | sort -u)
}

unpack() {
  local package
  for package in "${packages[@]}"; do
    (cd "$folder/packages" && ours apt-get download "$package" >>"$folder/download.log" 2>&1) || missing "the package $package"
  done
  for package in "$folder"/packages/*.deb; do
    dpkg -x "$package" "$root"
  done
  # What is large and not used.
  rm -rf "$folder/packages" "$folder/apt" "${root:?}/usr/share"
  find "$root/usr/bin" -name 'qemu-*' ! -name qemu-aarch64-static -delete
}

write_runner() {
  write run "exec '$root/usr/bin/qemu-aarch64-static' -L '$root/usr/aarch64-linux-gnu' \"\$@\""
  "$root/usr/bin/qemu-aarch64-static" --version >/dev/null 2>&1 || missing "qemu-aarch64-static in the package qemu-user-static"
  [ -e "$root/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1" ] || missing "the C library in the package libc6-arm64-cross"
}

write_compiler() {
  local version oldest
  write rustc "LD_LIBRARY_PATH='$root/usr/lib/x86_64-linux-gnu' exec '$root/usr/bin/rustc' \"\$@\""
  version=$("$folder/rustc" --version 2>"$folder/rustc.log" | cut -d' ' -f2) || missing "a compiler that starts: $(tail -n1 "$folder/rustc.log")"
  oldest=$(printf '%s\n' "$version" "$(rust_version)" | sort -V | head -n1)
  [ "$oldest" = "$(rust_version)" ] || missing "a compiler that is not older than $(rust_version): Debian's rustc-web is $version"
  [ -d "$("$folder/rustc" --print sysroot)/lib/rustlib/$target/lib" ] || missing "the standard library in the package libstd-rust-web-dev:arm64"
}

# write NAME LINE: a program of one line.
write() {
  printf '#!/bin/sh\n%s\n' "$2" >"$folder/$1"
  chmod +x "$folder/$1"
}

missing() {
  printf 'what builds and starts programs for arm64 cannot be had: %s\n' "$1" >&2
  exit $unavailable
}

main "$@"
