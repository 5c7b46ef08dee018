"""Twice as much from a peer costs twice as much: every message and list, either role and version.

Each list is filled in several ways: with values that all differ and are not known here, with one
of them again and again, with all that are known, with one that is known. The last is what the
worst hello had in two lists at once, so all the lists of a hello are filled together as well.

Limits are lifted here, so that what they would refuse is read as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from tests.adversarial.meter import (
    Meter,
    Stopwatch,
    Work,
    assert_linear,
    assert_linear_time,
    counted,
    counted_values,
)
from tests.pki import Pki

from handclasp import (
    ClientAuth,
    ClientConfig,
    ClientConnection,
    Limits,
    Recorder,
    ServerConfig,
    ServerConnection,
    SessionStore,
    TLSError,
    aio,
)
from handclasp.capture.observe import observe
from handclasp.capture.secrets import KeyLog
from handclasp.capture.stream import Address, Piece, Stream
from handclasp.iana import (
    CipherSuiteCode,
    ContentType,
    GroupCode,
    SignatureSchemeCode,
)
from handclasp.iana import ExtensionType as Ext
from handclasp.story.diagnosis import diagnose
from handclasp.story.diff import differences
from handclasp.story.fingerprints import fingerprints_of
from handclasp.story.narrate import narrate
from handclasp.testing.scripted import SCHEMES, ScriptedClient, ScriptedPeer, ScriptedServer
from handclasp.testing.scripted12 import ScriptedClient12, ScriptedServer12
from handclasp.trace.events import DecisionTaken, Refused
from handclasp.wire import extensions as ext
from handclasp.wire.codecs import MESSAGE_TYPES, write_message
from handclasp.wire.messages import (
    Certificate,
    CertificateEntry,
    CertificateRequest,
    CertificateVerify,
    ClientHello,
    CompressedCertificate,
    EncryptedExtensions,
    EndOfEarlyData,
    Finished,
    KeyUpdate,
    NewSessionTicket,
    ServerHello,
)
from handclasp.wire.messages12 import (
    Certificate12,
    CertificateRequest12,
    CertificateStatus,
    ClientKeyExchange,
    HelloRequest,
    NewSessionTicket12,
    ServerHelloDone,
    ServerKeyExchange,
)
from handclasp.wire.records import write_plaintext
from handclasp.wire.writer import opaque8, opaque16

pytestmark = pytest.mark.long

__all__ = ["counted_values"]

LONG = (250, 500, 1000)
MIXED = (125, 250, 500)
TOLD = (20, 40, 80)
SHORT = (30, 60, 120)
"""Entries: of lists whose length takes two bytes, the same where it is all told as well, and of
lists whose length takes one."""

LIFTED = Limits(max_extensions=65_536, max_key_shares=65_536, max_messages_without_data=65_536)
"""But for the certificates of one message: what becomes of those is tested with certificates."""

Watch = Meter | Stopwatch
Case = Callable[[int, Watch, Recorder | None], object]
"""Has one of our connections take so many entries, and watches what that costs."""


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


def meet(connection: ClientConnection | ServerConnection, peer: ScriptedPeer, watch: Watch) -> None:
    """Both talk until they are silent; only what our side does is watched."""
    while True:
        to_peer = bytes(connection.data_to_send())
        peer.feed(to_peer)
        to_us = peer.take()
        if to_us and connection.failure is None:
            with watch, contextlib.suppress(TLSError):
                connection.receive_data(to_us)
        elif not to_peer:
            return


# The lists of a ClientHello

Fill = Callable[[int, Sequence[int]], list[int]]

FILLINGS: dict[str, Fill] = {
    "different": lambda count, known: list(range(0x3000, 0x3000 + count)),
    "one": lambda count, known: [0x3000] * count,
    "known": lambda count, known: list(itertools.islice(itertools.cycle(known), count)),
    "one known": lambda count, known: [known[-1]] * count,
    "one of each": lambda count, known: [*range(0x3000, 0x3000 + count), *known],
}
"""Makes a list of so many numbers, given those that are known here."""

ONE, DIFFERENT = FILLINGS["one known"], FILLINGS["different"]


def others(count: int, known: Sequence[int]) -> list[int]:
    """A list that has nothing in common with any of those."""
    return list(range(0x7000, 0x7000 + count))


SUITES = [code.value for code in CipherSuiteCode]
GROUPS = [code.value for code in GroupCode]
KNOWN_SCHEMES = [
    *(code.value for code in SignatureSchemeCode),
    SignatureSchemeCode.ecdsa_secp521r1_sha512.value,
]
"""The last one is of a curve that the groups in a list need not have."""


def names(numbers: Iterable[int]) -> list[bytes]:
    return [b"h2" if number == 1 else b"%d" % number for number in numbers]


def offered_psks(numbers: Sequence[int]) -> bytes:
    identities = tuple([ext.PskIdentity(name, 0) for name in names(numbers)])
    return ext.write_offered_psks(ext.OfferedPsks(identities, (bytes(32),) * len(identities)))


def key_shares(numbers: Iterable[int]) -> bytes:
    return ext.write_key_share_client_hello([ext.KeyShareEntry(each, b"x") for each in numbers])


def other_names(numbers: Iterable[int]) -> bytes:
    """A server_name with entries of a type that means nothing."""
    return opaque16(b"".join([b"\1" + opaque16(name) for name in names(numbers)]))


def responders(numbers: Iterable[int]) -> bytes:
    ids = b"".join([opaque16(name) for name in names(numbers)])
    return b"\1" + opaque16(ids) + opaque16(b"")


Field = tuple[Sequence[int], Callable[[list[int]], dict[int, bytes]]]
"""What is known here, and the extensions that a list of numbers makes."""


def field(kind: int, known: Sequence[int], write: Callable[[list[int]], bytes]) -> Field:
    return known, lambda numbers: {kind: write(numbers)}


LONG_FIELDS: dict[str, Field] = {
    "groups": field(Ext.SUPPORTED_GROUPS, GROUPS, ext.write_supported_groups),
    "schemes": field(Ext.SIGNATURE_ALGORITHMS, KNOWN_SCHEMES, ext.write_signature_algorithms),
    "schemes_cert": field(
        Ext.SIGNATURE_ALGORITHMS_CERT, KNOWN_SCHEMES, ext.write_signature_algorithms
    ),
    "alpn": field(
        Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION, [1], lambda n: ext.write_alpn(names(n))
    ),
    "authorities": field(
        Ext.CERTIFICATE_AUTHORITIES, [1], lambda n: ext.write_certificate_authorities(names(n))
    ),
    "key shares": field(Ext.KEY_SHARE, GROUPS, key_shares),
    "key shares in groups": (
        GROUPS,
        lambda n: {
            Ext.SUPPORTED_GROUPS: ext.write_supported_groups(n),
            Ext.KEY_SHARE: key_shares(n),
        },
    ),
    "identities": (
        [1],
        lambda n: {Ext.PSK_KEY_EXCHANGE_MODES: b"\1\1", Ext.PRE_SHARED_KEY: offered_psks(n)},
    ),
    "identities to go alone": (
        [1],
        lambda n: {Ext.PSK_KEY_EXCHANGE_MODES: b"\1\0", Ext.PRE_SHARED_KEY: offered_psks(n)},
    ),
    "extensions": ([], lambda n: dict.fromkeys(n, b"x")),
    "names": field(Ext.SERVER_NAME, [1], other_names),
    "responders": field(Ext.STATUS_REQUEST, [1], responders),
    "ticket": field(Ext.SESSION_TICKET, [1], lambda n: bytes(len(n))),
    "cookie": field(Ext.COOKIE, [1], lambda n: opaque16(bytes(len(n)))),
    "name": field(Ext.SERVER_NAME, [1], lambda n: ext.write_server_name("a" * len(n))),
    "labels": field(Ext.SERVER_NAME, [1], lambda n: ext.write_server_name("a." * len(n))),
    "padding": field(Ext.PADDING, [1], lambda n: bytes(len(n))),
}

SHORT_FIELDS: dict[str, Field] = {
    "versions": field(Ext.SUPPORTED_VERSIONS, [0x303, 0x304], ext.write_supported_versions),
    "server types": field(Ext.SERVER_CERTIFICATE_TYPE, [0, 2], lambda n: short(n)),
    "client types": field(Ext.CLIENT_CERTIFICATE_TYPE, [0, 2], lambda n: short(n)),
    "compression": field(Ext.COMPRESS_CERTIFICATE, [1, 2], ext.write_compress_certificate),
    "point formats": field(Ext.EC_POINT_FORMATS, [0], lambda n: short(n)),
    "modes": field(Ext.PSK_KEY_EXCHANGE_MODES, [1], lambda n: short(n)),
    "renegotiation": field(Ext.RENEGOTIATION_INFO, [1], lambda n: short(n)),
}


def short(numbers: Iterable[int]) -> bytes:
    return opaque8(bytes([number & 0xFF for number in numbers]))


GOOD: dict[str, tuple[int, ...]] = {
    "suites": (CipherSuiteCode.TLS_AES_128_GCM_SHA256, 0xC02B),
    "groups": (GroupCode.x25519,),
    "schemes": (SignatureSchemeCode.ecdsa_secp256r1_sha256,),
    "schemes_cert": (SignatureSchemeCode.ecdsa_secp256r1_sha256,),
    "alpn": (1,),
    "authorities": (1,),
}
"""Lists that a hello can have together, and what at their end lets the handshake go on."""


def together() -> Iterable[dict[str, Fill]]:
    """Fillings for all of these lists at once, so that each pair of lists has each pair of them."""
    fills = list(FILLINGS.values())
    for first, second in itertools.product(range(5), repeat=2):
        places = (first, *((second + first * step) % 5 for step in range(5)))
        yield {name: fills[place] for name, place in zip(GOOD, places, strict=True)}


def hello_of(version: str, lists: Mapping[str, Fill], count: int, *, good: bool = False) -> bytes:
    """A first flight with these lists of so many; `good` ends each with what is taken here."""

    def fill(name: str, known: Sequence[int]) -> list[int]:
        return [*lists[name](count, known or [0x3000]), *(GOOD[name] if good else ())]

    def change(hello: ClientHello) -> ClientHello:
        suites, extensions = hello.cipher_suites, dict(hello.extensions)
        if "suites" in lists:
            suites = tuple(fill("suites", SUITES))
        if "compression methods" in lists:
            methods = bytes([number & 0xFF for number in fill("compression methods", [0])])
            return replace(hello, legacy_compression_methods=methods + b"\0")
        for name, (known, write) in (LONG_FIELDS | SHORT_FIELDS).items():
            if name in lists:
                extensions |= write(fill(name, known))
        last = extensions.pop(Ext.PRE_SHARED_KEY, None)
        if last is not None:
            extensions[Ext.PRE_SHARED_KEY] = last
        return replace(hello, cipher_suites=suites, extensions=extensions)

    kind: Any = ScriptedClient if version == "TLSv1.3" else ScriptedClient12
    taken: bytes = kind(first_hello=change).take()
    return taken


def hello_message(version: str, lists: Mapping[str, Fill], count: int) -> bytes:
    """The ClientHello alone, without the record around it; it fits into one."""
    record = hello_of(version, lists, count)
    assert len(record) <= 5 + 2**14
    return record[5:]


def configs(pki: Pki) -> dict[str, ServerConfig]:
    shared: dict[str, Any] = {
        "credentials": [pki.server("localhost"), pki.server("*.example.com", key_type="rsa-2048")],
        "alpn": ["h2", "http/1.1"],
        "limits": LIFTED,
    }
    return {
        "the server's order": ServerConfig(**shared),
        "the client's order": ServerConfig(**shared, prefer_client_order=True, allow_psk_ke=True),
    }


@pytest.fixture(scope="module")
def plain_config(pki: Pki) -> ServerConfig:
    return configs(pki)["the server's order"]


@pytest.fixture(scope="module", params=["the server's order", "the client's order"])
def server_config(request: pytest.FixtureRequest, pki: Pki) -> ServerConfig:
    return configs(pki)[request.param]


def take_hello(config: ServerConfig, hello: bytes, watch: Watch, trace: Recorder | None) -> None:
    server = ServerConnection(config, trace=trace)
    with watch, contextlib.suppress(TLSError):
        server.receive_data(hello)


EVERY_LIST = ["suites", "compression methods", *LONG_FIELDS, *SHORT_FIELDS]


def sizes_of(which: str, sizes: tuple[int, int, int] = LONG) -> tuple[int, int, int]:
    return SHORT if which in SHORT_FIELDS or which == "compression methods" else sizes


def work_of_hello(
    config: ServerConfig, version: str, lists: Mapping[str, Fill], *, good: bool = False
) -> Callable[[int], Work]:
    def measure(count: int) -> Work:
        meter = Meter()
        take_hello(config, hello_of(version, lists, count, good=good), meter, None)
        return meter.work

    return measure


@pytest.mark.parametrize("which", EVERY_LIST)
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.usefixtures("counted_values")
def test_each_list_of_a_hello(server_config: ServerConfig, version: str, which: str) -> None:
    for fill in FILLINGS.values():
        assert_linear(work_of_hello(server_config, version, {which: fill}), sizes_of(which))


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.usefixtures("counted_values")
def test_all_lists_of_a_hello_together(server_config: ServerConfig, version: str) -> None:
    """What one list costs for each entry of another shows here."""
    for lists in together():
        assert_linear(work_of_hello(server_config, version, lists, good=True), MIXED)


LONGEST: dict[tuple[str, ...], int] = {
    ("suites",): 24_000,
    ("alpn",): 9_000,
    ("groups", "schemes"): 16_000,
    ("suites", "groups", "schemes", "alpn"): 4_000,
}
"""Entries of each of these lists that fit into one hello."""


@pytest.mark.parametrize("which", LONGEST, ids=" ".join)
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_the_longest_hellos(
    server_config: ServerConfig, version: str, which: tuple[str, ...]
) -> None:
    """In processor time, which sees copies and whatever else is not counted."""
    for fills in itertools.product(FILLINGS.values(), repeat=min(len(which), 2)):
        lists = dict(zip(which, itertools.cycle(fills), strict=False))

        def measure(count: int, lists: Mapping[str, Fill] = lists) -> float:
            watch = Stopwatch()
            take_hello(server_config, hello_of(version, lists, count, good=True), watch, None)
            return watch.seconds

        assert_linear_time(measure, LONGEST[which])


# What is told of it


def tell_all(trace: Recorder, other: Recorder) -> None:
    """All that can be made of a trace; `other` is one to compare it with."""
    events = trace.events
    narrate(events, detail=2)
    diagnose(events)
    fingerprints_of(events)
    differences(trace, other)
    trace.redacted(names=True, addresses=True)
    trace.to_html("a trace")
    Recorder.from_json(trace.to_json(fields=True))
    if trace.record_wire:
        trace.to_pcapng()


def work_to_tell(
    case: Callable[[int, Watch, Recorder], object],
    compared: Callable[[int, Watch, Recorder], object] | None = None,
) -> Callable[[int], Work]:
    """What it costs to record a case and to tell of it; `compared` is the other trace's case."""

    def measure(count: int) -> Work:
        meter = Meter()
        trace, other = Recorder(record_wire=True, record_secrets=True), Recorder()
        case(count, meter, trace)
        (compared or case)(count, Meter(), other)
        with meter:
            tell_all(trace, other)
        return meter.work

    return measure


