"""The libraries that are compared, each behind the same few calls, in memory.

A `Stack` makes the two ends of a connection out of a `Setup`; an `End` takes and gives bytes. What
cannot be set (`ssl` has no way to choose the suites of TLS 1.3) makes `fits` say no, so that no row
compares different things.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from handclasp import (
    ClientConfig,
    ClientConnection,
    Credentials,
    DataReceived,
    ServerConfig,
    ServerConnection,
    TrustStore,
    __version__,
)
from handclasp.certificates.authority import LocalAuthority
from handclasp.private_files import write_private
from handclasp.speedups import FORM

NAME = "localhost"
SUITE13 = "TLS_AES_256_GCM_SHA384"
"""The default of OpenSSL, which all stacks therefore use."""

OPENSSL_NAMES = {
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
}
OPENSSL_CURVES = {"X25519": "X25519", "secp256r1": "prime256v1"}
_HYBRID_GROUP = "X25519MLKEM768"
_FIRST_OPENSSL_WITH_HYBRID_GROUP = (3, 5)


@dataclass(frozen=True)
class Identity:
    """A server's certificate from an authority of this run's own, as files and as bytes."""

    key_type: str
    ca_pem: bytes
    chain_pem: bytes
    key_pem: bytes
    ca_path: Path
    chain_path: Path
    key_path: Path


def identity(authority: LocalAuthority, key_type: str, directory: Path) -> Identity:
    """Return a certificate for `NAME`, with its files in `directory`."""
    issued = authority.issue([NAME], key_type=key_type)
    ca, chain, key = [directory / f"{key_type}.{kind}" for kind in ("ca", "pem", "key")]
    ca.write_bytes(authority.certificate_pem)
    chain.write_bytes(issued.chain_pem)
    write_private(key, issued.key_pem)
    return Identity(
        key_type, authority.certificate_pem, issued.chain_pem, issued.key_pem, ca, chain, key
    )


@dataclass(frozen=True)
class Setup:
    """The parameters that both ends of a connection negotiate."""

    identity: Identity
    version: str = "TLSv1.3"
    group: str = "X25519"
    suite: str = SUITE13
    resumes: bool = False


class Handshaking(Protocol):
    """One end of a connection, as far as its handshake needs it."""

    def exchange(self, data: bytes) -> bytes:
        """Take what came in, and give what goes out."""
        ...

    @property
    def is_complete(self) -> bool: ...


class End(Handshaking, Protocol):
    """One end of a connection."""

    @property
    def is_resumed(self) -> bool | None:
        """None where the stack does not tell."""
        ...

    def write(self, data: bytes) -> bytes:
        """Return the bytes to send for `data`."""
        ...

    def read(self, sealed: bytes, size: int) -> int:
        """Take `size` bytes of data out of `sealed`; gives how many there were."""
        ...


class Factory(Protocol):
    """Makes the two ends; everything that is built once is already built."""

    def client(self) -> End: ...
    def server(self) -> End: ...


class Stack(Protocol):
    """A library.

    Attributes:
        note: what it leaves out of the work that the others do.
        target: how many times as fast this library should be in a handshake of TLS 1.3 and in one
            that is resumed; None where there is no such target, or another for each kind of key.
    """

    name: str
    version: str
    note: str
    target: float | None

    def fits(self, setup: Setup) -> bool:
        """Return whether this stack supports these parameters."""
        ...

    def factory(self, setup: Setup) -> Factory: ...


def own_and_ssl() -> list[Stack]:
    """This library, and the one that every Python has."""
    return [Handclasp(), StandardLibrary("ssl", ssl, ssl.OPENSSL_VERSION)]


def handshake(factory: Factory) -> tuple[End, End]:
    """Complete a handshake between the two ends that a factory makes."""
    client, server = factory.client(), factory.server()
    connect_ends(client, server)
    return client, server


def connect_ends(client: Handshaking, server: Handshaking) -> None:
    """Carry flights to and fro until both ends are done, tickets included."""
    to_server = client.exchange(b"")
    while to_server:
        to_client = server.exchange(to_server)
        to_server = client.exchange(to_client) if to_client else b""
    if not (client.is_complete and server.is_complete):
        raise RuntimeError("the handshake did not complete")


class Handclasp:
    """This library."""

    name: str = "handclasp"
    version: str = f"{__version__} ({FORM})"
    note: str = ""
    target: float | None = None

    def fits(self, setup: Setup) -> bool:
        return True

    def factory(self, setup: Setup) -> OwnFactory:
        return OwnFactory(setup)


class OwnFactory:
    """Configs that are built once, as an application would."""

    def __init__(self, setup: Setup) -> None:
        self.sessions = LastSession(resumes=setup.resumes)
        groups = [setup.group]
        if setup.version == "TLSv1.2" and setup.group != "secp256r1":
            groups.append("secp256r1")  # There the list tells the curves of certificates, too.
        self.client_config = ClientConfig(
            trust=TrustStore.from_pem(setup.identity.ca_pem),
            versions=[setup.version],
            groups=groups,
            cipher_suites=[setup.suite],
            sessions=self.sessions,
        )
        self.server_config = ServerConfig(
            credentials=Credentials.from_pem(setup.identity.chain_pem, setup.identity.key_pem),
            versions=[setup.version],
            groups=groups,
            cipher_suites=[setup.suite],
        )

    def client(self) -> OwnEnd:
        return OwnEnd(ClientConnection(self.client_config, server_name=NAME))

    def server(self) -> OwnEnd:
        return OwnEnd(ServerConnection(self.server_config))


class LastSession:
    """A session store that gives the newest session once, or keeps it to itself."""

    def __init__(self, *, resumes: bool) -> None:
        self._resumes = resumes
        self._session: Any = None

    def put(self, key: str, session: Any) -> None:
        self._session = session

    def take(self, key: str) -> Any:
        if not self._resumes:
            return None
        session, self._session = self._session, None
        return session

    def discard(self, key: str, session: Any) -> None:
        self._session = None


class OwnEnd:
    def __init__(self, connection: ClientConnection | ServerConnection) -> None:
        self.connection = connection

    def exchange(self, data: bytes) -> bytes:
        if data:
            self.connection.receive_data(data)
        return bytes(self.connection.data_to_send())

    @property
    def is_complete(self) -> bool:
        return self.connection.established

    @property
    def is_resumed(self) -> bool:
        info = self.connection.info
        return info is not None and info.resumed

    def write(self, data: bytes) -> Any:
        self.connection.send_data(data)
        return self.connection.data_to_send()

    def read(self, sealed: bytes, size: int) -> int:
        received = 0
        for event in self.connection.receive_data(sealed):
            if isinstance(event, DataReceived):
                received += len(event.data)
        return received


class StandardLibrary:
    """`ssl`, and what has its surface.

    Both ends are set to the group of the row. Otherwise the client of OpenSSL 3.5 offers the hybrid
    group of its own accord, and a row of X25519 compares unequal work.

    Attributes:
        curves: the names of the groups that can be set, as the module calls them.
    """

    note: str = ""
    target: float | None = None
    curves: Mapping[str, str] = OPENSSL_CURVES

    def __init__(self, name: str, module: Any, version: str) -> None:
        self.name = name
        self.version = version
        self._module = module

    def fits(self, setup: Setup) -> bool:
        if setup.version == "TLSv1.3" and setup.suite != SUITE13:
            return False
        if setup.group == _HYBRID_GROUP:
            return setup.version == "TLSv1.3" and self._has_hybrid_group()
        return setup.group in OPENSSL_CURVES

    def _has_hybrid_group(self) -> bool:
        """Return whether its two ends take the hybrid group, which is then OpenSSL's default."""
        version: tuple[int, ...] = getattr(self._module, "OPENSSL_VERSION_INFO", ())
        return version >= _FIRST_OPENSSL_WITH_HYBRID_GROUP

    def factory(self, setup: Setup) -> LibraryFactory:
        return LibraryFactory(self._module, setup, self.curves)


