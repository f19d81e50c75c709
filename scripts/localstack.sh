#!/usr/bin/env bash
# LocalStack and SeaweedFS, which environment `local` is applied to: by Docker where an engine runs, else on this machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly compose=docker/localstack/docker-compose.yml folder=.calve/localstack

usage() {
  cat <<'USAGE'
Starts and ends what plays AWS for environment `local`: LocalStack, and SeaweedFS as its Iceberg REST catalog.

usage: scripts/localstack.sh up [--host] [--port N] [--catalog-port N]
       scripts/localstack.sh down | status | env

  up               start both, wait until they answer, and print what `env` prints
  down             end both; what they held is gone
  status           say whether they run; fails when they do not
  env              print the variables that lead to them, as shell exports: eval "$(scripts/localstack.sh env)"

  --host           on this machine, also where there is Docker; functions are then processes of this machine
  --port           where LocalStack listens (default 4566)
  --catalog-port   where the catalog listens (default 8181)
USAGE
}

fail() {
  printf 'error: %s\n\nhint: %s\n' "$1" "$2" >&2
  exit 1
}

action=${1:-} host=false port=4566 catalog_port=8181
case "$action" in
  up | down | status | env) shift ;;
  -h | --help) usage; exit 0 ;;
  *) fail "\`${action}\` is none of up, down, status and env" "scripts/localstack.sh --help" ;;
esac
while [ $# -gt 0 ]; do
  [ "$action" = up ] || fail "\`$action\` takes no options" "scripts/localstack.sh --help"
  case "$1" in
    --host) host=true; shift ;;
    --port | --catalog-port)
      [[ "${2:-}" =~ ^[0-9]+$ ]] && [ "$2" -ge 1 ] && [ "$2" -le 65535 ] || fail "$1 needs a port" "for example: $1 14566"
      name=${1#--}
      declare "${name/-/_}=$2"
      shift 2
      ;;
    *) fail "$1 is not an option" "scripts/localstack.sh --help" ;;
  esac
done

main() {
  case "$action" in
    up) up ;;
    down) down ;;
    status) status ;;
    env) print_env ;;
  esac
}

up() {
  if status >/dev/null 2>&1; then
    echo "both are running already" >&2
    print_env
    return
  fi
  down # One of them may have ended by itself.
  require_free --port "$port"
  require_free --catalog-port "$catalog_port"
  mkdir -p "$folder"
  if ! $host && has_docker; then
    printf '%s %s\n' "$port" "$catalog_port" >"$folder/docker"
    in_docker up --detach --wait ||
      fail "the containers do not start" "their last words: docker compose -f $compose logs"
  else
    ./scripts/local_aws.sh
    servers up --with cloud,seaweedfs --port "cloud=$port" --port "seaweedfs=$catalog_port" >/dev/null
  fi
  print_env
}

down() {
  if [ -e "$folder/docker" ]; then
    in_docker down --volumes
  elif [ -e "$folder/servers.json" ]; then
    servers down
  fi
  rm -rf "$folder"
}

status() {
  if [ -e "$folder/docker" ]; then
    local running
    running=$(in_docker ps --services --status running)
    printf '%s\n' "${running:-no container is running}"
    [ "$(wc -w <<<"$running")" = 2 ]
  elif [ -e "$folder/servers.json" ]; then
    servers status
  else
    echo "not running"
    return 1
  fi
}

# CALVE_CATALOG_* are for commands on this machine, CALVE_LOCAL_CATALOG_* for the functions: in containers these reach
# the catalog by another name. CALVE_READ_* are what tests/readers uses.
print_env() {
  status >/dev/null 2>&1 || fail "LocalStack and SeaweedFS are not both running" "scripts/localstack.sh up"
  local endpoint catalog functions_catalog warehouse s3 key secret
  if [ -e "$folder/docker" ]; then
    read -r port catalog_port <"$folder/docker"
    endpoint=http://127.0.0.1:$port catalog=http://127.0.0.1:$catalog_port functions_catalog=http://seaweedfs:8181
    s3=http://127.0.0.1:${SEAWEEDFS_S3_PORT:-8333} warehouse=s3://tables key=calve-test-writer secret=calve-test-writer-secret
  else
    eval "$(servers env)"
    endpoint=$CALVE_TEST_CLOUD_ENDPOINT catalog=$CALVE_TEST_CATALOG_URI functions_catalog=$CALVE_TEST_CATALOG_URI
    s3=$CALVE_TEST_S3_ENDPOINT warehouse=$CALVE_TEST_CATALOG_WAREHOUSE
    key=$CALVE_TEST_S3_ACCESS_KEY_ID secret=$CALVE_TEST_S3_SECRET_ACCESS_KEY
  fi
  cat <<EXPORTS
export AWS_ENDPOINT_URL=$endpoint
export AWS_REGION=us-east-1
export AWS_DEFAULT_REGION=us-east-1
export AWS_ACCESS_KEY_ID=test
export AWS_SECRET_ACCESS_KEY=test
export CALVE_CATALOG_URI=$catalog
export CALVE_CATALOG_WAREHOUSE=$warehouse
export CALVE_CATALOG_AUTH=oauth2
export CALVE_CATALOG_CREDENTIAL=$key:$secret
export CALVE_CATALOG_VENDED_CREDENTIALS=true
export CALVE_S3_PATH_STYLE=true
export CALVE_LOCAL_CATALOG_URI=$functions_catalog
export CALVE_LOCAL_CATALOG_WAREHOUSE=$warehouse
export CALVE_LOCAL_CATALOG_CREDENTIAL=$key:$secret
export CALVE_READ_CATALOG_WAREHOUSE=$warehouse
export CALVE_READ_CATALOG_CREDENTIAL=$key:$secret
export CALVE_READ_S3_ENDPOINT=$s3
export CALVE_READ_S3_ACCESS_KEY_ID=$key
export CALVE_READ_S3_SECRET_ACCESS_KEY=$secret
EXPORTS
}

has_docker() {
  command -v docker >/dev/null && docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1
}

in_docker() {
  read -r port catalog_port <"$folder/docker"
  LOCALSTACK_PORT=$port SEAWEEDFS_CATALOG_PORT=$catalog_port docker compose --file "$compose" "$@"
}

servers() {
  .venv-aws/bin/python scripts/servers.py "$@" --folder "$folder"
}

# Fails when something answers at the port.
require_free() {
  if (exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null; then
    fail "port $2 is taken$(holder "$2")" "end that, or another port: scripts/localstack.sh up $1 N"
  fi
}

# Who listens at the port, where /proc tells: of programs of our own user, else of all for root.
holder() {
  local socket descriptor pid
  socket=$(awk -v port="$(printf ':%04X' "$1")" '$4 == "0A" && $2 ~ port "$" { print $10; exit }' \
    /proc/net/tcp /proc/net/tcp6 2>/dev/null) || return 0
  [ -n "$socket" ] || return 0
  descriptor=$(find /proc/[0-9]*/fd -lname "socket:\[$socket\]" -print -quit 2>/dev/null) || true
  pid=${descriptor#/proc/}
  pid=${pid%%/*}
  [ -z "$pid" ] || echo " by $(cat "/proc/$pid/comm"), process $pid"
}

main
