"""The values that asyncio's TLS transports have in `get_extra_info`, for ours.

Libraries look at these names to learn whether a connection is TLS at all, what was negotiated, and
who the peer is. There is no `ssl.SSLObject` here, so "ssl_object" is a view that has the methods of
one which only ask, and none of those that do something.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from handclasp.adapters.peercert import peer_certificate
from handclasp.client import ClientConnection
from handclasp.errors import ConfigurationError
from handclasp.info import ConnectionInfo
from handclasp.server import ServerConnection

if TYPE_CHECKING:
    from handclasp.config import ClientConfig, ServerConfig

Connection: TypeAlias = ClientConnection | ServerConnection
Cipher: TypeAlias = tuple[str, str, int]


class SSLObjectView:
    """A view of a connection with the methods of `ssl.SSLObject`.

    Attributes:
        context: the config. It is no `ssl.SSLContext`.
        server_side: whether this side is the server.
        server_hostname: the name in the client's hello, or None.
        session_reused: whether an earlier session was resumed.
    """

    def __init__(self, connection: Connection, info: ConnectionInfo) -> None:
        self._connection = connection
        self._info = info
        self.context: ClientConfig | ServerConfig = connection.config
        self.server_side = isinstance(connection, ServerConnection)
        self.server_hostname = info.server_name
        self.session_reused = info.resumed

    def __repr__(self) -> str:
        return f"<SSLObjectView {self.version()} {self.cipher()[0]}>"

    def version(self) -> str:
        """Return "TLSv1.3" or "TLSv1.2"."""
        return self._info.version

    def cipher(self) -> Cipher:
        """Return the name as OpenSSL has it, the version that brought it, and the key's bits."""
        return cipher_of(self._info)

    def compression(self) -> None:
        """Return None: TLS records are never compressed (RFC 9325 section 3.3)."""

    def selected_alpn_protocol(self) -> str | None:
        """Return the application protocol agreed upon, or None."""
        return self._info.alpn

    def selected_npn_protocol(self) -> None:
        """Return None: NPN has been replaced by ALPN (RFC 7301)."""

    def getpeercert(self, binary_form: bool = False) -> Any:
        """Return the peer's certificate as `ssl.SSLSocket.getpeercert` does."""
        return peer_certificate(self._info, binary_form=binary_form)

    def get_verified_chain(self) -> list[bytes]:
        """Return the path that was verified, the peer's certificate first, as DER."""
        return list(self._info.verified_chain_der)

    def get_unverified_chain(self) -> list[bytes]:
        """Return the certificates that the peer sent, its own first, as DER."""
        return list(self._info.peer_chain_der)

    def get_channel_binding(self, cb_type: str = "tls-unique") -> bytes | None:
        """Return the bytes of a channel binding; None where the connection has none such.

        Raises `ValueError` for a type that there is not.
        """
        if cb_type not in ("tls-unique", "tls-exporter", "tls-server-end-point"):
            raise ValueError(f"{cb_type} channel binding type not implemented")
        try:
            return self._connection.channel_binding(cb_type)
        except ConfigurationError:
            return None


def extra_info(connection: Connection, name: str, default: Any) -> Any:
    """Return the value of a name that is about TLS; `default` before the handshake is complete."""
    info = connection.info
    return default if info is None else TLS_NAMES[name](connection, info)


def cipher_of(info: ConnectionInfo) -> Cipher:
    """Return what `ssl.SSLSocket.cipher` does."""
    name = info.cipher_suite
    bits = 128 if "_128_" in name else 256  # ChaCha20 has 256 as well.
    if info.version == "TLSv1.3":
        return name, info.version, bits
    is_old = name.endswith("_SHA")  # CBC with HMAC-SHA1, from before TLS 1.2
    old = "TLSv1.0" if "_ECDHE_" in name else "SSLv3"
    return openssl_name(name), old if is_old else info.version, bits


def openssl_name(name: str) -> str:
    """Return OpenSSL's name of a cipher suite of TLS 1.2: ECDHE-RSA-AES128-GCM-SHA256."""
    exchange, _, rest = name.removeprefix("TLS_").partition("_WITH_")
    rest = rest.replace("AES_128", "AES128").replace("AES_256", "AES256").replace("_CBC", "")
    if rest.startswith("CHACHA20"):
        rest = rest.removesuffix("_SHA256")
    prefix = "" if exchange == "RSA" else f"{exchange}_"
    return f"{prefix}{rest}".replace("_", "-")


TLS_NAMES: dict[str, Callable[[Connection, ConnectionInfo], Any]] = {
    "cipher": lambda _, info: cipher_of(info),
    "compression": lambda _, info: None,
    "peercert": lambda _, info: peer_certificate(info),
    "ssl_object": SSLObjectView,
    "sslcontext": lambda connection, _: connection.config,
}
