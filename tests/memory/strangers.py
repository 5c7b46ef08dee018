"""Strangers of each kind, each another one: what they send is never sent again.

A kind is a function of a `Scene`, a version and a number; it lets one stranger come and go.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.pki import Leaf, Pki, der_of, key_of_type

from handclasp import (
    ClientConfig,
    ClientConnection,
    Credentials,
    PreSharedKey,
    ServerConfig,
    ServerConnection,
    SessionStore,
    TLSError,
    TrustStore,
)

PADDED = 100_000
"""Bytes of a large certificate; a message of 128 KiB is accepted."""

_PLACE = bytes(range(256))
"""Where a number goes into a certificate."""

_COMPRESSED = 4_000


class Scene:
    """Both ends' honest side: one server and one client for all strangers of a version."""

    def __init__(self) -> None:
        self.pki = Pki()
        self.stranger = Pki("a stranger")

    def server(self, version: str, **settings: Any) -> ServerConfig:
        return ServerConfig(
            credentials=self.pki.server("localhost"), versions=[version], **settings
        )

    @cached_property
    def servers(self) -> dict[str, ServerConfig]:
        """They ask for certificates, and know protocols and a pre-shared key."""
        optional: dict[str, Any] = {"client_auth": "optional", "trust": self.pki.trust}
        return {version: self.server(version, **optional) for version in VERSIONS}

    @cached_property
    def clients(self) -> dict[str, ClientConfig]:
        return {
            version: ClientConfig(trust=self.pki.trust, versions=[version]) for version in VERSIONS
        }

    @cached_property
    def templates(self) -> dict[tuple[str, int], bytes]:
        return {}

    def certificate(self, purpose: x509.ObjectIdentifier, size: int, number: int) -> bytes:
        """A certificate by a stranger, of which there is no other. Its signature is garbage."""
        key = purpose.dotted_string, size
        if key not in self.templates:
            filling = x509.UnrecognizedExtension(
                x509.ObjectIdentifier("1.2.3.4"), _PLACE + bytes(size)
            )
            leaf = Leaf(("localhost",), purpose=purpose, extensions=[filling])
            public_key = key_of_type("ecdsa-p256").public_key()
            (self.templates[key],) = der_of(self.stranger.issue(leaf, public_key))
        seed = os.urandom(128 if size > _COMPRESSED else 240) + number.to_bytes(16, "big")
        template = self.templates[key]
        return template.replace(_PLACE, seed.ljust(len(_PLACE), b"\0"))

    def credentials(self, purpose: x509.ObjectIdentifier, size: int, number: int) -> Credentials:
        """With the stranger's authority, so that there is a path that leads nowhere."""
        leaf = self.certificate(purpose, size, number)
        chain = (leaf, *der_of(self.stranger.certificate))
        return replace(self.any_credentials, chain_der=chain)

    @cached_property
    def any_credentials(self) -> Credentials:
        return self.stranger.client("anybody")


VERSIONS = ("TLSv1.2", "TLSv1.3")

Kind = Callable[[Scene, str, int], None]


def meet(client: ClientConfig, server: ServerConfig, name: str | None = "localhost") -> None:
    """One connection, until both are silent or one has refused the other."""
    ends = ClientConnection(client, server_name=name), ServerConnection(server)
    silent = 0
    while silent < 2:
        for sender, receiver in (ends, ends[::-1]):
            data = sender.data_to_send()
            silent = 0 if data else silent + 1
            with suppress(TLSError):  # It says so to its peer.
                receiver.receive_data(data)


def refused_clients(scene: Scene, version: str, number: int) -> None:
    purpose = ExtendedKeyUsageOID.CLIENT_AUTH
    credentials = scene.credentials(purpose, PADDED, number)
    client = ClientConfig(
        trust=scene.pki.trust,
        versions=[version],
        credentials=credentials,
        certificate_compression=(),
    )
    meet(client, scene.servers[version])


def refused_servers(scene: Scene, version: str, number: int) -> None:
    credentials = scene.credentials(ExtendedKeyUsageOID.SERVER_AUTH, PADDED, number)
    server = ServerConfig(credentials=credentials, versions=[version], certificate_compression=())
    meet(scene.clients[version], server)


def compressed_clients(scene: Scene, version: str, number: int) -> None:
    credentials = scene.credentials(ExtendedKeyUsageOID.CLIENT_AUTH, _COMPRESSED, number)
    client = ClientConfig(trust=scene.pki.trust, versions=[version], credentials=credentials)
    meet(client, scene.servers[version])


def compressed_servers(scene: Scene, version: str, number: int) -> None:
    credentials = scene.credentials(ExtendedKeyUsageOID.SERVER_AUTH, _COMPRESSED, number)
    server = ServerConfig(credentials=credentials, versions=[version])
    meet(scene.clients[version], server)


def accepted_clients(scene: Scene, version: str, number: int) -> None:
    """They are no strangers, but there may be many of them."""
    client = ClientConfig(
        trust=scene.pki.trust, versions=[version], credentials=scene.pki.client(f"no. {number}")
    )
    meet(client, scene.servers[version])


def big_hellos(scene: Scene, version: str, number: int) -> None:
    """A config keeps more room than these leave; a stranger has another one."""
    names = [f"{number}-{index}-{'x' * 200}" for index in range(250)]
    client = replace(scene.clients[version])
    object.__setattr__(client, "alpn", tuple(names))
    meet(client, scene.servers[version])


def protocols(scene: Scene, version: str, number: int) -> None:
    client = replace(scene.clients[version], alpn=[f"{number}-{'x' * 200}"])
    meet(client, scene.servers[version])


def names(scene: Scene, version: str, number: int) -> None:
    label = "x" * 60
    meet(scene.clients[version], scene.servers[version], f"h{number}.{label}.{label}.{label}.test")


def odd_names(scene: Scene, version: str, number: int) -> None:
    """An address with a zone of any length is an address, as it is spelled in a hello, too."""
    server = ServerConnection(scene.servers[version])
    client = ClientConnection(scene.clients[version], server_name="x" * 60 + ".test")
    hello = bytes(client.data_to_send())
    other = b"fe80::1%%%x" % number
    hello = hello.replace(b"x" * 60 + b".test", other.ljust(65, b"z")[:65])
    with suppress(TLSError):
        server.receive_data(hello)


def tickets(scene: Scene, version: str, number: int) -> None:
    """Each is another server's, so that it is garbage here."""
    store = SessionStore()
    client = replace(scene.clients[version], sessions=store)
    meet(client, scene.server(version))
    meet(client, scene.servers[version])


def identities(scene: Scene, version: str, number: int) -> None:
    if version == "TLSv1.2":
        return  # They are of TLS 1.3.
    key = PreSharedKey(b"%d-" % number + bytes(10_000), os.urandom(32))
    meet(replace(scene.clients[version], psks=[key]), scene.servers[version])


def trusts(scene: Scene, version: str, number: int) -> None:
    """Configs of this side that come and go leave nothing, either."""
    trust = TrustStore.from_certificates([scene.pki.certificate])
    meet(ClientConfig(trust=trust, versions=[version]), scene.servers[version])


KINDS: dict[str, Kind] = {
    "client certificates that are refused": refused_clients,
    "server certificates that are refused": refused_servers,
    "compressed client certificates": compressed_clients,
    "compressed server certificates": compressed_servers,
    "client certificates that are accepted": accepted_clients,
    "big hellos": big_hellos,
    "protocols": protocols,
    "names": names,
    "odd names": odd_names,
    "tickets of others": tickets,
    "identities of pre-shared keys": identities,
    "trust stores of this side": trusts,
}
