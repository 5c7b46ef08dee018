"""The part of a `Link` that only reads: what a program asks a connection about."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from handclasp.adapters.peercert import as_dict
from handclasp.compat.ciphers import described
from handclasp.compat.native import ENCODING_DER, ENCODING_PEM
from handclasp.config.values import kind_of
from handclasp.errors import ConfigurationError

if TYPE_CHECKING:
    from handclasp.client import ClientConnection
    from handclasp.config import ClientConfig, ServerConfig
    from handclasp.info import ConnectionInfo
    from handclasp.server import ServerConnection

_BINDINGS = ("tls-unique", "tls-exporter", "tls-server-end-point")


class Certificate:
    """One certificate of a chain, as `_ssl.Certificate`."""

    __slots__ = ("_der",)

    def __init__(self, der: bytes) -> None:
        self._der = der

    def public_bytes(self, format: int = ENCODING_PEM) -> bytes | str:  # noqa: A002
        """Return it as PEM, which is text, or as DER."""
        if format == ENCODING_PEM:
            return ssl.DER_cert_to_PEM_cert(self._der)
        if format == ENCODING_DER:
            return self._der
        raise ValueError("Unsupported format")

    def get_info(self) -> dict[str, Any]:
        """Return its fields, as `getpeercert` does."""
        from handclasp.certificates.reading import certificate_of

        return as_dict(certificate_of(self._der))

    def __eq__(self, other: object) -> bool:
        return self._der == other._der if isinstance(other, Certificate) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._der)

    def __repr__(self) -> str:
        from handclasp.certificates.reading import certificate_of

        subject = certificate_of(self._der).subject.rfc4514_string()
        return f"<{type(self).__name__} {subject!r}>"


class Facts:
    """The questions that `ssl.SSLSocket` and `ssl.SSLObject` pass on."""

    server_side: bool
    _connection: ClientConnection | ServerConnection | None
    _config: ClientConfig | ServerConfig
    _offered_suites: tuple[str, ...]

    @property
    def info(self) -> ConnectionInfo | None:
        """The parameters that the handshake agreed upon; None until it is complete."""
        return self._connection.info if self._connection is not None else None

    def version(self) -> str | None:
        """Return the version of the protocol; None before the handshake."""
        return self.info.version if self.info is not None else None

    def cipher(self) -> tuple[str, str, int] | None:
        """Return name, version and bits of the cipher suite; None before the handshake."""
        return described(self.info.cipher_suite) if self.info is not None else None

    def shared_ciphers(self) -> list[tuple[str, str, int]] | None:
        """Return the suites that the client offered and this server has; None for a client."""
        if not self.server_side or self.info is None:
            return None
        usable = self._config.cipher_suites
        return [described(name) for name in self._offered_suites if name in usable]

    def compression(self) -> None:
        """Return None: nothing is compressed (RFC 8446 section 4.1.2)."""

    def selected_alpn_protocol(self) -> str | None:
        """Return the application protocol, if one was agreed upon."""
        return self.info.alpn if self.info is not None else None

    @property
    def session_reused(self) -> bool:
        """Whether an earlier session was resumed."""
        return self.info is not None and self.info.resumed

    def getpeercert(self, binary_form: bool = False, /) -> Any:
        """Return the peer's certificate as a dict or as DER.

        None without one. The dict is empty if the certificate was not verified.
        """
        info = self.info
        if info is None:
            raise ValueError("handshake not done yet")
        if not info.peer_chain_der or info.peer_certificate_type != "X509":
            return None
        if binary_form:
            return info.peer_chain_der[0]
        return as_dict(info.peer_chain[0]) if info.peer_verified else {}

    def get_verified_chain(self) -> list[Certificate] | None:
        """Return the verified path, leaf first; None without one."""
        info = self.info
        return _certificates(info.verified_chain_der if info is not None else ())

    def get_unverified_chain(self) -> list[Certificate] | None:
        """Return the certificates that the peer sent, leaf first; None without one."""
        info = self.info
        return _certificates(info.peer_chain_der if info is not None else ())

    def get_channel_binding(self, cb_type: str = "tls-unique") -> bytes | None:
        """Return bytes that tie an application's authentication to this connection.

        Besides "tls-unique", "tls-exporter" (RFC 9266) and "tls-server-end-point" (RFC 5929) are
        known. None before the handshake. RFC 9846 section C.5 leaves "tls-unique" undefined in TLS
        1.3; there it is what `ssl` returns.
        """
        if not isinstance(cb_type, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            kind = kind_of(cb_type)
            raise TypeError(f"get_channel_binding() argument 'cb_type' must be str, not {kind}")
        if cb_type not in _BINDINGS:
            raise ValueError(f"{cb_type!r} channel binding type not implemented")
        if self._connection is None or self.info is None:
            return None
        if cb_type == "tls-unique" and (finished := self._connection.finished) is not None:
            of_client, of_server = finished
            return of_server if self.session_reused else of_client
        try:
            return self._connection.channel_binding(cb_type)
        except ConfigurationError:
            return None

    def export_keying_material(self, label: str, length: int, context: bytes | None) -> bytes:
        """Return `length` bytes that only the two ends know (RFC 9846 section 7.5)."""
        if self._connection is None:
            raise ValueError("handshake not done yet")
        return self._connection.export_keying_material(label, context, length)


def _certificates(chain: tuple[bytes, ...]) -> list[Certificate] | None:
    return [Certificate(der) for der in chain] or None