@pytest.mark.parametrize("which", EVERY_LIST)
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.usefixtures("counted_values")
def test_what_is_told_of_each_list(plain_config: ServerConfig, version: str, which: str) -> None:
    def hello(fill: Fill, count: int, watch: Watch, trace: Recorder) -> None:
        take_hello(plain_config, hello_of(version, {which: fill}, count), watch, trace)

    for fill in (DIFFERENT, ONE):
        case, compared = partial(hello, fill), partial(hello, others)
        assert_linear(work_to_tell(case, compared), sizes_of(which, TOLD), slack=4_000)


def test_what_is_told_of_a_long_hello(plain_config: ServerConfig) -> None:
    lists = ("suites", "groups", "schemes", "alpn")

    def measure(count: int) -> float:
        watch, trace, other = Stopwatch(), Recorder(record_wire=True), Recorder()
        for fill, into in ((DIFFERENT, trace), (others, other)):
            hello = hello_of("TLSv1.2", dict.fromkeys(lists, fill), count)
            take_hello(plain_config, hello, watch, into)
        with watch:
            tell_all(trace, other)
        return watch.seconds

    assert_linear_time(measure, 800)


def made_up(count: int) -> list[DecisionTaken]:
    """Decisions that nobody took: a trace may come from anybody."""
    offers = [counted(f"name {number}") for number in range(count)]
    reasons = tuple([Refused(name, counted(f"{name} is not liked")) for name in offers])
    return [
        DecisionTaken(0, what, tuple(offers), tuple(offers), None, "why", reasons)
        for what in ("credentials", "cipher_suite")
    ]


