"""The port: what a handshake asks of the transport that carries its messages.

A handshake speaks to a `Port`. Any transport can be one: TCP with its records, QUIC with its CRYPTO
frames. It carries messages and installs new keys; from the secret that it is given, it
derives whatever its packets need. What only records over TCP have is in `RecordPort`, and a
handshake does without it where there are none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from handclasp.crypto.suites import Buffer
from handclasp.keys.epoch import Epoch
from handclasp.keys.schedule13 import TrafficSecret
from handclasp.keys.traffic import TrafficKeys

DirectionSecret: TypeAlias = TrafficSecret | TrafficKeys
"""The secret of one direction: a traffic secret of TLS 1.3, or the keys of TLS 1.2."""


class Port(Protocol):
    """The work of every transport for a handshake.

    Attributes:
        unparsed: the handshake bytes behind the current message; the loop that cuts the messages
            out keeps it up to date, and it is true while there are any.
        read_epoch, write_epoch: those of the keys at work; plaintext before there are any.
    """

    unparsed: Buffer
    read_epoch: Epoch
    write_epoch: Epoch

    @property
    def send(self) -> Callable[[bytes], None]:
        """The method that queues one whole handshake message under the keys of `write_epoch`."""
        ...

    def install_read(self, epoch: Epoch, secret: DirectionSecret) -> None:
        """Open the peer's later messages with keys from `secret`.

        Raises `ProtocolError` where part of a message has come under the keys of before.
        """
        ...

    def install_write(self, epoch: Epoch, secret: DirectionSecret) -> None:
        """Protect later messages with keys from `secret`."""
        ...

    def end_flight(self) -> None:
        """Check that the peer has sent nothing beyond its flight. Raises `ProtocolError`.

        Called where it is this side's turn and no key changes; `install_read` checks it otherwise.
        """
        ...


class RecordPort(Port, Protocol):
    """The further work of TLS records over TCP (RFC 9846 section 5).

    Attributes:
        change_cipher_spec_allowed: whether the peer may send the record that means nothing.
    """

    change_cipher_spec_allowed: bool

    @property
    def room(self) -> int:
        """Bytes of content for which the current write key is still good."""
        ...

    @property
    def room_of_a_key(self) -> int:
        """Bytes of content for which a new write key is good."""
        ...

    def send_change_cipher_spec(self) -> None:
        """Queue the record that means nothing in TLS 1.3, and is a step of TLS 1.2."""
        ...

    def limit_read(self, record_size_limit: int) -> None:
        """Refuse longer records: the peer has agreed to the limit (RFC 8449)."""
        ...

    def limit_write(self, record_size_limit: int) -> None:
        """Send no longer records than the peer takes (RFC 8449)."""
        ...

    def skip_early_data(self, budget: int) -> None:
        """Pass over up to `budget` bytes of records that cannot be opened."""
        ...

    def use_tls12(self) -> None:
        """Go on with the records of TLS 1.2. Raises `ProtocolError`."""
        ...

    def revert_to_plaintext(self) -> None:
        """Send in the clear again: the early data were refused."""
        ...
