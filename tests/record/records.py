"""What the tests of the record layer build on: keys, layers, records made by hand."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from handclasp.crypto.secret import Secret
from handclasp.crypto.suites import CIPHER_SUITES, Buffer, CipherSuite
from handclasp.keys.epoch import Epoch
from handclasp.keys.traffic import TrafficKeys
from handclasp.limits import Limits
from handclasp.record.layer import RecordLayer
from handclasp.record_loop import RecordLoop
from handclasp.trace.hooks import Trace

AES_128 = CIPHER_SUITES["TLS_AES_128_GCM_SHA256"]

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23


def keys_of(suite: CipherSuite = AES_128, fill: int = 7) -> TrafficKeys:
    return TrafficKeys(suite, Secret(bytes([fill]) * suite.key_size), Secret(bytes([fill]) * 12))


def plain(content_type: int, content: bytes, version: bytes = b"\x03\x03") -> bytes:
    return bytes([content_type]) + version + len(content).to_bytes(2, "big") + content


def sealed(inner: bytes, sequence: int = 0, fill: int = 7) -> bytes:
    """A record with this TLSInnerPlaintext, sealed without the code under test."""
    header = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2, "big")
    nonce = bytes(
        a ^ b for a, b in zip(bytes([fill]) * 12, sequence.to_bytes(12, "big"), strict=True)
    )
    return header + AESGCM(bytes([fill]) * 16).encrypt(nonce, inner, header)


class _Into(list[Any]):
    """Where the loop puts application data: among all else that comes."""

    def __init__(self, seen: list[Any]) -> None:
        self._seen = seen

    def append(self, content: Any) -> None:
        self._seen.append((APPLICATION_DATA, bytes(content)))


class Records(RecordLoop):
    """The loop over records, with nothing behind it: what comes is in `seen`, in its order.

    Contents of handshake records are seen as they are, or, with `cuts`, as whole messages. What the
    record layer has is asked of it.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        padding: int | Callable[[int], int] = 0,
        *,
        is_client: bool = True,
        trace: Trace | None = None,
        cuts: bool = False,
    ) -> None:
        limits = limits or Limits()
        self.layer = RecordLayer(limits, padding, is_client=is_client, trace=trace)
        super().__init__(self.layer, limits, trace)
        self.cuts = cuts
        self.seen: list[Any] = []
        self._data = _Into(self.seen)
        self._post = SimpleNamespace(messages_without_data=0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.layer, name)

    def protect(self) -> None:
        """Give both directions the keys of `keys_of()`."""
        self.layer.install_read(Epoch.APPLICATION, keys_of())
        self.layer.install_write(Epoch.APPLICATION, keys_of())

    def receive(self, data: Buffer) -> None:
        """As `Connection.receive_data` does."""
        data = memoryview(data).cast("B")
        if self._unread:
            data = self._complete_record(data)
        if data:
            self._walk(data)

    @property
    def unread(self) -> bytes:
        """What waits for more bytes."""
        return bytes(self._unread)

    @property
    def in_a_message(self) -> bool:
        """Whether a message has begun that is not whole."""
        return bool(self._unparsed)

    def _receive_handshake(self, content: Buffer) -> None:
        if self.cuts:
            super()._receive_handshake(content)
        else:
            self.seen.append((HANDSHAKE, bytes(content)))

    def _receive_later_message(self, message: bytes) -> None:
        self.seen.append(message)

    def _receive_alert(self, content: Buffer) -> None:
        self.seen.append((ALERT, bytes(content)))


def layer(
    *,
    is_client: bool = True,
    limits: Limits | None = None,
    padding: int | Callable[[int], int] = 0,
    protected: bool = False,
    cuts: bool = False,
) -> Records:
    """A record layer and its loop; `protected` gives both directions the keys of `keys_of()`."""
    made = Records(limits, padding, is_client=is_client, cuts=cuts)
    if protected:
        made.protect()
    return made


def pull(records: Records, data: Buffer) -> list[Any]:
    """Feed, and take all that was in it."""
    records.receive(data)
    pulled = list(records.seen)
    records.seen.clear()
    return pulled


def split(stream: bytes) -> list[bytes]:
    """The records in a byte stream, with their headers."""
    found: list[bytes] = []
    while stream:
        size = 5 + int.from_bytes(stream[3:5], "big")
        found.append(stream[:size])
        stream = stream[size:]
    return found