@pytest.mark.usefixtures("counted_values")
def test_decisions_that_somebody_made_up() -> None:
    def measure(count: int) -> Work:
        meter, trace = Meter(), Recorder()
        trace.events = list(made_up(count))
        with meter:
            tell_all(trace, trace)
        return meter.work

    assert_linear(measure, (50, 100, 200), slack=4_000)


# All other messages


def kinds(count: int) -> dict[int, bytes]:
    return {0x3000 + number: b"" for number in range(count)}


def der(count: int) -> tuple[bytes, ...]:
    return tuple([b"%d" % number for number in range(count)])


def changed(**lists: Any) -> Callable[[Any], Any]:
    """The message with other values."""
    return lambda message: replace(message, **lists)


def extended(count: int, *more: tuple[int, bytes]) -> Callable[[Any], Any]:
    """The message with so many more extensions, and with these."""
    return lambda message: replace(
        message, extensions={**message.extensions, **dict(more), **(kinds(count) if count else {})}
    )


def request(count: int, **lists: Fill) -> CertificateRequest:
    algorithms = ext.write_signature_algorithms(SCHEMES)
    extensions: dict[int, bytes] = {Ext.SIGNATURE_ALGORITHMS: algorithms}
    for name, fill in lists.items():
        known, write = (LONG_FIELDS | SHORT_FIELDS)[name]
        extensions |= write(fill(count, known or [0x3000]))
    return CertificateRequest(b"", extensions)


