"""Real failures: what is wrong, with which program, and what has to be told of it, and why.

Each is set up with the program itself, and `handclasp connect` or `handclasp serve` is run against
it as a person would. The table in docs/failures.md is made of the same cases.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from tests.failures.captured import captured_table
from tests.failures.conftest import (
    NGINX_HEAD,
    SECONDS,
    Files,
    abort,
    answering,
    files,
    mangling,
    openssl_server,
    plain_nginx,
)
from tests.interop.peers.base import Options
from tests.interop.peers.registry import peer_named
from tests.interop.pki import PASSWORD
from tests.pki import (
    Authority,
    Leaf,
    Pki,
    key_of_type,
    key_pem,
    name_constraints,
    pem_of,
    self_signed,
)
from tests.required import lacking, need_tool

from handclasp.advice import with_condition

NOW = datetime.now(UTC)


@dataclass
class Bench:
    """What a case is set up with: a directory, an authority that is trusted, and one that is not.

    Attributes:
        trusted: the file of authorities that this side trusts.
    """

    directory: Path
    pki: Pki
    other: Pki
    trusted: str = ""

    def files(self, leaf: Leaf | None = None, issuer: Authority | None = None, **how: Any) -> Files:
        return files(self.directory, issuer or self.pki, leaf, **how)

    def chain(self, *certificates: x509.Certificate, key: Any) -> Files:
        """A chain of this very order, for programs that read files."""
        chain, key_file = self.directory / "own.pem", self.directory / "own.key"
        chain.write_bytes(pem_of(*certificates))
        key_file.write_bytes(key_pem(key))
        return Files(str(chain), str(key_file), self.trusted)


Serving = AbstractContextManager[int]


@dataclass(frozen=True)
class Live:
    """One failure.

    Attributes:
        peer, wrong: the program on the other end, and what is wrong; for the table.
        serve: runs a server that is wrong, for `handclasp connect`; gives its port.
        visit: comes to the port of `handclasp serve` as a client that is wrong.
        arguments: of the command, besides what all cases have.
        fault, blame: as `--json` has them.
        cause, condition, fix: what is told of it, word for word or in part.
        never: words that must not be told, as they would be wrong.
        why: why that is right, for the table.
    """

    id: str
    peer: str
    wrong: str
    fault: str
    blame: str
    cause: str
    condition: str
    fix: str
    why: str
    serve: Callable[[Bench], Serving] | None = None
    visit: Callable[[Bench, int], object] | None = None
    arguments: tuple[str, ...] = ()
    cause_also: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    server_name: str = "localhost"
    sends: bool = False
    tools: tuple[str, ...] = field(default=())


# Servers that are wrong


def openssl(*flags: str, leaf: Leaf | None = None, key_type: str = "ecdsa-p256") -> Any:
    def serve(bench: Bench) -> Serving:
        shown = bench.files(leaf, key_type=key_type)
        named = [bench.trusted if flag == "CA" else flag for flag in flags]
        return openssl_server(bench.directory, *shown.shown, *named)

    return serve


def openssl_showing(make: Callable[[Bench], Files]) -> Any:
    def serve(bench: Bench) -> Serving:
        shown = make(bench)
        return openssl_server(
            bench.directory, "-cert", shown.chain, "-key", shown.key, "-cert_chain", shown.chain
        )

    return serve


_NGINX = (
    NGINX_HEAD
    + """\
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {chain}; ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
    {more}
    return 200 "hello";
  }}
}}
"""
)


def nginx(more: str, leaf: Leaf | None = None, key_type: str = "ecdsa-p256") -> Any:
    @contextmanager
    def serve(bench: Bench) -> Iterator[int]:
        import socket

        from tests.children import child

        shown = bench.files(leaf, key_type=key_type)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        config = bench.directory / "nginx.conf"
        config.write_text(
            _NGINX.format(
                directory=bench.directory,
                port=port,
                chain=shown.chain,
                key=shown.key,
                more=more.replace("CA", bench.trusted),
            )
        )
        command = [need_tool("nginx"), "-e", "stderr", "-c", str(config)]
        with child(command, bench.directory) as process:
            process.wait_for("event method")
            yield port

    return serve


def program(name: str, make: Callable[[Bench], Files]) -> Any:
    """The server of Go or Java."""

    def serve(bench: Bench) -> Serving:
        peer = peer_named(name)
        reason = peer.unavailable()
        if reason is not None:
            lacking(reason)
        return _program_server(peer, _options(bench, make(bench)), bench.directory)

    return serve


@contextmanager
def _program_server(peer: Any, options: Options, directory: Path) -> Iterator[int]:
    with peer.start_server(options, directory) as server:
        yield server.port


def _options(bench: Bench, shown: Files) -> Options:
    store = bench.directory / "own.p12"
    command = [need_tool("openssl"), "pkcs12", "-export", "-in", shown.chain, "-inkey", shown.key]
    command += ["-out", str(store), "-passout", f"pass:{PASSWORD}", "-name", "own"]
    subprocess.run(command, check=True, capture_output=True)
    identity = SimpleNamespace(chain=Path(shown.chain), key=Path(shown.key), pkcs12=store)
    payload = Path(bench.trusted)
    return Options(ca=Path(shown.ca), payload=payload, identity=identity)  # type: ignore[arg-type]


def talking(talk: Callable[[Any], object]) -> Any:
    def serve(bench: Bench) -> Serving:
        return answering(talk)

    return serve


def _ssh(sock: Any) -> None:
    sock.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
    while sock.recv(65536):
        pass


def _reset(sock: Any) -> None:
    sock.recv(65536)
    abort(sock)


def _without_goodbye(bench: Bench) -> Serving:
    import socket
    import ssl

    shown = bench.files()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown.chain, shown.key)

    def talk(sock: Any) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            tls.recv(65536)
            tls.sendall(b"half of it")
            socket.socket.shutdown(tls, socket.SHUT_RDWR)

    return answering(talk)


@contextmanager
def _flipped(bench: Bench) -> Iterator[int]:
    with openssl()(bench) as port, mangling(port, None, 0) as mine:
        yield mine


def _plain(bench: Bench) -> Serving:
    return plain_nginx(bench.directory)


# Chains that are wrong


def _incomplete(bench: Bench) -> Files:
    """A leaf without its intermediate, which says where that can be fetched."""
    between = bench.pki.intermediate("Example Issuing CA")
    key = key_of_type("ecdsa-p256")
    return bench.chain(between.issue(Leaf(), key.public_key(), _AIA), key=key)


_AIA = x509.AuthorityInformationAccess(
    [
        x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS,
            x509.UniformResourceIdentifier("http://ca.example/issuing.crt"),
        )
    ]
)


def _wrong_intermediate(bench: Bench) -> Files:
    between = bench.pki.intermediate("Example Issuing CA")
    another = bench.pki.intermediate("Last Year's CA")
    key = key_of_type("ecdsa-p256")
    leaf = between.issue(Leaf(), key.public_key(), _AIA)
    return bench.chain(leaf, another.certificate, key=key)


def _root_before_it(bench: Bench) -> Files:
    between = bench.pki.intermediate("Example Issuing CA")
    key = key_of_type("ecdsa-p256")
    leaf = between.issue(Leaf(), key.public_key(), _AIA)
    return bench.chain(leaf, bench.pki.certificate, key=key)


def _expired(bench: Bench) -> Files:
    return bench.files(Leaf(not_before=NOW - timedelta(90), not_after=NOW - timedelta(1)))


def _self_signed(bench: Bench) -> Files:
    certificate, key = self_signed(Leaf(common_name="localhost"))
    return bench.chain(certificate, key=key)


def _stranger(bench: Bench) -> Files:
    stranger = Pki("A Stranger's Root")
    return bench.files(issuer=Authority(stranger.certificate, stranger.key), name="stranger")


def _outdated_root(bench: Bench) -> Files:
    old = Pki("Old Company Root", not_before=NOW - timedelta(900), not_after=NOW - timedelta(1))
    Path(bench.trusted).write_bytes(old.pem)
    return bench.files(issuer=old, name="old")


def _dotted_constraint(bench: Bench) -> Files:
    limited = Pki("Company Root", extensions=[name_constraints([".example.test"])])
    Path(bench.trusted).write_bytes(limited.pem)
    return bench.files(Leaf(("www.example.test",)), issuer=limited, name="limited")


def _ed25519_root(bench: Bench) -> Files:
    modern = Pki("Ed25519 Root", "ed25519")
    Path(bench.trusted).write_bytes(modern.pem)
    return bench.files(issuer=modern, name="modern")


def client_of_a_stranger(bench: Bench) -> Files:
    """The certificate of a client, of an authority that nobody here trusts."""
    leaf = Leaf((), common_name="alice", purpose=ExtendedKeyUsageOID.CLIENT_AUTH)
    return bench.files(leaf, issuer=bench.other, name="alice")


# Clients that are wrong


def s_client(*flags: str) -> Any:
    def visit(bench: Bench, port: int) -> None:
        named = [bench.trusted if flag == "CA" else flag for flag in flags]
        command = [need_tool("openssl"), "s_client", "-connect", f"127.0.0.1:{port}"]
        _run([*command, "-servername", "localhost", "-verify_return_error", *named])

    return visit


def curl(*flags: str, url: str = "https://localhost:{port}/") -> Any:
    def visit(bench: Bench, port: int) -> None:
        named = [bench.trusted if flag == "CA" else flag for flag in flags]
        command = [need_tool("curl"), "--silent", "--noproxy", "*"]
        command += ["--resolve", f"localhost:{port}:127.0.0.1"]
        command += ["--resolve", f"other.test:{port}:127.0.0.1"]
        _run([*command, *named, url.format(port=port)])

    return visit


def client_program(name: str) -> Any:
    """The client of Go or Java, which does not know the authority."""

    def visit(bench: Bench, port: int) -> None:
        peer = peer_named(name)
        reason = peer.unavailable()
        if reason is not None:
            lacking(reason)
        unknown = bench.directory / "unknown.pem"
        unknown.write_bytes(Pki("Somebody Else's Root").pem)
        options = Options(ca=unknown, payload=Path(bench.trusted))
        with suppress(Exception):  # What it says of the failure is its own business.
            peer.run_client(port, options, bench.directory)

    return visit


def _run(command: list[str]) -> None:
    subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False
    )


def _scan(bench: Bench, port: int) -> None:
    import socket

    socket.create_connection(("127.0.0.1", port), SECONDS).close()


FAILURE = "PEER_HANDSHAKE_FAILURE"
NOT_SAID = "the alert does not say in which respect"
DO_NOT_FIT = "the settings of the two ends do not fit together"
ALL_RECOMMENDED = (
    "since the hello has the cipher suites, groups and signature schemes that are recommended today"
)
ONE_OF = "so it is one of these"
OLD_SUITES = (
    "old servers may have only some with CBC, DHE or RSA key transport, which were not offered"
)
SEE_THE_LOG = "See in the server's log which of these it is"
CLOCK = "unless the clock of this machine is wrong"

CONNECT = [
    Live(
        "no shared group, TLS 1.3",
        "nginx",
        "`ssl_ecdh_curve prime256v1` and a client with X25519 alone",
        FAILURE,
        "unclear",
        "Most likely: the server accepts none of the groups that were offered: X25519.",
        DO_NOT_FIT,
        "On this end: Offer secp256r1 as well",
        "The hello has every usual suite and scheme, and of the usual groups only one.",
        nginx("ssl_ecdh_curve prime256v1;"),
        arguments=("--group", "X25519", "--tls13"),
        never=("Enable TLS_AES_128_GCM_SHA256",),
    ),
    Live(
        "no shared group, TLS 1.2",
        "nginx",
        "the same in TLS 1.2",
        FAILURE,
        "unclear",
        "Most likely: the server accepts none of the groups that were offered: X25519.",
        DO_NOT_FIT,
        "On this end: Offer secp256r1 as well",
        "In TLS 1.2 the alert is the same, and so is what the hello lacks.",
        nginx("ssl_ecdh_curve prime256v1;"),
        arguments=("--group", "X25519", "--tls12"),
    ),
    Live(
        "a server with P-521 alone",
        "OpenSSL s_server",
        "`-groups P-521` and a client with X25519 and P-256",
        FAILURE,
        "server",
        "Most likely: the server accepts none of the groups that were offered: X25519, secp256r1.",
        "since the hello has the groups that are recommended today",
        "On the other end: Allow one of the groups that the client offers.",
        "The client has the groups that RFC 9846 section 9.1 names, so it is the server that is "
        "unusual; P-384 and P-521, which many offer, are all that the hello leaves out.",
        openssl("-groups", "P-521"),
        arguments=("--group", "X25519", "--group", "secp256r1"),
    ),
    Live(
        "a server with a brainpool curve alone",
        "OpenSSL s_server",
        "`-groups brainpoolP256r1` and the usual hello",
        FAILURE,
        "server",
        ONE_OF,
        ALL_RECOMMENDED,
        SEE_THE_LOG,
        "Nothing in the hello tells the causes apart, so none is called the likeliest, and nothing "
        "that was offered already is advised.",
        openssl("-groups", "brainpoolP256r1"),
        cause_also=("the groups",),
        never=("Most likely", "On this end: Offer"),
    ),
    Live(
        "an ECDSA certificate and suites for RSA",
        "OpenSSL s_server",
        "an ECDSA certificate, and a client of TLS 1.2 with one RSA suite",
        FAILURE,
        "unclear",
        "with an ECDSA certificate, a server of TLS 1.2 can use none of them",
        DO_NOT_FIT,
        "On this end: Offer TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 as well",
        "Suites of TLS 1.2 name the kind of key, and the hello has only one of the two kinds.",
        openssl(),
        arguments=("--tls12", "--suite", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    ),
    Live(
        "a server that may not sign with its key",
        "OpenSSL s_server",
        "an RSA certificate, and `-sigalgs ecdsa_secp256r1_sha256`",
        FAILURE,
        "server",
        "the server's certificate and its key",
        ALL_RECOMMENDED,
        SEE_THE_LOG,
        "All usual schemes were offered, so only the server's own log can tell.",
        openssl("-sigalgs", "ecdsa_secp256r1_sha256", key_type="rsa-2048"),
        never=("Most likely",),
    ),
    Live(
        "an Ed25519 authority",
        "OpenSSL s_server",
        "a chain to an Ed25519 authority",
        FAILURE,
        "server",
        "the authority of that certificate",
        ALL_RECOMMENDED,
        SEE_THE_LOG,
        "OpenSSL goes by signature_algorithms_cert and gives up; that Ed25519 is not in it is "
        "named among the causes.",
        openssl_showing(_ed25519_root),
        cause_also=("signature_algorithms_cert", "such as Ed25519"),
    ),
    Live(
        "an Ed25519 authority that is shown anyway",
        "Go crypto/tls",
        "the same chain",
        "UNSUPPORTED_CERTIFICATE",
        "unclear",
        "CN=Ed25519 Root: authorities with a key of this kind (ed25519) are not supported",
        "the server shows a certificate of an authority with such a key, and the client takes none",
        "On the other end: Get a certificate from an authority with an RSA key",
        "The leaf's key is not the matter, and a leaf with an Ed25519 key would not help.",
        program("go", _ed25519_root),
        never=("Ed25519, or RSA",),
    ),
    Live(
        "a server without certificates",
        "OpenSSL s_server",
        "`-nocert -psk`: only pre-shared keys",
        FAILURE,
        "server",
        "a pre-shared key that it requires",
        "unless the server is for special clients only",
        SEE_THE_LOG,
        "A server for clients with keys answers others with the same alert.",
        openssl("-nocert", "-psk", "0102030405060708090a0b0c0d0e0f10"),
        cause_also=("The server accepts only clients with a pre-shared key",),
    ),
    Live(
        "a server of TLS 1.2 with pre-shared keys alone",
        "OpenSSL s_server",
        "the same with `-tls1_2 -cipher PSK-AES128-GCM-SHA256`",
        FAILURE,
        "server",
        "a pre-shared key that it requires",
        "unless the server is for special clients only",
        "If the server has only pre-shared keys, give it a certificate.",
        "There are no pre-shared keys of TLS 1.2 here, and RSA key transport would not help: its "
        "advice names the servers that it is for.",
        openssl(
            "-nocert", "-psk", "0102030405060708", "-tls1_2", "-cipher", "PSK-AES128-GCM-SHA256"
        ),
        cause_also=("If the server's settings allow RSA key transport with AES-GCM",),
    ),
    Live(
        "a server with old suites alone",
        "OpenSSL s_server",
        "TLS 1.2 with `-cipher AES128-SHA`",
        FAILURE,
        "server",
        "the cipher suites",
        ALL_RECOMMENDED,
        "If the server has only suites with CBC, DHE or RSA key transport, enable TLS 1.3, or "
        "suites with ECDHE and AES-GCM.",
        "A client offers no CBC suites for good reason, so the server has to change.",
        openssl("-tls1_2", "-cipher", "AES128-SHA", key_type="rsa-2048"),
        cause_also=(OLD_SUITES,),
    ),
    Live(
        "a server with RSA key transport alone",
        "OpenSSL s_server",
        "TLS 1.2 with `-cipher AES128-GCM-SHA256`",
        FAILURE,
        "server",
        OLD_SUITES,
        ALL_RECOMMENDED,
        "and it cannot be updated, allow that, though it is weak: it has no forward secrecy "
        "(--allow-rsa-key-transport).",
        "This is the one old kind that can be enabled here. The alert does not tell it from the "
        "others, and nor does the log, so the advice depends on the server's settings, and does "
        "not hide what is given up.",
        openssl("-tls1_2", "-cipher", "AES128-GCM-SHA256", key_type="rsa-2048"),
        cause_also=(SEE_THE_LOG,),
        never=("Most likely",),
    ),
    Live(
        "a server with CBC suites alone",
        "OpenSSL s_server",
        "TLS 1.2 with `-cipher ECDHE-RSA-AES256-SHA384`",
        FAILURE,
        "server",
        OLD_SUITES,
        ALL_RECOMMENDED,
        SEE_THE_LOG,
        "The hello has what is recommended, but other clients offer CBC as well, so the words do "
        "not say that nothing is missing.",
        openssl("-tls1_2", "-cipher", "ECDHE-RSA-AES256-SHA384", key_type="rsa-2048"),
        never=("othing usual is missing", "Most likely"),
    ),
    Live(
        "a server with DHE suites alone",
        "OpenSSL s_server",
        "TLS 1.2 with `-cipher DHE-RSA-AES256-GCM-SHA384`",
        FAILURE,
        "server",
        OLD_SUITES,
        ALL_RECOMMENDED,
        SEE_THE_LOG,
        "The same with finite-field groups, though the suite has forward secrecy and an AEAD.",
        openssl("-tls1_2", "-cipher", "DHE-RSA-AES256-GCM-SHA384", key_type="rsa-2048"),
        never=("othing usual is missing", "Most likely"),
    ),
    Live(
        "expired",
        "Java JSSE",
        "a certificate that expired yesterday",
        "CERTIFICATE_EXPIRED",
        "server",
        "localhost expired at",
        CLOCK,
        "On the other end: Renew the certificate.",
        "By the date in the certificate it is over, if the clock that says so is right; the "
        "evidence is the field notAfter.",
        program("jsse", _expired),
        cause_also=("notAfter of the certificate",),
    ),
    Live(
        "not valid yet",
        "OpenSSL s_server",
        "a certificate that begins tomorrow",
        "CERTIFICATE_NOT_YET_VALID",
        "server",
        "localhost is valid from",
        CLOCK,
        "On this end: Check the clock of this machine.",
        "The same with the field notBefore.",
        openssl(leaf=Leaf(not_before=NOW + timedelta(1), not_after=NOW + timedelta(9))),
        cause_also=("notBefore of the certificate",),
    ),
    Live(
        "without its intermediate",
        "Go crypto/tls",
        "a chain without the intermediate certificate",
        "CERTIFICATE_UNTRUSTED",
        "unclear",
        "the issuer of localhost, CN=Example Issuing CA, is not trusted here, and no intermediate "
        "certificate was sent",
        "the client, if CN=Example Issuing CA is a root that it is meant to trust; else the server",
        "If CN=Example Issuing CA is an intermediate authority, send the intermediate "
        "certificates too. It can be fetched from http://ca.example/issuing.crt",
        "RFC 8446 section 4.4.2 wants it sent, and the leaf says where it is to be had.",
        program("go", _incomplete),
    ),
    Live(
        "with another intermediate",
        "OpenSSL s_server",
        "the intermediate certificate of last year's authority",
        "CERTIFICATE_UNTRUSTED",
        "unclear",
        "it was not sent: what was sent besides, CN=Last Year's CA, did not issue it",
        "the client, if CN=Example Issuing CA is a root that it is meant to trust; else the server",
        "Leave out CN=Last Year's CA.",
        "Both are named: the one that is missing, and the one that is not needed.",
        openssl_showing(_wrong_intermediate),
        cause_also=("http://ca.example/issuing.crt",),
    ),
    Live(
        "with the root in place of its intermediate",
        "OpenSSL s_server",
        "the root right after the leaf",
        "CERTIFICATE_UNTRUSTED",
        "unclear",
        "what was sent besides, CN=test root, did not issue it",
        "the client, if CN=Example Issuing CA is a root that it is meant to trust; else the server",
        "If CN=Example Issuing CA is an intermediate authority, send the intermediate "
        "certificates too.",
        "A trusted root is no help where the certificate between is missing.",
        openssl_showing(_root_before_it),
    ),
    Live(
        "self-signed",
        "OpenSSL s_server",
        "a certificate as `openssl req -x509` makes it",
        "CERTIFICATE_UNTRUSTED",
        "unclear",
        "CN=localhost is self-signed and not among the trusted authorities",
        "the client, if it is meant to trust this very certificate; else the server",
        "On this end: If CN=localhost is yours, trust it (--ca FILE).",
        "Only who runs both ends knows whether it is meant to be trusted.",
        openssl_showing(_self_signed),
    ),
    Live(
        "another name",
        "OpenSSL s_server",
        "a certificate for else.test",
        "CERTIFICATE_NAME_MISMATCH",
        "server",
        "it is for else.test, not for localhost",
        "unless it is meant to be reached by another name",
        "Connect by a name that is in the certificate, such as else.test (--server-name NAME).",
        "The evidence is subjectAltName, and there is a name to connect by.",
        openssl(leaf=Leaf(("else.test",))),
        cause_also=("subjectAltName of the certificate",),
    ),
    Live(
        "a common name alone",
        "OpenSSL s_server",
        "CN=localhost and no subjectAltName",
        "CERTIFICATE_NAME_MISMATCH",
        "server",
        "its common name, localhost, does not count",
        "",
        "Get a certificate that covers the name localhost in its subjectAltName.",
        "There is no name to connect by, so that is not advised.",
        openssl(leaf=Leaf((), common_name="localhost")),
        never=("Connect by", "unless"),
    ),
    Live(
        "an underscore in the name",
        "OpenSSL s_server",
        "a certificate for my_host.test, which the client goes to",
        "CERTIFICATE_NAME_MISMATCH",
        "client",
        "no certificate can be verified for my_host.test: host names have no underscore",
        "which asked for a name that no certificate can be verified for",
        "Connect by a name of letters, digits and hyphens",
        "No certificate would help, so none is advised for that name.",
        openssl(leaf=Leaf(("my_host.test",))),
        server_name="my_host.test",
        never=("Get a certificate",),
    ),
    Live(
        "name constraints with a leading dot",
        "OpenSSL s_server",
        "a private root that may issue for `.example.test`",
        "BAD_CERTIFICATE",
        "client",
        "its constraint '.example.test' begins with a dot",
        "whose own authority it is",
        "Have CN=Company Root made anew with constraints without that dot",
        "The root is in this side's trust store, and no server can mend it.",
        openssl_showing(_dotted_constraint),
        server_name="www.example.test",
    ),
    Live(
        "no extended key usage",
        "OpenSSL s_server",
        "a leaf of a private authority without extKeyUsage",
        "CERTIFICATE_WRONG_PURPOSE",
        "server",
        "it has no extended key usage",
        "unless its authority is a private one with its own rules",
        "verify it by the rules for those (--profile private)",
        "The rules of the web ask for it, those for private authorities do not.",
        openssl(leaf=Leaf(purpose=None)),
    ),
    Live(
        "an SSH port",
        "an SSH banner",
        "the port of another service",
        "NOT_TLS",
        "client",
        "the first bytes are b'SSH-2.0-OpenSSH_', as of SSH",
        "unless TLS is meant to be spoken on that port: then the server",
        "On this end: Check that host and port belong to a TLS service",
        "A server that speaks SSH on the port of SSH does nothing wrong.",
        talking(_ssh),
    ),
    Live(
        "a plain HTTP port",
        "nginx",
        "no TLS on this port",
        "PLAINTEXT_HTTP",
        "client",
        "The peer speaks plain HTTP where TLS was expected.",
        "unless HTTPS is meant to be spoken on that port: then the server",
        "On this end: Check the port: plain HTTP is spoken on it.",
        "It is the client that chose the port.",
        _plain,
    ),
    Live(
        "a reset",
        "a TCP RST after the hello",
        "no answer but a reset",
        "RESET_DURING_HANDSHAKE",
        "unclear",
        "The connection was reset (TCP RST) before the handshake was complete.",
        "the server, or something on the way such as a firewall, and neither said why",
        "no firewall resets the connection",
        "A reset does not tell who sent it.",
        talking(_reset),
    ),
    Live(
        "TLS 1.1 alone",
        "OpenSSL s_server",
        "`-tls1_1`",
        "PEER_PROTOCOL_VERSION",
        "server",
        "The server speaks neither TLS 1.2 nor TLS 1.3",
        "which supports only obsolete versions",
        "On the other end: Enable TLS 1.3, or at least TLS 1.2",
        "Both versions that are safe were offered.",
        openssl("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
        never=("On this end",),
    ),
    Live(
        "a client certificate is required",
        "OpenSSL s_server",
        "`-Verify`, and a client without a certificate",
        "PEER_CERTIFICATE_REQUIRED",
        "client",
        "The server requires a client certificate, and this side has sent none.",
        "unless the server is meant to accept clients without a certificate",
        "(--cert FILE --key FILE)",
        "The alert says so, and the client knows that it showed nothing.",
        openssl("-Verify", "1", "-verify_return_error", "-CAfile", "CA"),
        sends=True,
    ),
    Live(
        "a client certificate is refused",
        "OpenSSL s_server",
        "the certificate of an authority that the server does not know",
        "PEER_UNKNOWN_CA",
        "unclear",
        "The server says that it finds no path from the certificate that was sent, CN=alice",
        "the server, if CN=test root is a root that it is meant to trust; else the client",
        "If CN=test root is a root, trust the authority.",
        "One certificate was sent; whether another is missing hangs on what its issuer is.",
        openssl("-Verify", "1", "-verify_return_error", "-CAfile", "CA"),
        arguments=("STRANGER",),
        sends=True,
    ),
    Live(
        "no shared application protocol",
        "OpenSSL s_server",
        "`-alpn h2`, and a client with smtp",
        "PEER_NO_APPLICATION_PROTOCOL",
        "unclear",
        "The server speaks none of the application protocols that were offered: smtp.",
        DO_NOT_FIT,
        "Offer one of the protocols that the server speaks, or none (--alpn A,B).",
        "Either list may be the wrong one.",
        openssl("-alpn", "h2"),
        arguments=("--alpn", "smtp"),
    ),
    Live(
        "a bit that is flipped on the way",
        "a proxy before s_server",
        "one bit in a record",
        "BAD_RECORD_MAC",
        "network",
        "A record did not decrypt: it was changed on the way, or the two sides' keys differ.",
        "unless one of the two implementations has a defect",
        "On this end: Look for a proxy or another middlebox on the way",
        "Both fit, and an interfering network is the likelier by far.",
        _flipped,
    ),
    Live(
        "closed without close_notify",
        "CPython ssl",
        "a server that shuts the socket down",
        "TRUNCATED",
        "server",
        "The transport ended without close_notify: data may be missing at the end.",
        "unless the connection was cut on the way",
        "On the other end: Close TLS before closing the connection.",
        "RFC 9846 section 6.1 demands it, and an attacker can cut, too.",
        _without_goodbye,
        sends=True,
    ),
    Live(
        "an authority of this side has expired",
        "OpenSSL s_server",
        "a good certificate, and an expired root in the trust store",
        "CERTIFICATE_EXPIRED",
        "client",
        "CN=Old Company Root is one of the authorities that are trusted here",
        "whose own authority it is, unless that has no newer certificate: then the server",
        "Trust the newer certificate of CN=Old Company Root, if it has one (--ca FILE).",
        "The server's certificate is in order, and it cannot change what the client trusts.",
        openssl_showing(_outdated_root),
        never=("Renew the certificate",),
    ),
]

SERVE = [
    Live(
        "an ECDSA certificate and a client with RSA alone",
        "OpenSSL s_client",
        "`-sigalgs rsa_pss_rsae_sha256`",
        "NO_SHARED_SIGNATURE_SCHEME",
        "unclear",
        "the certificate here has an ECDSA (secp256r1) key; offered: rsa_pss_rsae_sha256",
        DO_NOT_FIT,
        "Add a certificate with an RSA key, which the other end takes (--cert FILE --key FILE).",
        "Either end can change, and this one learns with which key.",
        visit=s_client("-CAfile", "CA", "-sigalgs", "rsa_pss_rsae_sha256", "-tls1_3"),
    ),
    Live(
        "the same in TLS 1.2, by the suites",
        "curl",
        "`--ciphers ECDHE-RSA-AES128-GCM-SHA256`",
        "NO_SHARED_CIPHER_SUITE",
        "unclear",
        "the certificate here has an ECDSA (secp256r1) key; "
        "offered: TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        DO_NOT_FIT,
        "Add a certificate with an RSA key",
        "The suites that both know are for a key that this server does not have.",
        visit=curl(
            *("--cacert", "CA", "--tls-max", "1.2"),
            *("--ciphers", "ECDHE-RSA-AES128-GCM-SHA256"),
        ),
    ),
    Live(
        "a client that does not know the authority",
        "curl",
        "without `--cacert`",
        "PEER_UNKNOWN_CA",
        "unclear",
        "The client says that it finds no path from the certificate that was sent, localhost, to "
        "an authority",
        "the client, if CN=test root is a root that it is meant to trust; else the server",
        "If CN=test root is a root, trust the authority.",
        "The server sent one certificate, and names who issued it.",
        visit=curl(),
    ),
    Live(
        "the same, from Java",
        "Java JSSE",
        "another authority in its trust store",
        "PEER_CERTIFICATE_UNKNOWN",
        "unclear",
        "The client refuses the certificate without saying why",
        "the client, if it is meant to trust the authority of that certificate; else the server",
        "Trust the authority that issued the server's certificate",
        "Java has one alert for all of it, and more is not made up.",
        visit=client_program("jsse"),
    ),
    Live(
        "the same, from Go",
        "Go crypto/tls",
        "another authority in its trust store",
        "PEER_BAD_CERTIFICATE",
        "unclear",
        "so perhaps it does not trust the authority, or expects another name than it asked for",
        "the client, if it is meant to trust the authority of that certificate; else the server",
        "Trust the authority that issued the server's certificate",
        "Go says bad_certificate of all that it refuses.",
        visit=client_program("go"),
    ),
    Live(
        "a client that expects another name",
        "OpenSSL s_client",
        "`-verify_hostname else.test`",
        "PEER_BAD_CERTIFICATE",
        "unclear",
        "so perhaps it does not trust the authority, or expects another name than it asked for",
        "the client, if it is meant to trust the authority of that certificate; else the server",
        "Trust the authority that issued the server's certificate",
        "The alert is the same as Go's, so the report is the same.",
        visit=s_client("-CAfile", "CA", "-verify_hostname", "else.test"),
    ),
    Live(
        "http:// to the port of HTTPS",
        "curl",
        "no TLS",
        "PLAINTEXT_HTTP",
        "client",
        "The peer speaks plain HTTP where TLS was expected.",
        "",
        "On the other end: Use https:// for this address.",
        "The server has nothing to change, so nothing is advised to it.",
        visit=curl(url="http://localhost:{port}/"),
        never=("On this end",),
    ),
    Live(
        "a client with TLS 1.1 alone",
        "OpenSSL s_client",
        "`-tls1_1`",
        "NO_SHARED_VERSION",
        "client",
        "offered: TLSv1.1; accepted here: TLSv1.2, TLSv1.3",
        "which supports only obsolete versions",
        "On the other end: Enable TLS 1.2 or TLS 1.3.",
        "What it offers is not safe, and not spoken here.",
        visit=s_client("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
        never=("On this end",),
    ),
    Live(
        "a client without a certificate",
        "curl",
        "no `--cert`, and `serve --require-client-cert`",
        "CLIENT_CERTIFICATE_MISSING",
        "client",
        "The client sent no certificate, and this server requires one.",
        "",
        "Make client certificates optional if that is meant (leave out --require-client-cert).",
        "The server asked, and the answer was empty.",
        visit=curl("--cacert", "CA"),
        arguments=("--client-ca", "CA", "--require-client-cert"),
    ),
    Live(
        "a client with P-521 alone",
        "curl",
        "`--curves P-521`",
        "NO_SHARED_GROUP",
        "client",
        "offered: secp521r1",
        "which offers none of the groups that nearly every server supports, unless that is "
        "intended",
        "On the other end: Offer one of the groups that this end takes: X25519MLKEM768, X25519",
        "`serve` has no option for groups, so only the client gets advice.",
        visit=curl("--cacert", "CA", "--curves", "P-521"),
        never=("groups=",),
    ),
    Live(
        "a port scan",
        "a TCP connection",
        "closed without a byte",
        "CLOSED_DURING_HANDSHAKE",
        "client",
        "the client had said nothing at all",
        "which closed without a word, as port scans and health checks do",
        "On the other end: See the client's log",
        "Nothing speaks against this server.",
        visit=_scan,
    ),
]


# The table

_HEAD = """\
# What is reported of failures

