"""The secrets that decrypt a capture: lines of SSLKEYLOGFILE (RFC 9850), alone or in pcapng.

>>> from handclasp.capture.secrets import KeyLog, secrets_inside
>>> keylog = KeyLog()
>>> with open("capture.keys", "rb") as file:
...     keylog.add(file.read())
>>> recorder = Recorder(record_secrets=True, record_wire=True)
>>> handclasp.connect("example.com", 443, trace=recorder).close()
>>> [lines] = secrets_inside(recorder.to_pcapng())
>>> lines.split()[0]
b'CLIENT_HANDSHAKE_TRAFFIC_SECRET'
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from handclasp.capture.stream import CaptureError
from handclasp.crypto.secret import Secret
from handclasp.trace.pcapng import KEYLOG_LABELS, SECRETS_BLOCK, TLS_SECRETS

Secrets = Mapping[str, bytes]
"""The secrets of one connection by their labels."""
LONGEST_LINE = 16 * 1024
"""The bytes of any line with a secret, and more; a longer line would only fill the memory."""
_RANDOM_BYTES = 32
_MOST_SECRET_BYTES = 64
_MOST_CONFIG_BYTES = 4096
"""For an ECH_CONFIG, which holds a public key of up to 1,568 bytes, and names."""


class KeyLog:
    """The secrets of any number of connections, by the random of the ClientHello.

    Attributes:
        trouble: why secrets may be missing, in a sentence; empty where nothing is known about that.
        advice: how to get them, in a sentence or two that follow `trouble`.
    """

    def __init__(self) -> None:
        self._secrets: dict[bytes, dict[str, bytes]] = {}
        self.trouble = ""
        self.advice = ""

    def __len__(self) -> int:
        return len(self._secrets)

    def add(self, text: bytes) -> None:
        """Add the lines of a key log; other lines are ignored, as by all readers.

        So are values that are too long for what they are called.
        """
        for line in text.splitlines():
            words = line.split()
            if len(words) != 3:
                continue
            label = words[0].decode("ascii", "replace")
            if label not in KEYLOG_LABELS:
                continue
            try:
                random, secret = (bytes.fromhex(word.decode("ascii")) for word in words[1:])
            except ValueError:
                continue
            most = _MOST_CONFIG_BYTES if label == "ECH_CONFIG" else _MOST_SECRET_BYTES
            if len(random) > _RANDOM_BYTES or len(secret) > most:
                continue
            self._secrets.setdefault(random, {})[label] = Secret(secret)

    def forget_all_but(self, most: int) -> None:
        """Forget the secrets that were added first, up to the last `most` connections."""
        if (excess := len(self._secrets) - most) > 0:
            # Not one by one from its beginning: each look for the first passes all that are gone.
            self._secrets = dict(islice(self._secrets.items(), excess, None))

    def of(self, client_random: bytes) -> Secrets:
        """Return the secrets of one connection; empty if there are none."""
        return self._secrets.get(client_random, {})


def secrets_inside(capture: bytes) -> Iterator[bytes]:
    """Yield the key logs in a pcapng file (its Decryption Secrets Blocks).

    Other formats hold none. Raises `CaptureError` for a pcapng file that is broken.
    """
    at, order = 0, "little"
    while capture[at : at + 4] == _SECTION or (at and at < len(capture)):
        if capture[at : at + 4] == _SECTION:
            order = "little" if capture[at + 8 : at + 12] == _LITTLE else "big"
        kind = _number(capture[at : at + 4], order)
        length = _number(capture[at + 4 : at + 8], order)
        if length < _LEAST_BLOCK or at + length > len(capture):
            raise CaptureError(f"The capture is cut off or broken: block at byte {at}.")
        if kind == SECRETS_BLOCK:
            body = capture[at + 8 : at + length - 4]
            if _number(body[:4], order) == TLS_SECRETS:
                yield body[8 : 8 + _number(body[4:8], order)]
        at += length


_SECTION = b"\x0a\x0d\x0d\x0a"
_LITTLE = b"\x4d\x3c\x2b\x1a"
_LEAST_BLOCK = 12


def _number(octets: bytes, order: str) -> int:
    return int.from_bytes(octets, "little" if order == "little" else "big")
