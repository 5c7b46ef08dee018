"""What a peer has sent takes, at any pause of a handshake, a few times the memory of its bytes.

A handshake pauses where it waits for the peer, which may never come, and where it asks a question
that is answered later. Each message of either version is filled with each list until it is as long
as it may be, in the shortest entries: what is read into an object for each would take the peer's
bytes twenty times over.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import pytest
from tests.adversarial.test_doubling import EVERY_LIST, LONG_FIELDS, SHORT_FIELDS, Fill, hello_of
from tests.pki import Pki

from handclasp import (
    DEFER,
    ClientConfig,
    ClientConnection,
    Recorder,
    ServerConfig,
    ServerConnection,
    TLSError,
)
from handclasp.certificates.verify import accept_unverified
from handclasp.handshake.offered import MOST_PROTOCOLS
from handclasp.iana import CipherSuiteCode, GroupCode, SignatureSchemeCode
from handclasp.iana import ExtensionType as Ext
from handclasp.questions import ChooseCredentials, FindPsk, VerifyPeer
from handclasp.testing.scripted import SCHEMES, ScriptedServer
from handclasp.testing.scripted12 import ScriptedServer12
from handclasp.trace.events import DecisionTaken
from handclasp.wire import extensions as ext
from handclasp.wire.messages import CertificateRequest
from handclasp.wire.messages12 import CertificateRequest12

pytestmark = pytest.mark.long

LONGEST = 63_000
"""Bytes of a hello, or of the list in another message: nearly what is accepted."""

WAITING = 80_000
"""Bytes that may be held while this side waits for the client: a bit more than all but the end of a
long hello takes, which docs/security.md counts with."""

ASKING = 6
"""While a question is open, the peer's bytes may be held so often: as the message, as what is in
its extensions, and as what the question shows of it."""

BESIDES = 60_000
"""Bytes that a connection takes with a short hello, and the names of numbers that are not known."""

Connection = TypeVar("Connection", ClientConnection, ServerConnection)


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


def held(make: Callable[[], tuple[Connection, int]]) -> tuple[Connection, int, int]:
    """A connection that took so many bytes, those, and the memory that it holds."""
    make()  # What is made once is made now.
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        connection, sent = make()
        gc.collect()
        return connection, sent, tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


LAST: dict[str, tuple[int, ...]] = {
    "suites": (CipherSuiteCode.TLS_AES_128_GCM_SHA256, 0xC02B),
    "groups": (GroupCode.x25519, GroupCode.secp256r1),
    "schemes": (SignatureSchemeCode.ecdsa_secp256r1_sha256,),
    "alpn": (1,),
    "modes": (1,),
    "point formats": (0,),
    "versions": (0x303, 0x304),
    "server types": (0,),
}
"""At the end of these lists stands what is taken here, so that the handshake goes on."""


def filled(version: str, which: str) -> bytes:
    """A hello with as long a list as there is room for, of short values that all differ."""

    def hello(count: int) -> bytes:
        fill: Fill = lambda count, _: [*range(0x1400, 0x1400 + count), *LAST.get(which, ())]  # noqa: E731
        return hello_of(version, {which: fill}, count)

    if which not in LONG_FIELDS and which != "suites":
        return hello(100)
    count = 31_000
    while True:
        with suppress(OverflowError):
            longest = hello(count)
            if len(longest) <= LONGEST:
                return longest
        count = count * 19 // 20


def server_of(config: ServerConfig, hello: bytes) -> Callable[[], tuple[ServerConnection, int]]:
    def make() -> tuple[ServerConnection, int]:
        server = ServerConnection(config)
        with suppress(TLSError):
            server.receive_data(hello)
        server.data_to_send()
        return server, len(hello)

    return make


GOES_ON = (
    *("suites", "groups", "schemes", "schemes_cert", "alpn", "authorities", "identities"),
    *("ticket", "padding", *SHORT_FIELDS.keys() - {"renegotiation"}),
)
"""Hellos with these are taken; with "extensions" or "key shares" without number, they are not."""


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize("which", EVERY_LIST)
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_a_server_that_waits_for_the_client(pki: Pki, version: str, which: str, asks: bool) -> None:
    config = ServerConfig(
        credentials=pki.server("localhost"),
        versions=[version],
        alpn=["h2"],
        client_auth="optional" if asks else "none",
        trust=pki.trust if asks else None,
    )
    server, _, memory = held(server_of(config, filled(version, which)))
    assert which not in GOES_ON or server.failure is None
    assert memory < WAITING


@pytest.mark.parametrize("which", EVERY_LIST)
def test_a_server_that_waits_for_a_second_hello(pki: Pki, which: str) -> None:
    config = ServerConfig(credentials=pki.server("localhost"), groups=["secp256r1"], alpn=["h2"])
    server, _, memory = held(server_of(config, filled("TLSv1.3", which)))
    assert which not in GOES_ON or server.failure is None
    assert memory < WAITING


@pytest.mark.parametrize("which", EVERY_LIST)
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_a_server_that_asks_for_credentials(version: str, which: str) -> None:
    config = ServerConfig(
        versions=[version],
        alpn=["h2"],
        choose_credentials=lambda _: DEFER,
    )
    server, sent, memory = held(server_of(config, filled(version, which)))
    assert which not in GOES_ON or isinstance(server.question, ChooseCredentials)
    assert memory < ASKING * sent + BESIDES


def test_a_server_that_asks_for_a_key(pki: Pki) -> None:
    config = ServerConfig(credentials=pki.server("localhost"), find_psk=lambda _: DEFER)
    server, sent, memory = held(server_of(config, filled("TLSv1.3", "identities")))
    assert isinstance(server.question, FindPsk)
    assert memory < 3 * sent + BESIDES  # The question shows one identity.


# Clients


def long_request(which: str) -> CertificateRequest:
    writes: dict[str, Callable[[int], tuple[Ext, bytes]]] = {
        "schemes": lambda count: (
            Ext.SIGNATURE_ALGORITHMS,
            ext.write_signature_algorithms([*range(0x1400, 0x1400 + count // 2), *SCHEMES]),
        ),
        "authorities": lambda count: (
            Ext.CERTIFICATE_AUTHORITIES,
            ext.write_certificate_authorities(short_names(count)),
        ),
    }
    schemes = ext.write_signature_algorithms(SCHEMES)
    return CertificateRequest(
        b"", {Ext.SIGNATURE_ALGORITHMS: schemes, **dict([writes[which](LONGEST - 200)])}
    )


def long_request12(which: str) -> CertificateRequest12:
    schemes = range(0x1400, 0x1400 + LONGEST // 2 - 100) if which == "schemes" else ()
    authorities = short_names(LONGEST) if which == "authorities" else ()
    return CertificateRequest12(b"\x40", (*schemes, *SCHEMES), authorities)


def short_names(size: int) -> tuple[bytes, ...]:
    """So many bytes of names, with their lengths, that all differ."""
    return tuple([number.to_bytes(2, "big") for number in range(size // 4)])


Stage = Callable[[ClientConnection], object]


def client_of(
    config: ClientConfig, server: Callable[[], Any], stage: Stage
) -> Callable[[], tuple[ClientConnection, int]]:
    def make() -> tuple[ClientConnection, int]:
        client, peer = ClientConnection(config, server_name="localhost"), server()
        peer.feed(bytes(client.data_to_send()))
        flight = peer.take()
        client.receive_data(flight)
        stage(client)
        return client, len(flight)

    return make


def at_once(client: ClientConnection) -> None:
    assert isinstance(client.question, VerifyPeer) or client.question is None


def answer_verify(client: ClientConnection) -> None:
    question = client.question
    assert isinstance(question, VerifyPeer)
    client.answer(question, accept_unverified(question.chain_der, question.certificate_type))
    assert isinstance(client.question, ChooseCredentials)


@pytest.mark.parametrize("which", ["schemes", "authorities"])
@pytest.mark.parametrize("stage", [at_once, answer_verify])
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_a_client_that_is_asked_for_a_certificate(
    pki: Pki, version: str, stage: Stage, which: str
) -> None:
    credentials = pki.server("localhost")
    config = ClientConfig(
        versions=[version],
        verify=lambda _: DEFER,
        choose_credentials=lambda _: DEFER,
    )

    def server() -> Any:
        if version == "TLSv1.3":
            request: Any = long_request(which)
            kind: Any = ScriptedServer
        else:
            request, kind = long_request12(which), ScriptedServer12
        return kind(credentials, ask_for_certificate=True, certificate_request=request)

    client, sent, memory = held(client_of(config, server, stage))
    assert client.question is not None
    assert memory < ASKING * sent + BESIDES


@pytest.mark.parametrize("which", ["schemes", "authorities"])
def test_a_client_that_waits_for_the_last_word(pki: Pki, which: str) -> None:
    """Of TLS 1.2: the request has come, and ServerHelloDone has not."""
    credentials = pki.server("localhost")
    order = tuple(
        step
        for step in ScriptedServer12.order
        if step not in ("certificate_status", "server_hello_done")
    )

    def server() -> Any:
        return ScriptedServer12(
            credentials,
            ask_for_certificate=True,
            certificate_request=long_request12(which),
            order=order,
        )

    config = ClientConfig(trust=pki.trust, versions=["TLSv1.2"])
    client, sent, memory = held(client_of(config, server, at_once))
    assert client.question is None
    assert memory < ASKING * sent + BESIDES


# Lists that are cut short lose nothing that counts


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_a_protocol_that_is_spoken_counts_wherever_it_stands(pki: Pki, version: str) -> None:
    asked: list[ChooseCredentials] = []
    credentials = pki.server("localhost")

    def choose(question: ChooseCredentials) -> Any:
        asked.append(question)
        return credentials

    config = ServerConfig(versions=[version], alpn=["h2"], choose_credentials=choose)
    trace = Recorder()
    server = ServerConnection(config, trace=trace)
    server.receive_data(filled(version, "alpn"))
    decided = [each for each in trace.events if isinstance(each, DecisionTaken)]
    assert [each.chosen for each in decided if each.what == "alpn"] == ["h2"]
    assert asked[0].alpn[-1] == "h2"
    assert len(asked[0].alpn) == MOST_PROTOCOLS + 1


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_an_authority_of_ours_counts_wherever_it_stands(pki: Pki, version: str) -> None:
    """A client's second certificate is the one that the server would like."""
    other = Pki("another")
    own = pki.client("client")
    issuer = next(iter(own.issuers_der))
    names = (*short_names(20_000), issuer)
    config = ClientConfig(
        trust=pki.trust, versions=[version], credentials=[other.client("other"), own]
    )
    if version == "TLSv1.3":
        data = ext.write_certificate_authorities(names)
        schemes = ext.write_signature_algorithms(SCHEMES)
        lists: dict[int, bytes] = {
            Ext.SIGNATURE_ALGORITHMS: schemes,
            Ext.CERTIFICATE_AUTHORITIES: data,
        }
        request: Any = CertificateRequest(b"", lists)
        kind: Any = ScriptedServer
    else:
        request, kind = CertificateRequest12(b"\x40", SCHEMES, names), ScriptedServer12
    client = ClientConnection(config, server_name="localhost", trace=(trace := Recorder()))
    peer = kind(pki.server("localhost"), ask_for_certificate=True, certificate_request=request)
    peer.feed(bytes(client.data_to_send()))
    client.receive_data(peer.take())
    decided = [each for each in trace.events if isinstance(each, DecisionTaken)]
    (chosen,) = [each.chosen for each in decided if each.what == "credentials"]
    assert chosen is not None
    assert chosen.startswith("CN=client ")
