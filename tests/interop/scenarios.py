"""What each feature asks of the two ends, and what must then be seen."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from handclasp import EchConfigList, EchKey

from .peers.base import EchFiles, Exporter, Options, Peer, Role
from .pki import CLIENT_NAME, SERVER_NAME, Authority

PAYLOAD_SIZE = 1 << 20  # bytes each way and round
_UPDATE_ROUNDS = 3  # keys change within the second and the third; data goes before and after


@dataclass(frozen=True, slots=True)
class Scenario:
    """Both ends' options, and the negotiated values that the feature demands."""

    feature: str
    local_role: Role  # of the end that must be able to tell
    server: Options
    client: Options
    digest: str  # SHA-256 of the payload
    suite: str | None = None
    group: str | None = None
    signature: str | None = None  # the beginning of the SignatureScheme
    alpn: str | None = None
    client_subject: str | None = None
    server_subject: str | None = SERVER_NAME
    server_key: str | None = None  # the raw one, if it shows no certificate
    client_key: str | None = None
    staple: str | None = None  # digest of the OCSP response that the client must see
    compressed: bool = False  # the server's certificate
    hello_retry: bool = False
    key_updates_by: Role | None = None
    exports: bool = False
    resumes: bool = False
    encrypts: bool = False

    @property
    def version(self) -> str:
        return self.client.version


