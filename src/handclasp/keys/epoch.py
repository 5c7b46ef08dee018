"""The four epochs of a handshake, by which a message has its keys (RFC 9147 section 6.1)."""

from __future__ import annotations

from enum import Enum


class Epoch(Enum):
    """A stage of a connection that has keys of its own in each direction.

    QUIC calls them encryption levels (RFC 9001 section 2.1). The values are the words that traces
    use. TLS 1.2 has two of them, `PLAINTEXT` and `APPLICATION`.
    """

    PLAINTEXT = "plaintext"
    EARLY_DATA = "early"
    HANDSHAKE = "handshake"
    APPLICATION = "application"
