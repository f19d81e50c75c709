# What the scripts that make a virtual environment share; they source it, in the repository's folder.
# shellcheck shell=bash

# Waits until nobody else makes the environment `$1`: of two at once each would take away what the other has made so far.
lock_venv() {
  command -v flock >/dev/null || return 0
  mkdir -p .calve
  exec 9>".calve/${1#.}.lock"
  flock --nonblock 9 || {
    echo "another run makes $1; waiting for it" >&2
    flock 9
  }
}
