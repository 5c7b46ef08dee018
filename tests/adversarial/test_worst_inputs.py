"""The inputs that cost most per byte, as `make fuzz-costs` found them, and what they may cost.

Each is a good conversation, or a good file, of which one part stands there many times. It costs so
many bytecodes for each byte at most, and twice as much of it costs twice as much.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pytest
from tests.counting import bytecodes_of
from tests.fuzz.shapes import Node
from tests.fuzz.spending import Attempt, outcome_of, spendings


@dataclass(frozen=True)
class Worst:
    """An input that grows.

    Attributes:
        target: of the fuzzer for costs; its seed of this number is what grows.
        lists: the kinds of the lists whose first part is repeated, or that of number `part`.
        numbered: by which of its leaves the copies differ; None where they are all alike.
        choices: how it is sent, and to whom; () as in the seed.
        bytecodes: of Python for each byte of the input.
        times: how often.
        entry: the kind of what is repeated itself, instead of the parts of `lists`.
        signer: who signed the first certificate; "" as in the seed.
    """

    target: str
    seed: int
    lists: tuple[str, ...]
    numbered: int | None = None
    choices: tuple[int, ...] = ()
    bytecodes: float = 40.0
    times: int = 400
    part: int = 0
    entry: str = ""
    signer: str = ""

    def attempt(self, times: int) -> Attempt:
        """The call to measure, with each list so long."""
        root = list(spendings()[self.target].seeds())[self.seed].copy()
        for number, choice in enumerate(self.choices):
            (root.parts or [])[number].data = bytes([choice])
        for kind in self.lists:
            part = _first_list(root.named(kind))[self.part]
            part.times = times
            if self.numbered is not None:
                leaves = [each for each in part.walk() if each.parts is None and each.data]
                leaves[self.numbered].numbered = True
        if self.entry:
            entry = root.named(self.entry)
            entry.times, entry.numbered = times, True
        if self.signer:
            root.named("signed").data = self.signer.encode()
        return spendings()[self.target].prepare(root)


def _first_list(node: Node) -> list[Node]:
    """The parts of it, or of the first list inside."""
    return next(each.parts for each in node.walk() if each.many and each.parts)


HELLO, HELLO12 = -2, 8
ADDRESS = "0x87"
"""The tag of an address in subjectAltName."""
ALPN = "application_layer_protocol_negotiation"
SCHEMES = "signature_algorithms"
WORST: dict[str, Worst] = {
    "cipher suites": Worst("hello", HELLO, ("cipher_suites",)),
    "cipher suites, all different": Worst("hello", HELLO, ("cipher_suites",), 0),
    "groups": Worst("hello", HELLO, ("supported_groups",)),
    "groups, all different": Worst("hello", HELLO, ("supported_groups",), 0),
    "schemes": Worst("hello", HELLO, (SCHEMES,)),
    "schemes, all different": Worst("hello", HELLO, (SCHEMES,), 0),
    "protocols": Worst("hello", HELLO, (ALPN,), bytecodes=80),
    "protocols, all different": Worst("hello", HELLO, (ALPN,), 0, (2, 0, 0)),
    "authorities": Worst("hello", HELLO, ("certificate_authorities",)),
    "authorities, to whom asks for one": Worst(
        "hello", HELLO, ("certificate_authorities",), None, (1, 0, 0)
    ),
    "schemes of certificates": Worst("hello", HELLO, ("signature_algorithms_cert",), 0),
    "shares": Worst("hello", HELLO, ("key_share",), 0),
    "identities without binders": Worst("hello", HELLO, ("pre_shared_key",), 0),
    "names": Worst("hello", HELLO, ("server_name",)),
    "extensions": Worst("hello", HELLO, ("extensions",), 0),
    "suites, groups and schemes": Worst(
        "hello", HELLO, ("cipher_suites", "supported_groups", SCHEMES), 0
    ),
    "in records of a byte": Worst("hello", HELLO, ("supported_groups",), 0, (0, 2, 0)),
    "in records of a byte, read by 100": Worst("hello", HELLO, ("cipher_suites",), 0, (0, 2, 2)),
    "TLS 1.2: cipher suites": Worst("hello", HELLO12, ("cipher_suites",), 0),
    "TLS 1.2: groups": Worst("hello", HELLO12, ("supported_groups",), 0),
    "TLS 1.2: schemes": Worst("hello", HELLO12, (SCHEMES,), bytecodes=80),
    "TLS 1.2: schemes, all different": Worst("hello", HELLO12, (SCHEMES,), 0),
    "an answer with extensions": Worst("answer", 0, ("extensions",), 0),
    "requests to retry": Worst("answer", 0, ("answers",)),
    "a request with schemes": Worst("server-flight", 2, (SCHEMES,), 0),
    "a request with authorities": Worst("server-flight", 2, ("certificate_authorities",), 0),
    "EncryptedExtensions, again and again": Worst("server-flight", 2, ("flight",)),
    "TLS 1.2: a request with schemes": Worst("server-flight12", 1, ("schemes",), 0),
    "TLS 1.2: a request with authorities": Worst("server-flight12", 1, ("names",), 0),
    "a chain of many certificates": Worst("client-flight", 0, ("certificates",), times=100),
    "TLS 1.2: a chain of many certificates": Worst(
        "client-flight12", 0, ("certificates",), times=100
    ),
    "addresses of a stranger": Worst(
        "server-flight", 0, (), bytecodes=5, times=6_000, entry=ADDRESS, signer="stranger"
    ),
    "TLS 1.2: addresses of a stranger": Worst(
        "server-flight12", 0, (), bytecodes=5, times=6_000, entry=ADDRESS, signer="stranger"
    ),
    "a few addresses of a stranger": Worst(
        "server-flight", 0, (), bytecodes=25, times=1_000, entry=ADDRESS, signer="stranger"
    ),
    "addresses that an authority signed": Worst("server-flight", 0, (), entry=ADDRESS),
    "records of data": Worst("after", 4, ("records",), 1),
    "records of padding": Worst("after", 2, ("records",)),
    "records of nothing": Worst("after", 2, ("records",), part=1),
    "tickets": Worst("after", 5, ("records",), part=1),
    "updates of keys": Worst("after", 0, ("records",), part=1),
    "warnings": Worst("after", 3, ("records",)),
    "a list of revocations": Worst("crl", 0, ("revoked",), 0),
    "lines of a key log": Worst("keylog", 0, ("text",)),
    "blocks of a capture": Worst("keylog", 2, ("file",), part=1),
    "packets of a capture": Worst("printed", 1, ("text",), 0, bytecodes=100),
    "lines of a conversation": Worst("printed", 0, ("text",), bytecodes=1000),
    "lines of a request": Worst("http", 0, ("text",), 0, part=1),
    "hellos in a capture": Worst("capture", 0, ("pieces",), times=12, bytecodes=3000),
    "a captured hello's groups": Worst("capture", 0, ("supported_groups",), 0, bytecodes=3000),
    "a captured hello's suites": Worst("capture", 3, ("cipher_suites",), 0, (10, 0), 700),
    "a captured hello's suites, very many": Worst(
        "capture", 3, ("cipher_suites",), 0, (10, 0), 500, times=4_000
    ),
    "events of a trace": Worst("trace", 1, ("events",), times=100, bytecodes=1000),
}
"""What is refused at once costs the same however long it is, and should stay so."""


@pytest.mark.parametrize("name", WORST)
def test_it_costs_so_much_per_byte_and_twice_as_much_for_twice_as_many(name: str) -> None:
    worst = WORST[name]
    outcome_of(worst.attempt(worst.times).call)  # What is imported late is imported now.
    small, large = worst.attempt(worst.times), worst.attempt(2 * worst.times)
    cost, twice = (bytecodes_of(partial(outcome_of, each.call)) for each in (small, large))
    print(f"{name}: {small.size} {cost} {large.size} {twice} {twice / large.size:.2f}")
    assert twice < 2.3 * cost
    assert twice - cost < worst.bytecodes * max(1, large.size - small.size) + 100
