"""The state of a server that got an encrypted_client_hello (RFC 9849 section 7.1)."""

from __future__ import annotations

from handclasp.crypto.hpke import HpkeContext
from handclasp.values import field, value
from handclasp.wire.ech import EchConfig, EncryptedHello


@value(frozen=True, slots=True)
class ReceivedEch:
    """An encrypted_client_hello, and what became of it.

    Attributes:
        hello: that of the first ClientHello.
        context: opens the second one; None if no key opened the first.
        config: the configuration that the client used; None likewise.
        inner_random: of the first inner hello; empty likewise.
        retry_configs: those that a client gets whose hello was not opened.
    """

    hello: EncryptedHello
    context: HpkeContext | None = field(default=None, repr=False)
    config: EchConfig | None = None
    inner_random: bytes = b""
    retry_configs: tuple[EchConfig, ...] = ()
