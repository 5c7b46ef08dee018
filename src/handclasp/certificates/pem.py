"""The blocks of a PEM text (RFC 7468), found in one pass, however many of them have no end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_LINE = re.compile(rb"-----(BEGIN|END) ([A-Z0-9 ]{1,64})-----")


class PemBlock(NamedTuple):
    """A part of a text from its BEGIN line to its END line.

    Attributes:
        label: what the lines say that it is, such as "PRIVATE KEY".
        body: what is between the two lines.
        text: all of it, with both lines.
    """

    label: str
    body: bytes
    text: bytes


def pem_blocks(data: bytes) -> Iterator[PemBlock]:
    """Yield the blocks in a text, in the order of their ends; one without an end is left out.

    >>> from handclasp.certificates.pem import pem_blocks
    >>> [block.label for block in pem_blocks(EchKey.generate("public.example").to_pem())]
    ['PRIVATE KEY', 'ECHCONFIG']
    """
    begun: dict[bytes, re.Match[bytes]] = {}
    for line in _LINE.finditer(data):
        kind, label = line.groups()
        if kind == b"BEGIN":
            begun.setdefault(label, line)
        elif (first := begun.pop(label, None)) is not None:
            body = data[first.end() : line.start()]
            yield PemBlock(label.decode("ascii"), body, data[first.start() : line.end()])
