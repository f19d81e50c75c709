#!/usr/bin/env bash
# Runs Terraform as every script of this repository does: `scripts/terraform.sh -chdir=DIR COMMAND …`, from any folder.
#
# It wants Terraform 1.10 or newer (`TERRAFORM` names another program) and keeps providers once for all configurations,
# in `.calve/terraform`. Where the registry does not answer, it takes the provider from a mirror on this machine, if
# there is one, and remembers it.
set -euo pipefail

fail() {
  printf 'error: %s\n\nhint: %s\n' "$1" "$2" >&2
  exit 1
}

readonly needed_minor=10      # State locks in the S3 bucket itself.
readonly provider=hashicorp/aws
readonly provider_versions=5.100.0
home=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.calve/terraform
terraform=${TERRAFORM:-terraform}

main() {
  settle_environment
  check_version
  if [ "$(command_of "$@")" = init ]; then
    # Two at once would write the same file of the cache.
    exec 9>"$home/init.lock"
    ! command -v flock >/dev/null || flock 9
    init "$@"
  else
    exec "$terraform" "$@"
  fi
}

settle_environment() {
  mkdir -p "$home/providers"
  export CHECKPOINT_DISABLE=1
  export TF_PLUGIN_CACHE_DIR=${TF_PLUGIN_CACHE_DIR:-$home/providers}
  mkdir -p "$TF_PLUGIN_CACHE_DIR"
  # Without it the cache serves only what a lock file names, and lock files of one platform are not kept here.
  export TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE=1
  # Terraform warns of a file that is not there, each time.
  [ -e "${TF_CLI_CONFIG_FILE:-}" ] || unset TF_CLI_CONFIG_FILE
}

check_version() {
  command -v "$terraform" >/dev/null ||
    fail "\`$terraform\` is not installed" \
      "install Terraform 1.$needed_minor or newer (developer.hashicorp.com/terraform/install), or name one: TERRAFORM=/path/to/terraform"
  local said version rest
  said=$("$terraform" version -json) || fail "\`$terraform version\` failed" "its own message stands above"
  version=$(value_of terraform_version "$said")
  platform=$(value_of platform "$said")
  rest=${version#*.}
  if [ "${version%%.*}" -lt 1 ] || { [ "${version%%.*}" -eq 1 ] && [ "${rest%%.*}" -lt $needed_minor ]; }; then
    fail "\`$terraform\` is $version, older than 1.$needed_minor" \
      "install a newer one (developer.hashicorp.com/terraform/install), or name one: TERRAFORM=/path/to/terraform"
  fi
}

value_of() {
  sed -n "s/.*\"$1\": \"\([^\"]*\)\".*/\1/p" <<<"$2" | head -n 1
}

# The first word that is no option: those before the command all have the form `-name=value`.
command_of() {
  local word
  for word in "$@"; do
    case "$word" in
      -*) ;;
      *) echo "$word"; return ;;
    esac
  done
}

# From where Terraform would take the provider, else from a mirror.
init() {
  local code=0 errors
  if [ -z "${TF_CLI_CONFIG_FILE:-}" ] && remembered_mirror; then
    export TF_CLI_CONFIG_FILE=$home/mirror.tfrc
    exec "$terraform" "$@"
  fi
  errors=$(mktemp)
  "$terraform" "$@" 2>"$errors" || code=$?
  if [ $code -eq 0 ] || ! grep -q -e "Failed to query available provider" -e "Failed to install provider" "$errors"; then
    cat "$errors" >&2
    rm -f "$errors"
    exit $code
  fi
  echo "the provider $provider cannot be had from the registry: looking for a mirror of it on this machine" >&2
  if ! find_mirror; then
    cat "$errors" >&2
    rm -f "$errors"
    fail "the provider $provider $provider_versions cannot be had: the registry does not answer, and no mirror is on this machine" \
      "with a connection: terraform providers mirror DIR; then name DIR in a file for TF_CLI_CONFIG_FILE (developer.hashicorp.com/terraform/cli/config/config-file)"
  fi
  rm -f "$errors"
  export TF_CLI_CONFIG_FILE=$home/mirror.tfrc
  exec "$terraform" "$@"
}

remembered_mirror() {
  [ -s "$home/mirror" ] && [ -s "$home/mirror.tfrc" ] && serves "$(cat "$home/mirror")"
}

# Writes the folder down, and a configuration that names it. A mirror is laid out as HOST/NAMESPACE/TYPE.
find_mirror() {
  local folder root
  while IFS= read -r folder; do
    serves "$folder" || continue
    root=$(cd "$folder/../../.." && pwd)
    printf '%s\n' "$folder" >"$home/mirror"
    printf 'provider_installation {\n  filesystem_mirror {\n    path    = "%s"\n    include = ["*/*"]\n  }\n}\n' \
      "$root" >"$home/mirror.tfrc"
    echo "using the mirror $root" >&2
    return 0
  done < <(find / \( -path /proc -o -path /sys -o -path "$TF_PLUGIN_CACHE_DIR" \) -prune -o \
    -type d -path "*/$provider" -not -path '*/.terraform/*' -print 2>/dev/null | sort)
  return 1
}

# Whether a folder has the provider for this platform, unpacked or packed.
serves() {
  # A provider is a program: none that another user of this machine may have put there.
  [ -O "$1" ] || [ "$(stat -c %u "$1" 2>/dev/null || stat -f %u "$1")" = 0 ] || return 1
  [ -e "$1/$provider_versions/$platform" ] ||
    [ -e "$1/terraform-provider-${provider#*/}_${provider_versions}_$platform.zip" ]
}

main "$@"