Real failures, each set up with the program itself, and what `handclasp` tells of them. The table is
made by `python -m tests.failures`, and held by `tests/failures/test_live.py`, which runs every
one of them: the cause, the blame and the advice below are parts of what is printed, word for word.

- **Blame** is the server, the client, the network or unclear, with what that hangs on.
- An alert has several causes. One is called the likeliest only where the hello stands out by it;
  the others follow as "or perhaps".
- Advice goes to the end that can act, and names this end's options: those of `connect` and `serve`
  on the command line, settings in the library (`error.fix`), and neither in a trace or capture,
  where nobody knows which program it was.

A server that never answers is reported in the same way (`tests/failures/test_stories.py`), with the
blame "the server, unless something on the way drops the data, or another service is on that port".
"""


def table() -> str:
    """docs/failures.md."""
    parts = [_HEAD]
    for title, cases in (
        ("`handclasp connect` and servers that are wrong", CONNECT),
        ("`handclasp serve` and clients that are wrong", SERVE),
    ):
        parts.append(
            f"\n## {title}\n\n| | Peer | What is wrong | Cause | Blame | To change | Why |\n"
        )
        parts.append("|---|---|---|---|---|---|---|\n")
        for case in cases:
            blame = with_condition(case.blame, case.condition)
            cells = [case.id, case.peer, case.wrong, case.cause, blame, case.fix, case.why]
            parts.append("| " + " | ".join(each.replace("|", "\\|") for each in cells) + " |\n")
    return "".join([*parts, captured_table()])