class LibraryFactory:
    def __init__(
        self, module: Any, setup: Setup, curves: Mapping[str, str] = OPENSSL_CURVES
    ) -> None:
        self._module = module
        self._resumes = setup.resumes
        self._session: Any = None
        cadata = setup.identity.ca_pem.decode()
        self._client = module.create_default_context(cadata=cadata)
        self._server = module.SSLContext(module.PROTOCOL_TLS_SERVER)
        self._server.load_cert_chain(str(setup.identity.chain_path), str(setup.identity.key_path))
        for context in (self._client, self._server):
            version = getattr(module.TLSVersion, setup.version.replace(".", "_"))
            context.minimum_version = context.maximum_version = version
            if setup.version == "TLSv1.2":
                context.set_ciphers(OPENSSL_NAMES[setup.suite])
            # In TLS 1.2 the list tells the curves of certificates, too, and begins with X25519.
            if setup.group in curves and (setup.version, setup.group) != ("TLSv1.2", "X25519"):
                self._choose_group(context, curves[setup.group])

    def _choose_group(self, context: Any, group: str) -> None:
        try:
            context.set_ecdh_curve(group)
        except (ValueError, OSError):
            # Some builds of Python 3.11 take no X25519 here. It is OpenSSL's choice before 3.5.
            if group != "X25519" or self._module.OPENSSL_VERSION_INFO >= (3, 5):
                raise

    def client(self) -> LibraryEnd:
        return LibraryEnd(self._module, self._client, self._keep if self._resumes else None, self)

    def server(self) -> LibraryEnd:
        return LibraryEnd(self._module, self._server, None, None)

    @property
    def contexts(self) -> tuple[Any, Any]:
        """Of the client and of the server."""
        return self._client, self._server

    @property
    def session(self) -> Any:
        return self._session

    def _keep(self, session: Any) -> None:
        self._session = session


class LibraryEnd:
    def __init__(self, module: Any, context: Any, keep: Any, factory: Any) -> None:
        self._wants_read = module.SSLWantReadError
        self._keep = keep
        self._reads_tickets = factory is not None
        self.incoming, self.outgoing = module.MemoryBIO(), module.MemoryBIO()
        named: dict[str, Any] = {"server_side": True}
        if factory is not None:
            named = {"server_hostname": NAME}
            if keep is not None:
                named["session"] = factory.session
        self.object = context.wrap_bio(self.incoming, self.outgoing, **named)
        self.is_complete = False

    def exchange(self, data: bytes) -> bytes:
        if data:
            self.incoming.write(data)
        if not self.is_complete:
            with suppress(self._wants_read):
                self.object.do_handshake()
                self.is_complete = True
        elif self._reads_tickets:
            with suppress(self._wants_read):
                self.object.read(1)
        if self._keep is not None and self.is_complete:
            self._keep(self.object.session)
        out: bytes = self.outgoing.read()
        return out

    @property
    def is_resumed(self) -> bool:
        return bool(self.object.session_reused)

    def write(self, data: bytes) -> Any:
        written = self.object.write(data)
        while written < len(data):  # Some take a part at a time.
            written += self.object.write(data[written:])
        return self.outgoing.read()

    def read(self, sealed: bytes, size: int) -> int:
        self.incoming.write(sealed)
        received = 0
        while received < size:
            received += len(self.object.read(262_144))
        return received
