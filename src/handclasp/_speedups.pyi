from collections.abc import Iterable
from typing import Any

from handclasp.crypto.suites import Aead, Buffer

REVISION: int
"""That of the source from which it was built, to compare with `handclasp.speedups.REVISION`."""

def hmac_digest(hash_name: str, key: bytes, data: bytes, /) -> bytes:
    """As `pure_hmac_digest`."""

def hkdf_expand_blocks(hash_name: str, secret: bytes, infos: Iterable[bytes], /) -> list[bytes]:
    """As `pure_hkdf_expand_blocks`."""

class RecordKey:
    """As `PureRecordKey`; with what is written out in `Connection` where this is not built."""

    @property
    def aead(self) -> Aead: ...
    @property
    def iv(self) -> int: ...
    limit: int
    sequence: int
    takes_plain_alert: bool
    until: int

    def __init__(self, aead: Aead, iv: bytes, limit: int) -> None: ...
    def seal_data(self, data: Buffer, into: list[Buffer], /) -> bool:
        """Append one record of data, or return False: it is for the long way.

        That is where `data` are not bytes in one piece, empty or longer than `limit`, or `sequence`
        is `until`.
        """

    def seal_many(self, content_type: int, content: Buffer, fragment_size: int, /) -> Buffer: ...
    def open_data(self, buffer: Buffer, /) -> tuple[bytes, int]: ...
    def open_one(self, data: Buffer, /) -> bytes | None:
        """Open what is one whole record of data, and nothing else, and return its content.

        None where it is for `open_data`: nothing has been counted then.
        """

    def open_event(self, data: Buffer, event_type: type, /) -> list[Any] | None:
        """As `open_one`, but returns a list with an event that has the content as `data`."""
