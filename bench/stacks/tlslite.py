"""tlslite-ng, the other TLS in pure Python, over something that looks like a socket."""

from __future__ import annotations

from collections.abc import Iterator
from errno import EWOULDBLOCK
from typing import Any

from handclasp.cli.benchmarks.stacks import NAME, Setup

_VERSIONS = {"TLSv1.2": (3, 3), "TLSv1.3": (3, 4)}
_CIPHERS = {
    "AES_128_GCM": "aes128gcm",
    "AES_256_GCM": "aes256gcm",
    "CHACHA20_POLY1305": "chacha20-poly1305",
}
_GROUPS = {"X25519": "x25519", "secp256r1": "secp256r1"}


class TlsliteNg:
    """tlslite-ng, whose ciphers and curves are in Python, too."""

    name = "tlslite-ng"
    note = "verifies no chain and no name"
    target: float | None = None

    def __init__(self, module: Any, version: str) -> None:
        self.version = version
        self._module = module

    def fits(self, setup: Setup) -> bool:
        return setup.group in _GROUPS

    def factory(self, setup: Setup) -> TlsliteFactory:
        return TlsliteFactory(self._module, setup)


class TlsliteFactory:
    """Settings, chain and key that are read once."""

    def __init__(self, module: Any, setup: Setup) -> None:
        self._module = module
        self._resumes = setup.resumes
        self._last: TlsliteEnd | None = None
        self._chain = module.X509CertChain()
        self._chain.parsePemList(setup.identity.chain_pem.decode())
        self._key = module.parsePEMKey(setup.identity.key_pem.decode(), private=True)
        self._settings = _settings(module, setup)

    def client(self) -> TlsliteEnd:
        session = self._last.session if self._last else None
        end = TlsliteEnd(self._module)
        end.handshake = end.connection.handshakeClientCert(
            session=session, settings=self._settings, serverName=NAME, async_=True
        )
        if self._resumes:
            self._last = end
        return end

    def server(self) -> TlsliteEnd:
        end = TlsliteEnd(self._module)
        end.handshake = end.connection.handshakeServerAsync(
            certChain=self._chain, privateKey=self._key, settings=self._settings
        )
        return end


def _settings(module: Any, setup: Setup) -> Any:
    settings = module.HandshakeSettings()
    settings.minVersion = settings.maxVersion = _VERSIONS[setup.version]
    settings.cipherNames = [next(_CIPHERS[each] for each in _CIPHERS if each in setup.suite)]
    settings.eccCurves = settings.keyShares = [_GROUPS[setup.group]]
    settings.dhGroups = []
    settings.ticketKeys = [bytearray(32)]
    if setup.version == "TLSv1.2":
        settings.keyExchangeNames = ["ecdhe_rsa", "ecdhe_ecdsa"]
        if setup.group != "secp256r1":
            settings.eccCurves.append("secp256r1")  # The curves of certificates, too.
    return settings


class TlsliteEnd:
    handshake: Iterator[int]

    def __init__(self, module: Any) -> None:
        self._wire = Wire()
        self.connection = module.TLSConnection(self._wire)
        self.is_complete = False

    def exchange(self, data: bytes) -> bytes:
        self._wire.incoming += data
        if not self.is_complete:
            self.is_complete = next(self.handshake, None) is None
        elif data:  # Tickets.
            next(self.connection.readAsync())
        return self._wire.take()

    @property
    def is_resumed(self) -> bool:
        return bool(self.connection.resumed)

    @property
    def session(self) -> Any:
        return self.connection.session

    def write(self, data: bytes) -> bytes:
        for _ in self.connection.writeAsync(data):
            pass
        return self._wire.take()

    def read(self, sealed: bytes, size: int) -> int:
        self._wire.incoming += sealed
        return len(next(self.connection.readAsync(min=size)))


class Wire:
    """What tlslite-ng takes for a socket that does not block."""

    def __init__(self) -> None:
        self.incoming = bytearray()
        self._outgoing = bytearray()

    def take(self) -> bytes:
        out = bytes(self._outgoing)
        self._outgoing.clear()
        return out

    def send(self, data: bytes) -> int:
        self._outgoing += data
        return len(data)

    def sendall(self, data: bytes) -> None:
        self._outgoing += data

    def close(self) -> None:
        """It does this after an alert."""

    def recv(self, size: int) -> bytes:
        if not self.incoming:
            raise BlockingIOError(EWOULDBLOCK, "nothing came in")
        data = bytes(self.incoming[:size])
        del self.incoming[:size]
        return data
