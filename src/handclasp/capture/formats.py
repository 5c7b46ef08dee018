"""The file formats of captures, compressed or not.

>>> from handclasp.capture.formats import is_capture, unpacked
>>> with open("capture.pcap", "rb") as file:
...     data = file.read()
>>> is_capture(data), unpacked(data) == data
(True, True)
"""

from __future__ import annotations

import zlib

_STARTS = (
    b"\x0a\x0d\x0d\x0a",
    b"\xa1\xb2\xc3\xd4",
    b"\xd4\xc3\xb2\xa1",
    b"\xa1\xb2\x3c\x4d",
    b"\x4d\x3c\xb2\xa1",
    b"\xa1\xb2\xcd\x34",
    b"\x34\xcd\xb2\xa1",
    b"\x28\xb5\x2f\xfd",
    b"\x04\x22\x4d\x18",
)
"""pcapng, the six kinds of pcap, and files compressed by zstd and lz4, which tshark decompresses.
"""
_GZIP = b"\x1f\x8b"
_MOST_UNPACKED = 1 << 28
"""The bytes of a compressed file that are searched for secrets."""


def is_capture(data: bytes) -> bool:
    """Return whether a file with this beginning is a capture that tshark reads."""
    return data.startswith(_STARTS)


def unpacked(data: bytes) -> bytes:
    """Return the beginning of data compressed by gzip, and all other data unchanged."""
    if not data.startswith(_GZIP):
        return data
    try:
        return zlib.decompressobj(wbits=31).decompress(data, _MOST_UNPACKED)
    except zlib.error:
        return data
