"""The exchanges that a scan is made of, and the generators that make them.

A probe is a generator: it yields an `Exchange`, and gets its result. It does no input or output;
`runner.py` carries the exchanges out, each with the server over a connection of its own, and a test
can answer them by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeAlias, TypeVar

from handclasp.config import ClientConfig
from handclasp.dns.errors import DnsError
from handclasp.dns.records import HttpsEndpoint
from handclasp.info import ConnectionInfo
from handclasp.scan.answer import Answer
from handclasp.scan.hello import Hello
from handclasp.scan.legacy import OldAnswer
from handclasp.values import dataclass, field


@dataclass(frozen=True, slots=True)
class Ask:
    """Send a hello, and read the answer to it.

    Attributes:
        whole_flight: read the server's whole flight before TLS 1.3, not the ServerHello alone.
    """

    hello: Hello
    whole_flight: bool = False


@dataclass(frozen=True, slots=True)
class AskOld:
    """Send the CLIENT-HELLO of SSL 2.0."""


@dataclass(frozen=True, slots=True)
class Shake:
    """Make a whole handshake with this library's client, to read what is encrypted.

    Attributes:
        config: its settings; the certificate is not verified, but read.
        request: bytes to send once the handshake is complete, and read the head of the answer;
            empty for none.
        tickets: wait for tickets after the handshake.
    """

    config: ClientConfig
    request: bytes = b""
    tickets: bool = False


@dataclass(frozen=True, slots=True)
class RsaKey:
    """The public numbers of an RSA key."""

    modulus: int
    exponent: int


@dataclass(frozen=True, slots=True)
class Provoke:
    """Answer a server's first flight with a key exchange of RSA; the result is what it says then.

    Attributes:
        key: the server's.
        form: one of `robot.FORMS`.
        complete: send change_cipher_spec and a Finished of random, too.
    """

    hello: Hello
    key: RsaKey
    form: str
    complete: bool


@dataclass(frozen=True, slots=True)
class LookUp:
    """Look up the ECH configurations of a name and port in the DNS.

    The result is an `HttpsEndpoint`, or the `DnsError` that says why there is none.
    """

    name: str
    port: int


@dataclass(slots=True)
class Shaken:
    """The result of a `Shake`.

    Attributes:
        messages: the handshake messages of the server, as far as they came, each with its header.
        info: what was agreed upon; None if the handshake failed.
        chain_der: the certificates, also where the handshake failed after them.
        error: why it failed; empty if it did not.
        refused: whether it failed by an alert of the server.
        is_lost: whether it failed because the connection was closed, broke, or went silent.
        received: the first bytes of the answer to the request.
        trouble: why the connection failed after the handshake; empty if it did not.
        waited: the seconds after the request in which they came, or nothing did.
    """

    messages: tuple[bytes, ...] = field(default=(), repr=False)
    info: ConnectionInfo | None = None
    chain_der: tuple[bytes, ...] = field(default=(), repr=False)
    error: str = ""
    refused: bool = False
    is_lost: bool = False
    received: bytes = field(default=b"", repr=False)
    waited: float = 0.0
    trouble: str = ""

    def messages_of(self, kind: int) -> list[bytes]:
        """Return the messages of one type."""
        return [raw for raw in self.messages if raw[0] == kind]


Exchange: TypeAlias = Ask | AskOld | Provoke | Shake | LookUp
Found = TypeVar("Found")
Probe: TypeAlias = Generator[Exchange, Any, Found]
"""A generator of exchanges that returns what it found out."""


def ask(hello: Hello, *, whole_flight: bool = False) -> Probe[Answer]:
    """Send a hello; return the answer. What is lost without a whole one is asked once more."""
    answer: Answer = yield Ask(hello, whole_flight)
    if answer.is_lost:
        answer = yield Ask(hello, whole_flight)
    return answer


def ask_once(hello: Hello) -> Probe[Answer]:
    """Send a hello; return the answer, also where it is none."""
    answer: Answer = yield Ask(hello)
    return answer


def ask_old() -> Probe[OldAnswer]:
    """Send the hello of SSL 2.0; return the answer. Where nothing came, it is sent once more."""
    answer: OldAnswer = yield AskOld()
    if not answer.evidence:
        answer = yield AskOld()
    return answer


def shake(config: ClientConfig, request: bytes = b"", *, tickets: bool = False) -> Probe[Shaken]:
    """Make a handshake; return what came of it. If its connection is lost, it is made again."""
    shaken: Shaken = yield Shake(config, request, tickets)
    if shaken.is_lost:
        shaken = yield Shake(config, request, tickets)
    return shaken


def look_up(name: str, port: int) -> Probe[HttpsEndpoint | DnsError]:
    """Look up ECH configurations; return where they lead, or why there are none."""
    found: HttpsEndpoint | DnsError = yield LookUp(name, port)
    return found


def eliminate(
    offered: Sequence[int], choose: Callable[[Sequence[int]], Probe[int | None]]
) -> Probe[tuple[int, ...]]:
    """Return all that a server accepts of a list, in the order in which it chooses.

    Each round offers what is left, and takes out what the server chose: one connection for each
    value that is accepted, and one for the end. A server that chooses what was not offered ends it.

    >>> from handclasp.scan.steps import eliminate
    >>> def choose(left):
    ...     return max((each for each in left if each % 2), default=None)
    ...     yield
    >>> rounds = eliminate([1, 2, 3, 4, 5], choose)
    >>> try:
    ...     next(rounds)
    ... except StopIteration as end:
    ...     print(end.value)
    (5, 3, 1)
    """
    left, found = list(offered), list[int]()
    while left:
        chosen = yield from choose(left)
        if chosen is None or chosen not in left:
            break
        found.append(chosen)
        left.remove(chosen)
    return tuple(found)
