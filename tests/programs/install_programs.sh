#!/usr/bin/env bash
# Installs the programs that run on handclasp, and the servers that they talk to: Debian 12, as
# root, from the package registries alone. Idempotent: a second run takes seconds.
#
#   PYTHON     the interpreter of the environment (default: python3)
#   PROGRAMS   the environment to make (default: .peers/programs)
#   ONLY       "tests" installs only what the tests of `make test-long` need, and no server
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
programs="${PROGRAMS:-$root/.peers/programs}"

tests=(requests httpx aiohttp uvicorn)
others=(urllib3 httpcore trio anyio tornado websockets websocket-client hypercorn gunicorn cheroot
  werkzeug flask aiosmtpd aiosmtplib asyncpg pymysql aiomysql redis pymongo pika aio-pika aiokafka
  paho-mqtt nats-py elasticsearch ldap3 uvloop botocore)
servers=(nginx-light redis-server postgresql mariadb-server mosquitto nats-server slapd
  dovecot-imapd dovecot-pop3d vsftpd rabbitmq-server)

main() {
  local wanted=("${tests[@]}")
  if [ "${ONLY:-}" != tests ]; then
    wanted+=("${others[@]}")
    install_servers
  fi
  [ -x "$programs/bin/python" ] || "${PYTHON:-python3}" -m venv "$programs"
  "$programs/bin/python" -m pip install --quiet --disable-pip-version-check \
    --root-user-action=ignore --only-binary :all: 'cryptography>=50' "${wanted[@]}"
}

install_servers() {
  local wanted=() package
  for package in "${servers[@]}"; do
    provided "$package" || wanted+=("$package")
  done
  [ "${#wanted[@]}" -eq 0 ] && return
  echo "installing: ${wanted[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq -o DPkg::Lock::Timeout=600 update
  deny_services
  apt-get -qq -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "${wanted[@]}" \
    >"$(mktemp)"
  allow_services
}

# nginx may come as another flavour.
provided() {
  case "$1" in
    nginx-light) [ -x /usr/sbin/nginx ] ;;
    *) dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q '^install ok installed' ;;
  esac
}

policy=/usr/sbin/policy-rc.d

# The servers would start themselves when they are installed, on ports that nobody asked for.
deny_services() {
  [ -e "$policy" ] && return
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap allow_services EXIT
  ours=yes
}

allow_services() {
  if [ "${ours:-}" = yes ]; then
    rm -f "$policy"
    ours=
  fi
}

main "$@"
