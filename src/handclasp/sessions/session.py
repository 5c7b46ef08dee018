"""A session as a client stores it: the secret, and the connection that it is bound to."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, cast

from handclasp.crypto.secret import Secret
from handclasp.crypto.suites import CIPHER_SUITES
from handclasp.errors import ConfigurationError, ProtocolError
from handclasp.values import fields, value
from handclasp.wire.reader import Reader
from handclasp.wire.writer import opaque16

MAX_LIFETIME = 604_800
"""Seconds, seven days: no ticket may be kept longer (RFC 8446 section 4.6.1)."""

_MAX_SESSION_ID = 32
_MAX_TICKET = 2**14
"""Bytes: a hello has room for two such tickets and two cookies of a retry, with all that is around
them. With Encrypted Client Hello, or GREASE for it, it has everything twice. Settings that take
much of it leave less for tickets (`fits_hello` of the config)."""

_FORMAT = 5
_OVERHEAD = 1024
"""Bytes for the objects around what is counted; an estimate."""

_PER_OBJECT = 64
"""Bytes for each string of a list besides those in it: the peer decides how short they are."""


def milliseconds(time: datetime) -> int:
    """Return the time in milliseconds since 1970, the unit of sessions and tickets."""
    return int(time.timestamp() * 1000)


class RequestedCertificate:
    """A server's request for a certificate of this side; see `ChooseCredentials`.

    The names of authorities are kept as the one string that they are on the wire: as objects of
    their own, short ones would take twenty times as many bytes as the server had to send.

    >>> RequestedCertificate(("ed25519", "ecdsa_secp256r1_sha256")).certificate_types
    ('X509',)

    Attributes:
        signature_schemes, certificate_types: as in `ChooseCredentials`.
        size: bytes of memory, or a little more.
    """

    __slots__ = ("_authorities", "certificate_types", "signature_schemes", "size")

    def __init__(
        self,
        signature_schemes: tuple[str, ...],
        authorities: Iterable[bytes] = (),
        certificate_types: tuple[str, ...] = ("X509",),
    ) -> None:
        self.signature_schemes = signature_schemes
        self.certificate_types = certificate_types
        self._authorities = b"".join([opaque16(name) for name in authorities])
        parts = (*signature_schemes, *certificate_types)
        self.size = len(self._authorities) + sum([_PER_OBJECT + len(part) for part in parts])

    @property
    def authorities(self) -> tuple[bytes, ...]:
        """As in `ChooseCredentials`; read anew at each look."""
        return _read_authorities(self._authorities)

    def to_json(self) -> dict[str, object]:
        """Return all fields as JSON values, for a store."""
        return {
            "signature_schemes": list(self.signature_schemes),
            "authorities": _to_json(self._authorities),
            "certificate_types": list(self.certificate_types),
        }

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> RequestedCertificate:
        """Return the value that `to_json` wrote; raise `KeyError`, `TypeError` or `ValueError`."""
        try:
            authorities = _read_authorities(_bytes(given["authorities"]))
        except ProtocolError as error:
            raise ValueError("authorities") from error
        return cls(
            _texts(given["signature_schemes"]), authorities, _texts(given["certificate_types"])
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RequestedCertificate):
            return NotImplemented
        return self._parts == other._parts

    def __hash__(self) -> int:
        return hash(self._parts)

    def __repr__(self) -> str:
        shown = f"signature_schemes={self.signature_schemes!r}"
        return f"RequestedCertificate({shown}, certificate_types={self.certificate_types!r})"

    @property
    def _parts(self) -> tuple[object, ...]:
        return self.signature_schemes, self._authorities, self.certificate_types


def _read_authorities(data: bytes) -> tuple[bytes, ...]:
    reader = Reader(data, "authorities")
    names: list[bytes] = []
    while reader.more():
        names.append(reader.opaque16("DistinguishedName"))
    return tuple(names)


@value(frozen=True, slots=True, repr=False)
class Session:
    """A session that can be resumed. It never prints its secret.

    >>> kept = []
    >>> class Store(SessionStore):
    ...     def put(self, key, session):
    ...         kept.append(session.to_json())
    >>> with handclasp.connect("example.com", 443, ClientConfig(sessions=Store())) as tls:
    ...     tls.sendall(b"hello")
    ...     tls.recv(5)
    b'hello'
    >>> Session.from_json(kept[0]).server_name
    'example.com'

    Attributes:
        version: "TLSv1.3" or "TLSv1.2".
        cipher_suite: the suite of the connection; a TLS 1.3 session can be resumed with another
            suite of the same hash.
        secret: the pre-shared key (TLS 1.3) or the master secret (TLS 1.2).
        ticket: the ticket for the server; empty for a session of TLS 1.2 with a session ID.
        session_id: the server's ID of the session (TLS 1.2 without tickets).
        authenticated_at: when the server was last authenticated, in a full handshake, in
            milliseconds since 1970.
        received_at: when the ticket arrived, in milliseconds since 1970.
        lifetime: seconds for which the server allows resumption, at most seven days.
        age_add: the number that is added to the ticket's age, so that observers cannot link
            connections.
        max_early_data: bytes that the server accepts before the handshake is complete (0-RTT).
        server_name, alpn: the name and the protocol of the connection.
        peer_chain_der, certificate_type, ocsp_response, sct_list: the server's certificate and its
            evidence, which are verified again when the session is used.
        local_chain_der: the certificates that this side sent.
        signature_scheme: the scheme of the server's signature.
        requested: the server's request for a certificate; None if there was none. The choice is
            repeated when the session is used, so that a session of one client is not resumed for
            another.
        psk_fingerprint: the `PreSharedKey.fingerprint` of the external key that authenticated the
            server; empty if it sent a certificate.
    """

    version: str
    cipher_suite: str
    secret: Secret
    ticket: bytes
    authenticated_at: int
    received_at: int
    lifetime: int
    session_id: bytes = b""
    age_add: int = 0
    max_early_data: int = 0
    server_name: str | None = None
    alpn: str | None = None
    peer_chain_der: tuple[bytes, ...] = ()
    certificate_type: str = "X509"
    ocsp_response: bytes | None = None
    sct_list: bytes | None = None
    local_chain_der: tuple[bytes, ...] = ()
    signature_scheme: str | None = None
    requested: RequestedCertificate | None = None
    psk_fingerprint: bytes = b""

    @property
    def size(self) -> int:
        """The bytes that it takes in memory, or a little more; most of them are the peer's."""
        parts = (
            self.ticket,
            self.session_id,
            self.ocsp_response or b"",
            self.sct_list or b"",
            self.server_name or "",
            self.alpn or "",
            *self.peer_chain_der,
            *self.local_chain_der,
        )
        requested = self.requested.size if self.requested is not None else 0
        return _OVERHEAD + requested + _PER_OBJECT * len(parts) + sum(map(len, parts))

    @property
    def local_certificate_type(self) -> str:
        """The type of `local_chain_der`: "X509" or "RawPublicKey"; "X509" if it is empty."""
        if not self.local_chain_der or self.requested is None:
            return "X509"
        return self.requested.certificate_types[0]

    @property
    def can_be_named(self) -> bool:
        """Whether a hello can name it: by a ticket, or in TLS 1.2 by an id as well."""
        fits = len(self.ticket) <= _MAX_TICKET and len(self.session_id) <= _MAX_SESSION_ID
        return fits and bool(self.ticket or (self.version == "TLSv1.2" and self.session_id))

    def is_current(self, now: int) -> bool:
        """Return whether the session may still be used at `now`, in milliseconds since 1970."""
        age, since_proof = now - self.received_at, now - self.authenticated_at
        lifetime = min(self.lifetime, MAX_LIFETIME)
        # RFC 8446 4.6.1: new tickets must not make one proof of identity last for ever.
        return 0 <= age < 1000 * lifetime and since_proof < 1000 * MAX_LIFETIME

    def age_at(self, now: int) -> int:
        """Return the obfuscated_ticket_age (RFC 8446 section 4.2.11.1)."""
        return (now - self.received_at + self.age_add) % 2**32

    def to_json(self) -> dict[str, Any]:
        """Return all fields as JSON values, including the secret, for a store that keeps it
        safe.
        """
        return {"format": _FORMAT} | {
            each.name: _to_json(getattr(self, each.name)) for each in fields(self)
        }

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Session:
        """Return the session that `to_json` wrote; raise `ConfigurationError` if it is not
        valid.
        """
        try:
            if given["format"] != _FORMAT:
                raise ValueError("another format")
            values = {each.name: _from_json(given[each.name], each.name) for each in fields(cls)}
            return _checked(cls(**values))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigurationError("This is not a session that was stored here.") from error

    def __repr__(self) -> str:
        return f"<Session {self.version} with {self.server_name or 'no name'}>"


