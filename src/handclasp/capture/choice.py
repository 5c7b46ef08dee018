"""The choice of the conversation, among those of a capture, to explain.

>>> from handclasp.capture.choice import first_of_tls
>>> from handclasp.capture.stream import Address, Piece, Stream
>>> client = ClientConnection(server_name="example.com")
>>> ends = Address("192.0.2.1", 49152), Address("192.0.2.2", 443)
>>> first_of_tls({7: Stream(7, ends, (Piece(0, 0, client.data_to_send()),))})
7
"""

from __future__ import annotations

from collections.abc import Mapping

from handclasp.capture.stream import CaptureError, Stream


def first_of_tls(streams: Mapping[int, Stream | CaptureError]) -> int:
    """Return the number of the first conversation with a ClientHello and no missing bytes.

    If there is none, it is the first one with a ClientHello, or else the first one with a
    ServerHello. Raises `CaptureError` if none of them is TLS.

    Args:
        streams: the streams in the order of their first packets, or the reasons why they cannot be
            read.
    """
    unreadable: list[CaptureError] = []
    with_gaps: int | None = None
    without_hello: int | None = None
    for number, stream in streams.items():
        if isinstance(stream, CaptureError):
            unreadable.append(stream)
        elif stream.starts_of_hello() is not None:
            if not stream.missing:
                return number
            with_gaps = number if with_gaps is None else with_gaps
        elif stream.answers() is not None:
            without_hello = number if without_hello is None else without_hello
    second_best = without_hello if with_gaps is None else with_gaps
    if second_best is not None:
        return second_best
    told = f"None of its {len(streams)} TCP connections begins with a ClientHello."
    if unreadable:
        told += f" {len(unreadable)} cannot be read, the first of them because: {unreadable[0]}"
    raise CaptureError(told)
