"""External pre-shared keys, and their import into TLS 1.3 (RFC 9258)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from handclasp.crypto.hkdf import hkdf_expand_label, hkdf_extract
from handclasp.crypto.secret import Secret
from handclasp.errors import ConfigurationError, check_switch, shown
from handclasp.values import dataclass, field
from handclasp.wire.writer import opaque8, opaque16

_TLS13 = 0x0304
_TARGET_KDFS = {"sha256": (0x0001, 32), "sha384": (0x0002, 48)}
"""HKDF_SHA256 and HKDF_SHA384 of the TLS KDF Identifiers registry, and the bytes they give."""

LEAST_KEY = 16


@dataclass(frozen=True, slots=True)
class PreSharedKey:
    """An external pre-shared key (RFC 8446 section 4.2.11). It never prints the key.

    It must be random, and hold at least 128 bits of entropy: with a password in its place, anybody
    who observes one handshake can try all passwords (RFC 9257 section 4.2). Two ends that are both
    clients and servers must not use the same plain key, since an attacker could then reflect the
    messages of one to itself (RFC 9257 section 4.1): `imported` with the names of both prevents
    that.

    >>> import secrets
    >>> key = PreSharedKey(b"sensor 7", secrets.token_bytes(32))
    >>> server = ServerConnection(ServerConfig(psks=[key]))
    >>> client = ClientConnection(ClientConfig(psks=[key]))

    Attributes:
        identity: its name, 1 to 65535 bytes, which goes over the wire in the clear.
        key: at least 16 random bytes.
        hash_name: "sha256" or "sha384": the hash of the suites that it can be used with.
        is_imported: whether `imported` returned it.

    Raises:
        ConfigurationError: an identity or a key of another type or length, a key of zeros, or
            another hash; or `is_imported` is neither True nor False.
    """

    identity: bytes
    key: bytes = field(repr=False)
    hash_name: str = "sha256"
    is_imported: bool = False

    def __post_init__(self) -> None:
        _check_bytes("The identity of a pre-shared key", self.identity, 'b"sensor 7"')
        _check_bytes("A pre-shared key", self.key, "bytes.fromhex for hexadecimal text")
        if not 0 < len(self.identity) < 2**16:
            raise ConfigurationError("The identity of a pre-shared key has 1 to 65535 bytes.")
        if len(self.key) < LEAST_KEY:
            raise ConfigurationError(
                f"A pre-shared key has at least {LEAST_KEY} random bytes: secrets.token_bytes(32)."
            )
        if not any(self.key):
            # Memory that was never filled: everybody knows this key (CVE-2020-13777).
            raise ConfigurationError(
                "A pre-shared key is random, and this one is all zeros: secrets.token_bytes(32)."
            )
        if not isinstance(self.hash_name, str) or self.hash_name not in _TARGET_KDFS:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                'hash_name of a pre-shared key is "sha256" or "sha384", not '
                f"{shown(self.hash_name)}."
            )
        check_switch("is_imported", self.is_imported)
        object.__setattr__(self, "key", Secret(self.key))

    @property
    def fingerprint(self) -> bytes:
        """32 bytes that name this key, and no other of the same identity, but do not tell it."""
        kind = f"{self.hash_name} {self.is_imported}".encode("ascii")
        parts = opaque8(kind), opaque16(self.identity), self.key
        return hashlib.sha256(b"".join([b"handclasp pre-shared key", *parts])).digest()

    @classmethod
    def imported(
        cls,
        identity: bytes,
        key: bytes,
        *,
        client: bytes = b"",
        server: bytes = b"",
        context: bytes = b"",
        hash_name: str = "sha256",
    ) -> tuple[PreSharedKey, ...]:
        """Return the keys that RFC 9258 derives from one key, for the suites of each hash.

        Args:
            client, server: names of the two ends. With them, the key of A as a client and B as a
                server differs from the reverse. They become the context.
            context: another value that both ends must agree upon; not together with names.
            hash_name: the hash that the key is bound to.

        Raises:
            ConfigurationError: as for the key itself; an identity that is too long together with
                the context; names as well as a context; or one name alone, or twice the same, with
                which both directions would get the same key.
        """
        base = cls(identity, key, hash_name)
        for name, value in (("client", client), ("server", server), ("context", context)):
            _check_bytes(name, value, f'{name}=b"..."')
        if (client or server) and context:
            raise ConfigurationError("Give the names of client and server, or a context, not both.")
        if client or server:
            if client == server or not client or not server:
                raise ConfigurationError(
                    "Give two names, of the client and of the server, which differ: otherwise both "
                    "directions get the same key (RFC 9258 4.1)."
                )
            if max(len(client), len(server)) > 255:
                raise ConfigurationError("The names of client and server have at most 255 bytes.")
            context = opaque8(client) + opaque8(server)
        if len(identity) + len(context) + _AROUND_IMPORTED >= 2**16:
            raise ConfigurationError(
                "The identity of an imported key holds this identity, the context "
                f"({len(context)} bytes, with the names of both ends), and {_AROUND_IMPORTED} "
                "bytes more. It has at most 65535 bytes (RFC 9258 3.1)."
            )
        extracted = hkdf_extract(hash_name, b"", base.key)
        made: list[PreSharedKey] = []
        for target, (kdf, size) in _TARGET_KDFS.items():
            imported_identity = b"".join(
                [
                    opaque16(identity),
                    opaque16(context),
                    _TLS13.to_bytes(2, "big"),
                    kdf.to_bytes(2, "big"),
                ]
            )
            digest = hashlib.new(hash_name, imported_identity).digest()
            derived = hkdf_expand_label(hash_name, extracted, "derived psk", digest, size)
            made.append(cls(imported_identity, derived, target, is_imported=True))
        return tuple(made)


def _check_bytes(what: str, value: object, example: str) -> None:
    if not isinstance(value, bytes):
        raise ConfigurationError(f"{what} must be bytes, not {type(value).__name__}: {example}.")


def check_keys(keys: object) -> tuple[PreSharedKey, ...]:
    """Return a config's list of keys as a tuple; raise `ConfigurationError` if it is invalid."""
    if isinstance(keys, PreSharedKey):
        raise ConfigurationError("psks must be a list, also of one key: psks=[key].")
    if isinstance(keys, str | bytes) or not isinstance(keys, Sequence):
        raise ConfigurationError(f"{_WANTED}, not {shown(keys)}: {_EXAMPLE}.")
    frozen: tuple[object, ...] = tuple(keys)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    found: list[PreSharedKey] = []
    for each in frozen:
        if not isinstance(each, PreSharedKey):
            raise ConfigurationError(f"{_WANTED}, {_in_words(each)}.")
        found.append(each)
    if len({each.identity for each in found}) < len(found):
        raise ConfigurationError("psks names an identity twice.")
    return tuple(found)


_AROUND_IMPORTED = 8
"""Bytes of an ImportedIdentity beside identity and context: two lengths, protocol and KDF."""

_WANTED = "psks must be a list of PreSharedKey"
_EXAMPLE = 'psks=[PreSharedKey(b"sensor 7", key)]'


def _in_words(entry: object) -> str:
    """Return what stands in place of a key, and how to write one. It may hold the key itself."""
    inside: Any = entry if issubclass(type(entry), tuple | list) else ()
    if inside and all(isinstance(each, PreSharedKey) for each in inside):
        # `imported` returns several.
        return "not of lists of them: psks=PreSharedKey.imported(...), without brackets"
    return f"not {shown(entry)}: {_EXAMPLE}"
