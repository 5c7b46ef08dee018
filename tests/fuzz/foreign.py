"""Targets: what other people's programs and authorities made, and changes to it.

The captures of `tests/capture/data` and the chains of x509-limbo are the seeds. Of a capture it is
what each end said, in order, with its key log, so that a change is one to the bytes of a peer and
not to the format of a file, which tshark reads.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

from tests.fuzz.captures import ENDS, genuine, story_of
from tests.fuzz.certificates import accepts
from tests.fuzz.target import Choices, Target
from tests.vectors.test_limbo import CASES, Case, case_of

from handclasp import CertificateError
from handclasp.capture.stream import CaptureError, Piece, Stream, StreamEnd
from handclasp.capture.tshark import conversations, streams_of
from handclasp.certificates import explain
from handclasp.certificates.verify import verify_client_chain, verify_server_chain

_DATA = Path(__file__).parents[1] / "capture" / "data"
_MILLISECOND = 1_000_000
_SERVER, _MISSING, _ENDING, _RESET = 1, 2, 4, 8
"""In the byte before each piece: who says it, what comes with it, and what it is instead."""
_IS_CUT, _NO_BEGINNING, _SAYS_TROUBLE = 1, 2, 4
"""In the first byte: what else there is to say of the capture."""


def foreign(data: bytes) -> None:
    """A conversation of any two ends and its key log, as `_as_seed` writes them."""
    choices = Choices(data)
    flags, size = choices.byte(), choices.byte()
    keylog = choices.take(choices.number())
    pieces = list[Piece]()
    endings = list[StreamEnd]()
    while choices.more():
        kind, at_ns = choices.byte(), (len(pieces) + len(endings)) * _MILLISECOND
        if kind & _ENDING:
            how = "reset" if kind & _RESET else "end"
            endings.append(StreamEnd(at_ns, kind & _SERVER, how))
            continue
        missing = choices.number() if kind & _MISSING else 0
        said = choices.take(choices.number())
        pieces.append(Piece(at_ns, kind & _SERVER, said, missing))
    stream = Stream(
        0,
        ENDS,
        tuple(pieces),
        tuple(endings),
        begins=not flags & _NO_BEGINNING,
        is_cut=bool(flags & _IS_CUT),
        trouble="The file is cut off." if flags & _SAYS_TROUBLE else "",
    )
    story_of(stream, keylog, size=1 + size)


def foreign_seeds() -> Iterable[bytes]:
    for heard in genuine()[::4]:
        yield _as_seed(Stream(0, ENDS, heard.pieces), heard.keylog)
    for stream, keylog in captures():
        for with_keys in {keylog, b""}:
            yield _as_seed(stream, with_keys)


@cache
def captures() -> tuple[tuple[Stream, bytes], ...]:
    """The conversations of the captures, if tshark is here to take them apart."""
    if shutil.which("tshark") is None:
        return ()
    found = list[tuple[Stream, bytes]]()
    for path in sorted(_DATA.glob("*.pcap*")):
        keys = path.with_suffix(".keys")
        keylog = keys.read_bytes() if keys.exists() else b""
        with suppress(CaptureError):
            streams = streams_of(path, conversations(path)).values()
            found += [(each, keylog) for each in streams if isinstance(each, Stream)]
    return tuple(found)


def _as_seed(stream: Stream, keylog: bytes) -> bytes:
    flags = _IS_CUT * stream.is_cut | _NO_BEGINNING * (not stream.begins)
    out = bytearray([flags | _SAYS_TROUBLE * bool(stream.trouble), 40])
    out += _number(len(keylog)) + keylog
    spoken: list[Piece | StreamEnd] = [*stream.pieces, *stream.endings]
    for said in sorted(spoken, key=lambda each: each.at_ns):
        if isinstance(said, StreamEnd):
            out.append(said.sender | _ENDING | _RESET * (said.how == "reset"))
            continue
        out.append(said.sender | _MISSING * bool(said.missing))
        if said.missing:
            out += _number(min(said.missing, 0xFFFF))
        out += _number(len(said.data)) + said.data
    return bytes(out)


# Chains of certificates


def limbo(data: bytes) -> None:
    """A case of x509-limbo by its number, and certificates in place of its own."""
    choices = Choices(data)
    case = _case(choices.number() % len(CASES))
    chain = list[bytes]()
    while choices.more() and len(chain) < 8:
        chain.append(choices.take(choices.number()))
    if case.name is None:
        accepted = accepts(
            lambda: verify_client_chain(chain, case.trust, case.time, policy=case.policy)
        )
    else:
        name = case.name
        accepted = accepts(
            lambda: verify_server_chain(chain, case.trust, name, case.time, policy=case.policy)
        )
    try:
        explanation = explain(chain, case.name, case.trust, case.time, policy=case.policy)
    except CertificateError:
        if accepted:
            raise AssertionError("accepted, and yet no explanation") from None
        return
    explanation.to_json()
    if explanation.accepted is not accepted:
        raise AssertionError("the explanation has another verdict than the decision")
    if accepted is bool(explanation.broken):
        raise AssertionError("the explanation's reasons are not those of its verdict")


def limbo_seeds() -> Iterable[bytes]:
    for number in range(len(CASES)):
        yield _number(number) + b"".join(_number(len(der)) + der for der in _case(number).chain)


@cache
def _case(number: int) -> Case:
    return case_of(CASES[number])


def _number(value: int) -> bytes:
    return value.to_bytes(2, "big")


@cache
def targets() -> tuple[Target, ...]:
    return (
        Target("foreign", foreign, foreign_seeds, weight=3),
        Target("limbo", limbo, limbo_seeds, weight=2),
    )