def asking_for(name: str, fill: Fill, count: int) -> dict[str, Any]:
    return {"ask_for_certificate": True, "certificate_request": request(count, **{name: fill})}


def asking_for12(fill: Fill, count: int) -> dict[str, Any]:
    types = bytes([1] * min(count // 4, 250) + [64])
    schemes = (*fill(count, KNOWN_SCHEMES), *SCHEMES)
    asks = CertificateRequest12(types, schemes, der(count))
    return {"ask_for_certificate": True, "certificate_request": asks}


def oid_filters(count: int) -> bytes:
    return opaque16(b"".join([opaque8(b"%d" % number) + opaque16(b"") for number in range(count)]))


def compressed(message: Certificate) -> CompressedCertificate:
    body = write_message(message)[4:]
    return CompressedCertificate(1, len(body), zlib.compress(body))


Script = Callable[[int], dict[str, Any]]
"""How a scripted peer deviates, given how many entries it is to send."""

FROM_SERVERS: dict[str, tuple[type[Any], Script]] = {
    "extensions": (ServerHello, lambda n: {"server_hello": extended(n)}),
    "a cookie": (
        ServerHello,
        lambda n: {
            "retry": "secp256r1",
            "hello_retry_request": extended(0, (Ext.COOKIE, opaque16(bytes(n)))),
        },
    ),
    "extensions of a retry": (
        ServerHello,
        lambda n: {"retry": "secp256r1", "hello_retry_request": extended(n)},
    ),
    "extensions agreed to": (EncryptedExtensions, lambda n: {"encrypted_extensions": extended(n)}),
    "protocols": (
        EncryptedExtensions,
        lambda n: {
            "encrypted_extensions": extended(
                0,
                (Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION, ext.write_alpn(names(range(n)))),
            )
        },
    ),
    "groups agreed to": (
        EncryptedExtensions,
        lambda n: {
            "encrypted_extensions": extended(
                0, (Ext.SUPPORTED_GROUPS, ext.write_supported_groups(DIFFERENT(n, [])))
            )
        },
    ),
    **{
        f"{how} asked for: {name}": (
            CertificateRequest,
            partial(asking_for, name, fill),
        )
        for name in ("schemes", "schemes_cert", "authorities", "extensions")
        for how, fill in (("one", ONE), ("many", DIFFERENT))
    },
    "filters": (
        CertificateRequest,
        lambda n: {
            "ask_for_certificate": True,
            "certificate_request": extended(0, (Ext.OID_FILTERS, oid_filters(n))),
        },
    ),
    "certificates": (
        Certificate,
        lambda n: {
            "certificate": Certificate(b"", tuple([CertificateEntry(each, {}) for each in der(n)]))
        },
    ),
    "extensions of certificates": (
        Certificate,
        lambda n: {"certificate": Certificate(b"", (CertificateEntry(b"x", kinds(n)),))},
    ),
    "compressed certificates": (
        CompressedCertificate,
        lambda n: {
            "certificate": compressed(
                Certificate(b"", tuple([CertificateEntry(each, {}) for each in der(n)]))
            )
        },
    ),
    "a signature": (
        CertificateVerify,
        lambda n: {"certificate_verify": changed(signature=bytes(n))},
    ),
    "a digest": (Finished, lambda n: {"finished": Finished(bytes(n))}),
}
"""What servers of TLS 1.3 send a client."""

FROM_SERVERS12: dict[str, tuple[type[Any], Script]] = {
    "extensions": (ServerHello, lambda n: {"server_hello": extended(n)}),
    "protocols": (
        ServerHello,
        lambda n: {
            "server_hello": extended(
                0,
                (Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION, ext.write_alpn(names(range(n)))),
            )
        },
    ),
    "certificates": (Certificate12, lambda n: {"certificate": Certificate12(der(n))}),
    "a staple": (CertificateStatus, lambda n: {"staple": bytes(n)}),
    "a signature": (
        ServerKeyExchange,
        lambda n: {"server_key_exchange": changed(signature=bytes(n))},
    ),
    **{
        f"{how} asked for": (
            CertificateRequest12,
            partial(asking_for12, fill),
        )
        for how, fill in FILLINGS.items()
    },
    "a last word with more": (
        ServerHelloDone,
        lambda n: {"server_hello_done": b"\x0e" + n.to_bytes(3, "big") + bytes(n)},
    ),
    "a ticket": (
        NewSessionTicket12,
        lambda n: {
            "server_hello": extended(0, (Ext.SESSION_TICKET, b"")),
            "closing": ("new_session_ticket", "change_cipher_spec", "finished"),
            "new_session_ticket": NewSessionTicket12(60, bytes(n)),
        },
    ),
    "a digest": (Finished, lambda n: {"finished": Finished(bytes(n))}),
}

FROM_CLIENTS: dict[str, tuple[type[Any], Script]] = {
    "a second hello": (
        ClientHello,
        lambda n: {
            "shares": (),
            "first_hello": extended(n),
            "second_hello": extended(n),
        },
    ),
    "another second hello": (
        ClientHello,
        lambda n: {"shares": (), "second_hello": extended(n)},
    ),
    "certificates": FROM_SERVERS["certificates"],
    "extensions of certificates": FROM_SERVERS["extensions of certificates"],
    "compressed certificates": FROM_SERVERS["compressed certificates"],
    "a signature": FROM_SERVERS["a signature"],
    "a digest": FROM_SERVERS["a digest"],
}

FROM_CLIENTS12: dict[str, tuple[type[Any], Script]] = {
    "certificates": FROM_SERVERS12["certificates"],
    "a signature": FROM_SERVERS["a signature"],
    "a share": (
        ClientKeyExchange,
        lambda n: {"client_key_exchange": ClientKeyExchange(bytes(n))},
    ),
    "a digest": FROM_SERVERS["a digest"],
}


class Server12(ScriptedServer12):
    """One that may also send a ticket, whatever is in it."""

    def new_session_ticket(self) -> Any:
        return b""


def send(peer: ScriptedPeer, raw: bytes) -> None:
    """Handshake messages, in as few records as they fit in."""
    for start in range(0, len(raw), 2**14):
        peer.send_record(ContentType.HANDSHAKE, raw[start : start + 2**14])


def send_another_hello(fill: Fill, peer: ScriptedPeer, count: int) -> None:
    lists = dict.fromkeys(("suites", "groups"), fill)
    send(peer, hello_message("TLSv1.2", lists, count))


def send_all(peer: ScriptedPeer, messages: Iterable[Any]) -> None:
    send(peer, b"".join(map(write_message, messages)))


def update_keys(peer: Any, count: int) -> None:
    for _ in range(count):
        peer.update_keys(write_message(KeyUpdate(False)))


def ticket(size: int, kinds: dict[int, bytes], number: int = 0) -> NewSessionTicket:
    return NewSessionTicket(60, 0, b"%d" % number, bytes(size), kinds)


AFTERWARDS: dict[str, tuple[type[Any], Callable[[Any, int], None]]] = {
    "key updates": (KeyUpdate, update_keys),
    "a long key update": (
        KeyUpdate,
        lambda peer, n: send(peer, b"\x18" + n.to_bytes(3, "big") + bytes(n)),
    ),
    "a ticket": (NewSessionTicket, lambda peer, n: send_all(peer, [ticket(n, {})])),
    "extensions of a ticket": (
        NewSessionTicket,
        lambda peer, n: send_all(peer, [ticket(1, kinds(n))]),
    ),
    "tickets": (
        NewSessionTicket,
        lambda peer, n: send_all(peer, [ticket(1, {}, number) for number in range(n)]),
    ),
    "ends of early data": (EndOfEarlyData, lambda peer, n: send_all(peer, [EndOfEarlyData()] * n)),
    "wishes for another handshake": (
        HelloRequest,
        lambda peer, n: send_all(peer, [HelloRequest()] * n),
    ),
    **{
        f"another hello, {how}": (
            ClientHello,
            partial(send_another_hello, fill),
        )
        for how, fill in (("different", DIFFERENT), ("one known", ONE))
    },
}
"""What comes after the handshake, and how it is sent."""


@pytest.fixture(scope="module")
def client_config(pki: Pki) -> ClientConfig:
    return ClientConfig(
        trust=pki.trust,
        credentials=pki.client("client"),
        alpn=["h2"],
        sessions=SessionStore(),
        limits=LIFTED,
    )


@pytest.fixture(scope="module")
def asking_config(pki: Pki) -> ServerConfig:
    return ServerConfig(
        credentials=pki.server("localhost"),
        client_auth=ClientAuth.REQUIRED,
        trust=pki.trust,
        limits=LIFTED,
    )


def assert_linear_in_all(case: Case) -> None:
    """Counted without a trace, and with one that is told of."""

    def measure(count: int) -> Work:
        meter = Meter()
        case(count, meter, None)
        return meter.work

    assert_linear(measure, LONG)
    assert_linear(work_to_tell(case), TOLD, slack=4_000)


SERVERS = [(ScriptedServer, name) for name in FROM_SERVERS] + [
    (Server12, name) for name in FROM_SERVERS12
]
CLIENTS = [(ScriptedClient, name) for name in FROM_CLIENTS] + [
    (ScriptedClient12, name) for name in FROM_CLIENTS12
]


@pytest.mark.parametrize(("kind", "name"), SERVERS)
@pytest.mark.usefixtures("counted_values")
def test_what_a_server_sends(
    pki: Pki, client_config: ClientConfig, kind: type[Any], name: str
) -> None:
    script = (FROM_SERVERS if kind is ScriptedServer else FROM_SERVERS12)[name][1]

    def case(count: int, watch: Watch, trace: Recorder | None) -> None:
        client = ClientConnection(client_config, server_name="localhost", trace=trace)
        meet(client, kind(pki.server("localhost"), **script(count)), watch)

    assert_linear_in_all(case)


@pytest.mark.parametrize(("kind", "name"), CLIENTS)
@pytest.mark.usefixtures("counted_values")
def test_what_a_client_sends(
    pki: Pki, asking_config: ServerConfig, kind: type[Any], name: str
) -> None:
    script = (FROM_CLIENTS if kind is ScriptedClient else FROM_CLIENTS12)[name][1]

    def case(count: int, watch: Watch, trace: Recorder | None) -> None:
        server = ServerConnection(asking_config, trace=trace)
        meet(server, kind(credentials=pki.client("client"), **script(count)), watch)

    assert_linear_in_all(case)


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("name", AFTERWARDS)
@pytest.mark.usefixtures("counted_values")
def test_what_comes_afterwards(
    pki: Pki,
    client_config: ClientConfig,
    plain_config: ServerConfig,
    name: str,
    version: str,
    role: str,
) -> None:
    servers: Any = ScriptedServer if version == "TLSv1.3" else ScriptedServer12
    clients: Any = ScriptedClient if version == "TLSv1.3" else ScriptedClient12
    if name == "key updates" and version == "TLSv1.2":
        pytest.skip("TLS 1.2 has no key updates")

    def case(count: int, watch: Watch, trace: Recorder | None) -> None:
        ours: ClientConnection | ServerConnection
        if role == "client":
            ours = ClientConnection(client_config, server_name="localhost", trace=trace)
            peer = servers(pki.server("localhost"))
        else:
            ours, peer = ServerConnection(plain_config, trace=trace), clients()
        meet(ours, peer, Stopwatch())
        assert ours.established
        AFTERWARDS[name][1](peer, count)
        meet(ours, peer, watch)

    assert_linear_in_all(case)


def test_every_message_is_tried() -> None:
    tables = (FROM_SERVERS, FROM_SERVERS12, FROM_CLIENTS, FROM_CLIENTS12, AFTERWARDS)
    assert {kind for table in tables for kind, _ in table.values()} == set(MESSAGE_TYPES)


# Captures


ENDS = (Address("192.0.2.1", 50_000), Address("192.0.2.2", 443))


def pieces_of(flights: Iterable[tuple[int, bytes]], size: int) -> tuple[Piece, ...]:
    return tuple(
        [
            Piece(0, sender, said[start : start + size])
            for sender, said in flights
            for start in range(0, len(said), size)
        ]
    )


def in_records(content_type: int, raw: bytes, size: int) -> bytes:
    return b"".join(
        write_plaintext(ContentType(content_type), raw[start : start + size])
        for start in range(0, len(raw), size)
    )


def server_hello_of(version: str) -> bytes:
    extensions: dict[int, bytes] = {}
    if version == "TLSv1.3":
        extensions[Ext.SUPPORTED_VERSIONS] = ext.write_selected_version(0x304)
    suite = 0x1301 if version == "TLSv1.3" else 0xC02B
    return write_message(ServerHello(0x303, bytes(32), b"", suite, 0, extensions))


def refused_hello(fill: Fill, version: str, count: int) -> list[tuple[int, bytes]]:
    hello = hello_of(version, dict.fromkeys(GOOD, fill), count)
    return [(0, hello), (1, b"\x15\3\3\0\2\2\x28")]


CAPTURED: dict[str, Callable[[str, int], list[tuple[int, bytes]]]] = {
    **{f"a hello, {how}": partial(refused_hello, fill) for how, fill in FILLINGS.items()},
    "small records": lambda version, n: [
        (0, in_records(22, hello_message(version, {"suites": DIFFERENT}, 8 * n), 16))
    ],
    "certificates": lambda version, n: [
        (0, hello_of(version, {}, 0)),
        (1, in_records(22, server_hello_of(version), 2**14)),
        (1, in_records(22, write_message(Certificate12(der(n))), 2**14)),
        (1, b"\x15\3\3\0\2\2\x28"),
    ],
    "messages": lambda version, n: [
        (0, hello_of(version, {}, 0)),
        (1, in_records(22, write_message(HelloRequest()) * n, 2**14)),
    ],
    "alerts": lambda version, n: [
        (0, hello_of(version, {}, 0)),
        (1, b"\x15\3\3\0\2\1\x5a" * n),
    ],
    "data under keys that are not known": lambda version, n: [
        (0, hello_of(version, {}, 0)),
        (1, in_records(22, server_hello_of(version), 2**14)),
        (1, b"\x14\3\3\0\1\1" + b"\x17\3\3\0\1x" * n),
        (0, b"\x17\3\3\0\1x" * n),
    ],
    "something else first": lambda version, n: [(0, bytes(n)), (0, hello_of(version, {}, 0))],
    "something else": lambda version, n: [(0, hello_of(version, {}, 0)), (1, bytes(10 * n))],
    "turns": lambda version, n: [(0, hello_of(version, {}, 0)), *[(1, b"\x14"), (0, b"\x14")] * n],
}
"""What two ends say to each other in the clear, by the index of the end."""


@pytest.mark.parametrize(("version", "size"), [("TLSv1.2", 7), ("TLSv1.3", 2**20)])
@pytest.mark.parametrize("name", CAPTURED)
@pytest.mark.usefixtures("counted_values")
def test_a_capture(name: str, version: str, size: int) -> None:
    """A conversation of others, in pieces of this size, followed and told of."""

    def measure(count: int) -> Work:
        meter = Meter()
        stream = Stream(0, ENDS, pieces_of(CAPTURED[name](version, count), size))
        with meter:
            observation = observe(stream, KeyLog())
            trace = Recorder()
            trace.events = list(observation.events)
            tell_all(trace, trace)
        return meter.work

    assert_linear(measure, TOLD, slack=4_000)


# A server of many


def test_an_honest_client_does_not_wait_for_such_hellos(pki: Pki) -> None:
    """In processor time of the loop: what the worst hellos cost against ordinary ones."""
    config = ServerConfig(credentials=pki.server("localhost"))
    client_config = ClientConfig(trust=pki.trust)
    schemes: Fill = FILLINGS["one known"]
    worst = hello_of("TLSv1.2", {"groups": FILLINGS["one"], "schemes": schemes}, 16_000, good=True)
    ordinary = hello_of("TLSv1.2", {}, 0)

    async def serve(hello: bytes) -> float:
        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        async with await aio.start_server(hang_up, "127.0.0.1", 0, config=config) as server:
            port = server.sockets[0].getsockname()[1]
            hostile = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
            began = time.process_time()
            for _, writer in hostile:
                writer.write(hello)
            reader, honest = await aio.open_connection(
                "127.0.0.1", port, config=client_config, server_name="localhost"
            )
            assert await reader.read() == b""
            took = time.process_time() - began
            for writer in (honest, *(writer for _, writer in hostile)):
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
            return took

    asyncio.run(serve(ordinary))
    # Without the defence, each of the eight takes more than a second.
    assert asyncio.run(serve(worst)) < 4 * asyncio.run(serve(ordinary)) + 0.5
