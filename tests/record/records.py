"""What the tests of the record layer build on: keys, layers, records made by hand."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from handclasp.crypto.secret import Secret
from handclasp.crypto.suites import CIPHER_SUITES, CipherSuite
from handclasp.keys.epoch import Epoch
from handclasp.keys.traffic import TrafficKeys
from handclasp.limits import Limits
from handclasp.record.layer import RecordLayer

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


def layer(
    *,
    is_client: bool = True,
    limits: Limits | None = None,
    padding: int | Callable[[int], int] = 0,
    protected: bool = False,
) -> RecordLayer:
    """A record layer; `protected` gives both directions the keys of `keys_of()`."""
    made = RecordLayer(limits or Limits(), padding, is_client=is_client)
    if protected:
        made.install_read(Epoch.APPLICATION, keys_of())
        made.install_write(Epoch.APPLICATION, keys_of())
    return made


def pull(records: RecordLayer, data: bytes) -> list[tuple[int, bytes]]:
    """Feed and take all records that are there."""
    records.feed(data)
    pulled: list[tuple[int, bytes]] = []
    while (record := records.next_record()) is not None:
        pulled.append(record)
    records.retain()
    return pulled


def split(stream: bytes) -> list[bytes]:
    """The records in a byte stream, with their headers."""
    found: list[bytes] = []
    while stream:
        size = 5 + int.from_bytes(stream[3:5], "big")
        found.append(stream[:size])
        stream = stream[size:]
    return found
