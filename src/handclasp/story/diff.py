"""The differences between two recorded handshakes, and how much each of them matters.

Values that are new in every handshake (random values, key shares, session ids, GREASE) do not count
as differences. If only one of the two handshakes was completed, the differences that can be the
cause come first; the fault determines which these are.

>>> from handclasp.story.diff import Difference, differences
>>> recorders = [Recorder(), Recorder()]
>>> for recorder, groups in zip(recorders, (["X25519"], ["secp256r1"])):
...     config = ClientConfig(groups=groups)
...     handclasp.connect("example.com", 443, config, trace=recorder).close()
>>> difference: Difference
>>> for difference in differences(*recorders):
...     print(difference.what, difference.first, difference.second)
group X25519 secp256r1
...
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any, Literal, TypeAlias

from handclasp.advice import for_reader
from handclasp.errors import ProtocolError
from handclasp.iana import (
    ExtensionType,
    HandshakeType,
    alert_name,
    cipher_suite_names,
    extension_name,
    group_name,
    group_names,
    handshake_type_name,
    signature_scheme_names,
    version_names,
)
from handclasp.story.facts import (
    Facts,
    encrypted_hello_in,
    facts_of,
    inner_hello_counts,
    sender_of,
)
from handclasp.story.recorded import certificates_of, message_of
from handclasp.story.recorder import Recorder
from handclasp.trace.events import (
    AlertSeen,
    Failed,
    HandshakeResult,
    InnerHello,
    MessageSeen,
    TraceEvent,
)
from handclasp.values import dataclass
from handclasp.wire import extensions, messages
from handclasp.wire.raw_keys import is_raw_public_key
from handclasp.wording import listed

Weight: TypeAlias = Literal["cause", "matters", "minor"]
"""It can be the cause of a failure; it changes the result or its security; neither."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs.

    Attributes:
        what: the thing that differs, such as "cipher suite".
        first, second: its value in each handshake; empty if it is absent.
        weight: whether it matters.
        why: the reason for the weight, in a sentence.
    """

    what: str
    first: str
    second: str
    weight: Weight
    why: str

    def to_json(self) -> dict[str, str]:
        """Return the difference as JSON values."""
        from dataclasses import asdict

        return asdict(self)


def differences(first: Recorder, second: Recorder) -> list[Difference]:
    """Return the differences between two traces, the most important ones first."""
    sides = _Side(first), _Side(second)
    found = [each for compare in _COMPARISONS for each in compare(*sides)]
    suspects = _suspects(sides)
    judged = [_judged(each, suspects) for each in found]
    if not any(each.weight == "cause" for each in judged):
        judged += _unseen(sides)
    return sorted(judged, key=lambda each: ("cause", "matters", "minor").index(each.weight))


class _Side:
    """One of the two handshakes, with the values that are compared."""

    def __init__(self, recorder: Recorder) -> None:
        self.events: Sequence[TraceEvent] = recorder.events
        self.facts: Facts = facts_of(recorder.events)
        self.began_at_ns = recorder.began_at_ns
        self.failure = next((e for e in self.events if isinstance(e, Failed)), None)
        self.sent_hello = self._message(messages.ClientHello)
        self.hello = self._inner_hello() if inner_hello_counts(recorder.events) else self.sent_hello
        self.answer = self._message(messages.ServerHello)

    def _message(self, kind: type[Any]) -> Any:
        found = [message_of(e) for e in self.events if isinstance(e, MessageSeen)]
        return next((each for each in found if isinstance(each, kind)), None)

    def _inner_hello(self) -> Any:
        found = (each for each in self.events if isinstance(each, InnerHello))
        first = next(found, None)
        # A capture may have been opened without the key of the hello that counts.
        hello = message_of(first.message) if first is not None else None
        return hello if isinstance(hello, messages.ClientHello) else self.sent_hello

    @property
    def outcome(self) -> str:
        if self.facts.info is not None:
            return "completed"
        return f"failed: {self.failure.fault}" if self.failure is not None else "not completed"

    def offered(self, kind: int, read: Callable[[bytes], Sequence[str]]) -> list[str] | None:
        """Return a list of the ClientHello, without GREASE; None if the extension is absent."""
        data = self.hello.extensions.get(kind) if self.hello is not None else None
        if data is None:
            return None
        try:
            return _without_grease(read(data))
        except ProtocolError:
            return ["what cannot be read"]


_Comparison = Callable[[_Side, _Side], Iterator[Difference]]


def _outcome(first: _Side, second: _Side) -> Iterator[Difference]:
    yield from _one(
        "outcome", first.outcome, second.outcome, "matters", "It is the result of the handshake."
    )
    yield from _one(
        "recorded by",
        first.facts.role,
        second.facts.role,
        "minor",
        "One trace shows the client's view and the other the server's.",
    )


def _agreed(first: _Side, second: _Side) -> Iterator[Difference]:
    ours, theirs = first.facts.info, second.facts.info
    for what, name, why in (
        ("version", "version", "Versions differ in what they protect and in their round trips."),
        ("cipher suite", "cipher_suite", "It encrypts all data."),
        ("group", "group", "The secret comes from it; only hybrids with ML-KEM are safe from "
         "quantum computers."),
        ("signature scheme", "signature_scheme", "The server proves its identity with it."),
        ("protocol (ALPN)", "alpn", "The application protocol differs."),
        ("resumed", "resumed", "A resumed handshake sends no certificate and is shorter."),
        ("early data", "early_data_status", "Early data save a round trip and can be replayed."),
        ("second hello", "hello_retry", "It costs another round trip."),
        ("peer verified", "peer_verified", "A peer that was not verified may be anybody."),
        ("client's signature", "client_signature_scheme", "The client proves its identity "
"with it."),
    ):  # fmt: skip
        if ours is not None and theirs is not None:
            values = _text(getattr(ours, name)), _text(getattr(theirs, name))
            yield from _one(what, *values, "matters", why)


def _offers(first: _Side, second: _Side) -> Iterator[Difference]:
    if first.hello is None or second.hello is None:
        return
    yield from _encryption(encrypted_hello_in(first.events), encrypted_hello_in(second.events))
    for what, kind, read in _LISTS:
        yield from _list(what, first.offered(kind, read), second.offered(kind, read))
    suites = [
        _without_grease(cipher_suite_names(side.hello.cipher_suites)) for side in (first, second)
    ]
    yield from _list("cipher suites offered", *suites)
    kinds = [
        _without_grease(map(extension_name, side.hello.extensions)) for side in (first, second)
    ]
    yield from _list("extensions of the hello", *map(sorted, kinds))
    yield from _one(
        "size of the hello",
        f"{len(first.sent_hello.raw):,} bytes",
        f"{len(second.sent_hello.raw):,} bytes",
        "minor",
        "It follows from the rest; over about 1,400 bytes it takes more than one packet.",
    )


def _encryption(first: str | None, second: str | None) -> Iterator[Difference]:
    if "unknown" in (first, second):
        return  # It may be the same: only one of the sides can tell GREASE from a hello.
    why = "Everybody on the way can read the server's name, unless the hello is encrypted."
    told = _ENCRYPTED[first], _ENCRYPTED[second]
    yield from _one("hello encrypted (ECH)", *told, "matters", why)


_ENCRYPTED: Mapping[str | None, str] = {
    None: "no",
    "accepted": "yes",
    "rejected": "yes, but the server did not accept it",
    "offered": "yes; whether the server accepted it was not recorded",
}
"""The results of `encrypted_hello_in`, in words."""


def _server_names(data: bytes) -> list[str]:
    return [extensions.read_server_name(data) or "none"]


def _versions(data: bytes) -> Sequence[str]:
    return version_names(extensions.read_supported_versions(data))


def _groups(data: bytes) -> Sequence[str]:
    return group_names(extensions.read_supported_groups(data))


def _shares(data: bytes) -> list[str]:
    return [group_name(entry.group) for entry in extensions.read_key_share_client_hello(data)]


def _schemes(data: bytes) -> Sequence[str]:
    return signature_scheme_names(extensions.read_signature_algorithms(data))


def _protocols(data: bytes) -> list[str]:
    return [name.decode("ascii", "backslashreplace") for name in extensions.read_alpn(data)]


_LISTS: Sequence[tuple[str, int, Callable[[bytes], Sequence[str]]]] = (
    ("server name", ExtensionType.SERVER_NAME, _server_names),
    ("versions offered", ExtensionType.SUPPORTED_VERSIONS, _versions),
    ("groups offered", ExtensionType.SUPPORTED_GROUPS, _groups),
    ("key shares", ExtensionType.KEY_SHARE, _shares),
    ("signature schemes offered", ExtensionType.SIGNATURE_ALGORITHMS, _schemes),
    (
        "protocols offered (ALPN)",
        ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION,
        _protocols,
    ),
)


def _certificates(first: _Side, second: _Side) -> Iterator[Difference]:
    for sender in ("server", "client"):
        chains = _chain(first, sender), _chain(second, sender)
        if chains[0] is None or chains[1] is None:
            continue
        told = [_chain_in_words(chain) for chain in chains if chain is not None]
        why = f"The {sender} sends another certificate, or another chain to its issuer."
        yield from _one(f"the {sender}'s certificates", told[0], told[1], "matters", why)


def _chain(side: _Side, sender: str) -> tuple[bytes, ...] | None:
    for event in side.events:
        if isinstance(event, MessageSeen) and sender_of(event, side.facts.role) == sender:
            chain = certificates_of(message_of(event))
            if chain is not None:
                return chain
    return None


def _chain_in_words(chain: tuple[bytes, ...]) -> str:
    if not chain:
        return "none"
    if is_raw_public_key(chain[0]):
        return f"a raw public key, SHA-256 {hashlib.sha256(chain[0]).hexdigest()[:16]}"
    plural = "" if len(chain) == 1 else "s"
    prints = ", ".join(hashlib.sha256(der).hexdigest()[:16] for der in chain)
    return f"{len(chain)} certificate{plural}, SHA-256 {prints}"


def _course(first: _Side, second: _Side) -> Iterator[Difference]:
    yield from _one(
        "messages",
        " > ".join(_names(first)),
        " > ".join(_names(second)),
        "minor",
        "The handshakes took a different course.",
    )
    alerts = [
        ", ".join(
            alert_name(e.description) for e in side.events if isinstance(e, AlertSeen)
        )
        for side in (first, second)
    ]  # fmt: skip
    yield from _one(
        "alerts", alerts[0], alerts[1], "minor", "They show how the sides ended the connection."
    )


def _names(side: _Side) -> list[str]:
    """Return the handshake messages up to its end: tickets and key updates can come at any time."""
    until_settled = takewhile(lambda event: not isinstance(event, HandshakeResult), side.events)
    return [
        handshake_type_name(event.message_type)
        for event in until_settled
        if isinstance(event, MessageSeen) and _is_of_handshake(event)
    ]


def _is_of_handshake(message: MessageSeen) -> bool:
    # TLS 1.2 has its Finished alone under the keys of application data (RFC 5246 section 7.1).
    return message.epoch != "application" or message.message_type == HandshakeType.FINISHED


_SLOWER = 2.0
"""The least ratio of two times that is reported: the time of the same handshake varies too."""


def _costs(first: _Side, second: _Side) -> Iterator[Difference]:
    for what, name, why in (
        ("time", "handshake_ns", "It depends on the network and the machine more than on TLS."),
        ("time to verify", "verify_ns", "Longer chains and larger keys take longer."),
        ("time to sign", "sign_ns", "RSA keys take far longer to sign with than others."),
    ):
        ours, theirs = getattr(first.facts, name), getattr(second.facts, name)
        if ours and theirs and max(ours, theirs) >= _SLOWER * min(ours, theirs):
            yield Difference(what, _milliseconds(ours), _milliseconds(theirs), "minor", why)
    yield from _one(
        "round trips",
        str(first.facts.round_trips),
        str(second.facts.round_trips),
        "matters",
        "Each costs the time to the other side and back.",
    )
    days = [_day(side.began_at_ns) for side in (first, second)]
    if all(days):
        yield from _one("recorded on", days[0], days[1], "minor", "Certificates have their dates.")


_COMPARISONS: Sequence[_Comparison] = (_outcome, _agreed, _offers, _certificates, _course, _costs)


# What matters

_SUSPECTS: Sequence[tuple[str, tuple[str, ...]]] = (
    ("VERSION", ("versions offered", "version")),
    ("CIPHER_SUITE", ("cipher suites offered", "versions offered")),
    ("GROUP", ("groups offered", "key shares")),
    ("SIGNATURE_SCHEME", ("signature schemes offered", "the server's certificates")),
    ("APPLICATION_PROTOCOL", ("protocols offered (ALPN)",)),
    ("NAME", ("server name", "the server's certificates")),
    ("CERTIFICATE", ("the server's certificates", "the client's certificates", "server name",
                     "recorded on")),
    ("UNKNOWN_CA", ("the server's certificates", "the client's certificates")),
    ("HANDSHAKE_FAILURE", ("cipher suites offered", "groups offered", "versions offered",
                           "signature schemes offered", "the client's certificates")),
    ("PROTOCOL_VERSION", ("versions offered",)),
    ("PSK", ("extensions of the hello",)),
    ("EXTENSION", ("extensions of the hello",)),
)  # fmt: skip
"""Words in the name of a fault, and the differences that can be its cause."""


def _suspects(sides: tuple[_Side, _Side]) -> tuple[str, ...]:
    """Return what can be the cause if only one of them failed; nothing if both ended alike."""
    failed = [side for side in sides if side.facts.info is None]
    if len(failed) != 1 or failed[0].failure is None:
        return ()
    fault = failed[0].failure.fault
    return tuple(what for word, suspects in _SUSPECTS if word in fault for what in suspects)


def _unseen(sides: tuple[_Side, _Side]) -> Iterator[Difference]:
    """Return the remaining explanation: without a cause in the messages, it is not in the trace."""
    first, second = (side.failure if side.facts.info is None else None for side in sides)
    failed = first or second
    if failed is None or (first is not None and second is not None):
        return
    why = (
        "No difference in the messages can be the cause, so it is a setting of the side that "
        "gave up, such as its trust store, or its clock."
    )
    told = [
        for_reader(side.failure.message, side.facts.role)
        if side.failure is not None and side.facts.info is None
        else "completed"
        for side in sides
    ]
    yield Difference("what the trace does not show", told[0], told[1], "cause", why)


def _judged(difference: Difference, suspects: Sequence[str]) -> Difference:
    if difference.what not in suspects:
        return difference
    why = f"This can be why one of them failed. {difference.why}"
    return Difference(difference.what, difference.first, difference.second, "cause", why)


# Lists and words


def _one(what: str, first: str, second: str, weight: Weight, why: str) -> Iterator[Difference]:
    if first != second:
        yield Difference(what, first, second, weight, why)


def _list(what: str, first: list[str] | None, second: list[str] | None) -> Iterator[Difference]:
    """Return the difference of two lists: the entries that only one of them has, or the order."""
    if first == second:
        return
    ours, theirs = first or [], second or []
    in_ours, in_theirs = frozenset(ours), frozenset(theirs)
    only = [n for n in ours if n not in in_theirs], [n for n in theirs if n not in in_ours]
    if not any(only):
        why = "The same in another order: the other side may choose another one."
        yield Difference(what, ", ".join(ours), ", ".join(theirs), "minor", why)
        return
    if len(ours) <= 1 and len(theirs) <= 1:
        told = [", ".join(names) or "none" for names in (ours, theirs)]
    else:
        told = [f"also {listed(names, _MOST_TOLD)}" if names else "nothing more" for names in only]
    why = "Values that only one of them offers cannot be chosen in the other."
    if what == "server name":
        why = "The server chooses its certificate and its site by it."
    yield Difference(what, told[0], told[1], "minor", why)


_MOST_TOLD = 12
"""Values that only one side has, and that are named."""


def _without_grease(names: Any) -> list[str]:
    return [name for name in names if not name.startswith("GREASE")]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value is not None else "none"


def _milliseconds(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e6:.1f} ms"


def _day(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).date().isoformat() if nanoseconds else ""