def _checked(session: Session) -> Session:
    """Return the same session if it is usable at all; raise `ValueError` otherwise."""
    if session.certificate_type not in ("X509", "RawPublicKey"):
        raise ValueError("another certificate_type")
    suite = CIPHER_SUITES.get(session.cipher_suite) if session.version == "TLSv1.3" else None
    sizes = range(32, 49) if suite is None else (suite.hash_size,)
    if len(session.secret) not in sizes:
        raise ValueError("a secret of another size")
    return session


def session_to_text(session: Session) -> str:
    """Return a session as one line of JSON."""
    import json  # Only stores outside of the process need it.

    return json.dumps(session.to_json(), separators=(",", ":"))


_BYTES = ("secret", "ticket", "session_id", "ocsp_response", "sct_list", "psk_fingerprint")
_CHAINS = ("peer_chain_der", "local_chain_der")
_NUMBERS = ("authenticated_at", "received_at", "lifetime", "age_add", "max_early_data")
_OPTIONAL = ("server_name", "alpn", "ocsp_response", "sct_list", "signature_scheme", "requested")


def _to_json(value: object) -> object:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, tuple):
        return [_to_json(each) for each in cast(tuple[object, ...], value)]
    if isinstance(value, RequestedCertificate):
        return value.to_json()
    return value


def _from_json(value: Any, name: str) -> Any:
    """Return a field's value; raise `TypeError` or `ValueError` if it has the wrong type."""
    if value is None and name in _OPTIONAL:
        return None
    if name == "requested":
        return RequestedCertificate.from_json(_of_type(value, dict))
    if name in _CHAINS:
        return tuple([_bytes(each) for each in _of_type(value, list)])
    if name in _BYTES:
        decoded = _bytes(value)
        return Secret(decoded) if name == "secret" else decoded
    if name in _NUMBERS:
        return _whole(value)
    return _of_type(value, str)


def _texts(value: object) -> tuple[str, ...]:
    return tuple([_of_type(each, str) for each in _of_type(value, list)])


def _bytes(value: object) -> bytes:
    return base64.b64decode(_of_type(value, str), validate=True)


def _of_type(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(kind.__name__)
    return value


def _whole(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError("not a whole number")
    return value