class Scenarios:
    """Builds scenarios over one authority and one set of payload files."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.authority = Authority(directory)
        source = random.Random("handclasp interop")
        self._bytes = directory / "payload.bin"
        self._bytes.write_bytes(source.randbytes(PAYLOAD_SIZE))
        self._digits = directory / "payload.txt"
        digits = source.randbytes(PAYLOAD_SIZE).translate(bytes(48 + i % 10 for i in range(256)))
        # A line end in every 100 bytes: consoles read lines, and some only short ones.
        lines = [digits[at : at + 99] for at in range(0, PAYLOAD_SIZE - 98, 99)]
        self._digits.write_bytes(b"\n".join(lines) + b"\n")

    def build(self, feature: str, peer: Peer, peer_role: Role, local: Peer) -> Scenario:
        """`peer` is the stack in the cell, in `peer_role`; `local` is the other end."""
        style = next(style for style in peer.styles if style in local.styles)
        text = peer.text_payload or local.text_payload
        payload = self._digits if text else self._bytes
        both = Options(
            ca=self.authority.path,
            payload=payload,
            style=style,
            peer_sends_close_notify=peer.sends_close_notify,
        )
        server = replace(both, identity=self.authority.server())
        digest = hashlib.sha256(payload.read_bytes()).hexdigest()
        plain = Scenario(feature, _other(peer_role), server, both, digest)
        kind, _, value = feature.partition(":")
        if kind.startswith("tls12") or kind == "rsa-key-transport":
            return self._tls12(_both(plain, version="TLSv1.2"), kind, value, peer)
        if kind == "suite":
            return replace(_both(plain, suites=(value,)), suite=value)
        if kind == "group":
            made = _both(plain, groups=(value,))
            return replace(made, group=value, client=replace(made.client, key_shares=(value,)))
        if kind == "sig":
            server = replace(server, identity=self.authority.server(value))
            return replace(plain, server=server, signature=value)
        if feature == "ocsp":
            staple = self.authority.staple(plain.server.identity)
            staple_digest = hashlib.sha256(staple.read_bytes()).hexdigest()
            return replace(_both(plain, staple=staple), staple=staple_digest)
        if feature == "compression":
            return replace(_both(plain, compress=True), compressed=True)
        if kind.endswith("raw-key"):
            return self._raw_key(plain, kind)
        if feature == "psk":
            made = _both(plain, psk=(b"a client".hex(), bytes(range(32)).hex()))
            return replace(made, server_subject=None)
        if feature == "resume":
            return replace(_both(plain, connections=2), resumes=True)
        if feature == "hrr":
            return _hello_retry(plain, peer, peer_role)
        if feature.startswith("ech"):
            made = replace(_both(plain, ech=self._ech()), encrypts=True)
            if feature == "ech-hrr":
                return _hello_retry(made, peer, peer_role)
            if feature == "ech-resume":
                return replace(_both(made, connections=2), resumes=True)
            return made
        if feature == "client-auth":
            server = replace(server, require_client_cert=True)
            client = replace(plain.client, identity=self.authority.client())
            return replace(plain, server=server, client=client, client_subject=CLIENT_NAME)
        if feature == "alpn":
            *_, wanted = peer.alpn_protocols
            server = replace(server, alpn=(wanted,))
            client = replace(plain.client, alpn=peer.alpn_protocols)
            return replace(plain, server=server, client=client, alpn=wanted)
        if kind == "key-update" or kind == "key-update-peer":
            by = peer_role if kind == "key-update-peer" else _other(peer_role)
            made = _both(plain, rounds=_UPDATE_ROUNDS)
            end = replace(made.client if by == "client" else made.server, update_keys=True)
            made = replace(made, client=end) if by == "client" else replace(made, server=end)
            return replace(made, key_updates_by=by)
        if feature == "exporter":
            exporter = Exporter("EXPERIMENTAL handclasp interop", peer.exporter_context, 48)
            return replace(_both(plain, exporter=exporter), exports=True)
        if feature != "tls13":
            raise LookupError(feature)
        return plain

    def _ech(self) -> EchFiles:
        """A new key, in files; the certificates are for the inner name alone."""
        key = EchKey.generate("public.test")
        paths = [self.directory / name for name in ("ech.pem", "ech.list", "ech.one", "ech.raw")]
        contents = (
            key.to_pem(),
            EchConfigList(key.configs).to_bytes(),
            key.configs[0].raw,
            key.private_key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()),
        )
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
            path.chmod(0o600)
        return EchFiles(*paths)

    def _raw_key(self, plain: Scenario, kind: str) -> Scenario:
        """One side shows a raw public key, and the other one expects it."""
        if kind == "raw-key":
            identity = self.authority.server()
            made = _both(plain, raw_server_key=identity)
            return replace(made, server_subject=None, server_key=identity.key_digest)
        identity = self.authority.client()
        client = replace(plain.client, identity=identity, raw_client_key=identity)
        server = replace(plain.server, require_client_cert=True, raw_client_key=identity)
        made = replace(plain, server=server, client=client)
        return replace(made, client_key=identity.key_digest)

    def _tls12(self, plain: Scenario, kind: str, value: str, peer: Peer) -> Scenario:
        server = plain.server
        if kind in ("tls12-suite", "rsa-key-transport"):
            if "_RSA_" in value:
                server = replace(server, identity=self.authority.server("rsa_pss_rsae"))
            return replace(_both(replace(plain, server=server), suites=(value,)), suite=value)
        if kind == "tls12-group":
            # The curve of the server's key must be among the client's (RFC 8422 5.1.1), so the
            # key is RSA, which has none.
            server = replace(server, identity=self.authority.server("rsa_pss_rsae"))
            return replace(_both(replace(plain, server=server), groups=(value,)), group=value)
        if kind == "tls12-sig":
            name = "rsa_pss_rsae" if value == "rsa" else value
            server = replace(server, identity=self.authority.server(name))
            # Any RSA scheme, and with ECDSA any hash: in TLS 1.2 it need not fit the curve.
            wanted = {"rsa": "rsa_", "ecdsa_secp384r1_sha384": "ecdsa_"}.get(value, value)
            return replace(plain, server=server, signature=wanted)
        if kind == "tls12-client-auth":
            server = replace(server, require_client_cert=True)
            client = replace(plain.client, identity=self.authority.client())
            return replace(plain, server=server, client=client, client_subject=CLIENT_NAME)
        if kind == "tls12-alpn":
            *_, wanted = peer.alpn_protocols
            server = replace(server, alpn=(wanted,))
            client = replace(plain.client, alpn=peer.alpn_protocols)
            return replace(plain, server=server, client=client, alpn=wanted)
        if kind == "tls12-exporter":
            exporter = Exporter("EXPERIMENTAL handclasp interop", peer.exporter_context, 48)
            return replace(_both(plain, exporter=exporter), exports=True)
        if kind.endswith("raw-key"):
            return self._raw_key(plain, kind.removeprefix("tls12-"))
        if kind == "tls12-ocsp":
            staple = self.authority.staple(server.identity)
            staple_digest = hashlib.sha256(staple.read_bytes()).hexdigest()
            return replace(_both(plain, staple=staple), staple=staple_digest)
        if kind == "tls12-resume":
            return replace(_both(plain, connections=2), resumes=True)
        if kind == "tls12-no-ems":
            return _both(plain, extended_master_secret=False)
        if kind != "tls12":
            raise LookupError(kind)
        return plain


def _hello_retry(plain: Scenario, peer: Peer, peer_role: Role) -> Scenario:
    client_groups, key_shares, server_groups = peer.hrr_groups(peer_role)
    client = replace(plain.client, groups=client_groups, key_shares=key_shares)
    server = replace(plain.server, groups=server_groups)
    return replace(plain, client=client, server=server, hello_retry=True, group=server_groups[0])


def _both(scenario: Scenario, **changes: object) -> Scenario:
    return replace(
        scenario,
        server=replace(scenario.server, **changes),  # type: ignore[arg-type]
        client=replace(scenario.client, **changes),  # type: ignore[arg-type]
    )


def _other(role: Role) -> Role:
    return "server" if role == "client" else "client"
