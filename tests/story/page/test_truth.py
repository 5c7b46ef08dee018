"""What the page, the story and the field tree say of every kind of handshake is so.

A claim is a sentence and the handshakes of which it is true: of these it must be told where it has
to be, and of all others it must not. Both sides' pages are looked at.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.cli.conftest import Run, run  # noqa: F401 (a fixture)
from tests.pki import Pki, key_of_type, key_pem
from tests.recorded import DATA, Recorded, converse, shuttle
from tests.required import need_tool
from tests.story.page.conftest import Page, described

from handclasp import (
    ClientAuth,
    ClientConfig,
    ClientConnection,
    Credentials,
    PreSharedKey,
    Recorder,
    ServerConfig,
    ServerConnection,
    SessionStore,
)
from handclasp.cli.live import _verdict
from handclasp.story.facts import Facts, facts_of
from handclasp.story.fields import Field, fields_of
from handclasp.story.narrate import narrate
from handclasp.story.redact import redacted
from handclasp.trace.events import DecisionTaken, MessageSeen

CAPTURES = Path(__file__).parents[2] / "capture" / "data"
RSA_SUITE = "TLS_RSA_WITH_AES_128_GCM_SHA256"
HYBRID = "X25519MLKEM768"
_Settings = tuple[dict[str, Any], dict[str, Any]]


def _settings(kind: str, pki: Pki) -> _Settings:
    """What the two are set to, besides the client's trust and the server's certificate."""
    old: dict[str, Any] = {"versions": ("TLSv1.2",)}
    transport = {**old, "cipher_suites": (RSA_SUITE,), "allow_rsa_key_transport": True}
    rsa = {"credentials": pki.server(key_type="rsa-2048")}
    key = key_of_type("ed25519")
    raw = Credentials.raw_public_key(key_pem(key))
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    psk = PreSharedKey(b"a client", bytes(range(32)))
    shared: dict[str, Any] = {"trust": pki.trust, "client_auth": ClientAuth.REQUIRED}
    kinds: dict[str, _Settings] = {
        "1.3": ({}, {}),
        "1.3 X25519": ({"groups": ("X25519",)}, {}),
        "1.3 P-256": ({"groups": ("secp256r1",)}, {}),
        "1.3 hybrid without a share": (
            {"groups": (HYBRID, "X25519"), "key_shares": ("X25519",)}, {},
        ),
        "1.3 RSA": ({}, rsa),
        "1.3 retried": (
            {"groups": ("X25519", "secp384r1"), "key_shares": ("X25519",)},
            {"groups": ("secp384r1",)},
        ),
        "1.3 client": ({"credentials": pki.client()}, shared),
        "1.3 client without": ({}, {**shared, "client_auth": ClientAuth.OPTIONAL}),
        "1.3 raw key": (
            {"raw_public_keys": [public], "trust": None}, {"credentials": raw},
        ),
        "1.3 psk": ({"psks": [psk], "trust": None}, {"psks": [psk], "credentials": None}),
        "1.3 resumed": ({"sessions": SessionStore()}, {}),
        "1.3 early data": (
            {"sessions": SessionStore(), "allow_early_data": True}, {"max_early_data": 1000},
        ),
        "1.3 early data refused": (
            {"sessions": SessionStore(), "allow_early_data": True}, {"max_early_data": 1000},
        ),
        "1.2": (old, old),
        "1.2 of both": ({}, old),
        "1.2 RSA": (old, {**old, **rsa}),
        "1.2 client": ({**old, "credentials": pki.client()}, {**old, **shared}),
        "1.2 ticket": ({**old, "sessions": SessionStore()}, old),
        "1.2 session id": ({}, old),
        "1.2 transport": (transport, {**transport, **rsa}),
        "1.2 transport resumed": (
            {**transport, "sessions": SessionStore()}, {**transport, **rsa},
        ),
    }  # fmt: skip
    return kinds[kind]


KINDS = (
    "1.3", "1.3 X25519", "1.3 P-256", "1.3 hybrid without a share", "1.3 RSA", "1.3 retried",
    "1.3 client", "1.3 client without", "1.3 raw key", "1.3 psk", "1.3 resumed",
    "1.3 early data", "1.3 early data refused", "1.2", "1.2 of both", "1.2 RSA", "1.2 client",
    "1.2 ticket", "1.2 session id", "1.2 transport", "1.2 transport resumed",
)  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """One side of one conversation, and all that is told of it."""

    kind: str
    recorder: Recorder
    facts: Facts
    words: str
    story: str

    @property
    def told(self) -> str:
        return f"{self.words} {self.story}"

    def fields(self) -> Iterator[tuple[str, Field]]:
        """Each field of each message, after the message's name."""
        for event in self.recorder.events:
            if isinstance(event, MessageSeen):
                tree = fields_of(event.raw, event.epoch, self.facts.key_exchange)
                yield from ((tree.name, field) for field in _walk(tree))

    def meaning(self, message: str, name: str) -> str:
        return next(f.meaning for m, f in self.fields() if (m, f.name) == (message, name))

    def decision(self, what: str) -> DecisionTaken:
        return next(
            e for e in self.recorder.events if isinstance(e, DecisionTaken) and e.what == what
        )

    def why_not(self, what: str) -> dict[str, str]:
        return {each.name: each.why for each in self.decision(what).refused}


def _walk(field: Field) -> Iterator[Field]:
    yield field
    for part in field.parts:
        yield from _walk(part)


def _by_session_id(pki: Pki) -> Recorder:
    """OpenSSL comes back to us without a ticket."""
    config = ServerConfig(credentials=pki.server(), versions=("TLSv1.2",))
    context = ssl.create_default_context(cadata=pki.ca_pem.decode())
    context.options |= ssl.OP_NO_TICKET
    session: ssl.SSLSession | None = None
    for _ in range(2):
        recorder = Recorder(record_secrets=True)
        server = ServerConnection(config, trace=recorder)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(incoming, outgoing, server_hostname="localhost", session=session)
        for _ in range(6):
            with contextlib.suppress(ssl.SSLWantReadError):
                client.do_handshake()
            server.receive_data(outgoing.read())
            incoming.write(bytes(server.data_to_send()))
        session = client.session
    assert client.session_reused
    return recorder


def _recorders(kind: str, pki: Pki) -> tuple[Recorder, ...]:
    if kind == "1.2 session id":
        return (_by_session_id(pki),)
    there, here = _settings(kind, pki)
    client = ClientConfig(**{"trust": pki.trust, **there})
    server = ServerConfig(**{"credentials": pki.server(), **here})
    early = DATA if "early data" in kind else b""
    if kind.endswith("refused"):
        converse(client, server)
        refusing = replace(server, max_early_data=0)
        object.__setattr__(refusing, "ticket_keys", server.ticket_keys)
        recorded = _coming_back(client, refusing, early)
    elif client.sessions is not None:
        converse(client, server)
        recorded = _coming_back(client, server, early)
    else:
        recorded = converse(client, server, secrets=True)
    return recorded.client, recorded.server


def _coming_back(client: ClientConfig, server: ServerConfig, early: bytes) -> Recorded:
    if not early:
        return converse(client, server, secrets=True)
    recorded = Recorded(Recorder(record_secrets=True), Recorder(record_secrets=True))
    there = ClientConnection(client, server_name="localhost", trace=recorded.client)
    here = ServerConnection(server, trace=recorded.server)
    there.send_early_data(early)
    shuttle(there, here)
    return recorded


@pytest.fixture(scope="module", params=KINDS)
def seen(request: pytest.FixtureRequest, pki: Pki) -> tuple[Seen, ...]:
    return tuple(
        Seen(
            request.param,
            recorder,
            facts_of(recorder.events),
            Page(recorder.to_html("it", described)).words,
            " ".join(narrate(recorder.events).replace("|", " ").split()),
        )
        for recorder in _recorders(request.param, pki)
    )


RESUMED = ("1.3 resumed", "1.3 early data", "1.3 early data refused", "1.2 ticket",
           "1.2 session id", "1.2 transport resumed")  # fmt: skip
BY_TICKET = tuple(kind for kind in RESUMED if kind != "1.2 session id")
SESSIONS12 = tuple(kind for kind in RESUMED if kind.startswith("1.2"))
WITHOUT_EXCHANGE = (*SESSIONS12, "1.2 transport")
OLD = tuple(kind for kind in KINDS if kind.startswith("1.2"))
NEW = tuple(kind for kind in KINDS if kind.startswith("1.3"))
CERTIFIED = tuple(kind for kind in KINDS if kind not in (*RESUMED, "1.3 psk", "1.3 raw key"))

CLAIMS: dict[str, tuple[str, ...]] = {
    # By sentence: the kinds of which it is true, and which all have it.
    "RSA key transport": ("1.2 transport",),
    "The client made the secret alone": ("1.2 transport",),
    "The client had made that secret alone": ("1.2 transport resumed",),
    "Each side sends a public value": tuple(k for k in KINDS if k not in WITHOUT_EXCHANGE),
    "both sides kept the secret of the earlier session": SESSIONS12,
    "signs the messages of this handshake": tuple(
        k for k in NEW if k in (*CERTIFIED, "1.3 raw key")
    ),
    "it signs its public value of the key exchange and the random values": (
        "1.2", "1.2 of both", "1.2 RSA", "1.2 client",
    ),
    "It signs nothing": ("1.2 transport",),
    "The server answers with its certificate": CERTIFIED,
    "The server answers with its raw public key": ("1.3 raw key",),
    "No side sends a certificate": ("1.3 psk",),
    "No certificate is sent this time": RESUMED,
    "Was it issued by an authority": CERTIFIED,
    "is it one that it already knows?": ("1.3 raw key",),
    "the client came with a ticket": BY_TICKET,
    "the client came with the ID of its session": ("1.2 session id",),
    "the client came with a key from elsewhere": ("1.3 psk",),
    "so it asked for a second one": ("1.3 retried",),
    "first data (early data, 0-RTT)": ("1.3 early data", "1.3 early data refused"),
    "anybody who recorded these data can send them again (a replay)": ("1.3 early data",),
    "The server rejected them": ("1.3 early data refused",),
    "The server also asked for the client's certificate; the client sent a certificate": (
        "1.3 client", "1.2 client",
    ),
    "The server also asked for the client's certificate, and the client sent none": (
        "1.3 client without",
    ),
    "In the part of ML-KEM": tuple(
        k for k in NEW
        if k not in ("1.3 X25519", "1.3 P-256", "1.3 hybrid without a share", "1.3 retried")
    ),
    "each side has its own key for them": NEW,
    "the name of the side goes into each": OLD,
    "The handshake did not come to this": (),
    "THE SAME": (),
    "Premaster": tuple(k for k in OLD if k not in SESSIONS12),
}  # fmt: skip


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_is_told_where_it_is_true_and_nowhere_else(
    seen: tuple[Seen, ...], claim: str
) -> None:
    for side in seen:
        assert (claim in side.words) == (side.kind in CLAIMS[claim]), side.words


def test_the_story_tells_the_same_of_the_secret(seen: tuple[Seen, ...]) -> None:
    for side in seen:
        transported = side.kind == "1.2 transport"
        assert ("a secret made by the client" in side.told) == transported
        earlier = "the secret of the earlier session. On the wire" in side.story
        assert earlier == (side.kind in SESSIONS12)
        assert ("continue with the secret of our earlier session" in side.story) == earlier
        assert ("the key that you brought" in side.story) == (
            (side.kind in RESUMED and side.kind not in SESSIONS12) or side.kind == "1.3 psk"
        )
        at_once = "My first data follow at once" in side.story
        assert at_once == ("early data" in side.kind)
        assert ("can send them again" in side.story) == at_once
        if at_once:
            assert ("we take your early data" in side.story) == (side.kind == "1.3 early data")


def test_what_the_live_page_says_of_quantum_computers(seen: tuple[Seen, ...]) -> None:
    for side in seen:
        told = _verdict(side.facts)
        group = side.facts.info.group if side.facts.info is not None else None
        assert ("encrypted it to this server's key" in told) == (side.kind == "1.2 transport")
        assert ("with a hybrid of an elliptic curve" in told) == ("MLKEM" in (group or ""))
        offered = any("MLKEM" in each for each in side.facts.groups_offered)
        assert not ("did not offer a hybrid" in told and (offered or side.kind in OLD))
        without = side.kind == "1.3 hybrid without a share"
        assert ("but sent no share for it" in told) == without
        assert ("earlier session of TLS 1.2" in told) == (side.kind in SESSIONS12)


def test_what_the_fields_of_a_hello_mean(seen: tuple[Seen, ...]) -> None:
    for side in seen:
        offers13 = side.kind in (*NEW, "1.2 of both", "1.2 session id")
        meaning = side.meaning("ClientHello", "legacy_version")
        assert ("supported_versions has" in meaning) == offers13
        assert ("newest version" in meaning) != offers13
        names = {field.name for message, field in side.fields() if message == "ClientHello"}
        if "supported_versions has" in meaning:
            assert "supported_versions" in names
        meaning = side.meaning("ServerHello", "legacy_version")
        assert ("supported_versions" in meaning) == (side.kind in NEW)
        echo = side.meaning("ServerHello", "legacy_session_id_echo")
        assert ("sent back" in echo) == (side.kind in NEW)
        assert ("ID of this session" in echo) == (side.kind in OLD)
        if "early_data" in names:
            assert "can send them again" in side.meaning("ClientHello", "early_data")
        if "obfuscated_ticket_age" in names:
            assert "only the two sides" in side.meaning("ClientHello", "obfuscated_ticket_age")


def test_what_the_fields_of_a_retry_mean(seen: tuple[Seen, ...]) -> None:
    for side in seen:
        told = {f.name: f for m, f in side.fields() if m == "HelloRetryRequest"}
        assert bool(told) == (side.kind == "1.3 retried")
        for field in told.values():
            assert "Fresh" not in field.meaning
            assert (
                "public value of the key exchange." not in field.meaning or "wants" in field.meaning
            )


def test_an_answer_is_not_told_as_the_question(seen: tuple[Seen, ...]) -> None:
    for side in seen:
        for message, field in side.fields():
            if message not in ("ClientHello", "CertificateRequest"):
                assert "request" not in field.meaning, (message, field.name)
                assert "best first" not in field.meaning, (message, field.name)
            if field.name in ("cert_data",) or message == "Certificate":
                is_key = "without a certificate" in field.value
                assert not is_key or side.kind == "1.3 raw key"
        assert "only the server can" not in " ".join(f.value for _, f in side.fields())


def test_a_timestamp_request_asks_and_its_answer_proves() -> None:
    from handclasp.story.meanings import field_meaning

    name = "signed_certificate_timestamp"
    assert "request" in field_meaning(name, ("ClientHello", "extensions"))
    assert "request" in field_meaning(name, ("CertificateRequest", "extensions"))
    for message in ("Certificate", "ServerHello"):
        assert field_meaning(name, (message, "extensions")).startswith("Proof")


# Why not the others?


def test_the_key_admits_no_other_scheme(seen: tuple[Seen, ...]) -> None:
    for side in seen:
        if not any(isinstance(e, DecisionTaken) and e.what == "signature_scheme"
                   for e in side.recorder.events):  # fmt: skip
            continue
        reasons = side.why_not("signature_scheme")
        chosen = side.decision("signature_scheme").chosen or ""
        for name, why in reasons.items():
            if name.split("_")[0] != chosen.split("_")[0]:
                assert (
                    "key admits no such signature" in why
                    or "not for handshakes" in why
                    or ("not spoken" in why)
                ), (name, why)
            if name.startswith("rsa_pkcs1") and side.kind in NEW:
                assert why in ("not for handshakes of TLS 1.3", "not spoken here")


def test_a_suite_of_another_version_is_refused_for_that(seen: tuple[Seen, ...]) -> None:
    for side in seen:
        for event in side.recorder.events:
            if isinstance(event, DecisionTaken) and event.what == "cipher_suite":
                for name, why in ((each.name, each.why) for each in event.refused):
                    other = ("_WITH_" in name) != ("_WITH_" in (event.chosen or ""))
                    signal = name.endswith("_SCSV")
                    if name.startswith("TLS_") and not signal:
                        assert ("is not what is spoken" in why) == other, (name, why)


def test_what_was_accepted_is_not_refused(seen: tuple[Seen, ...]) -> None:
    for side in seen:
        for event in side.recorder.events:
            if isinstance(event, DecisionTaken):
                refused = {each.name for each in event.refused}
                assert event.chosen not in refused
                if event.what == "early_data":
                    taken = side.kind == "1.3 early data"
                    assert (event.chosen is not None) == taken
                    assert refused == (set() if taken else {"early data"})
        assert "accepted was taken instead" not in side.words


def test_a_group_without_a_share_would_cost_a_second_hello(seen: tuple[Seen, ...]) -> None:
    for side in seen:
        if side.kind == "1.3 hybrid without a share":
            why = side.why_not("group")[HYBRID]
            assert "no share" in why, why


def test_offers_stand_in_the_order_of_the_hello(seen: tuple[Seen, ...]) -> None:
    for side in seen:
        hello = next(e for e in side.recorder.events if isinstance(e, MessageSeen))
        listed = {
            what: [
                field.value
                for field in _walk(fields_of(hello.raw, hello.epoch))
                if field.name == name and not field.value.startswith("GREASE")
            ]
            for what, name in (
                ("version", "ProtocolVersion"), ("cipher_suite", "CipherSuite"),
                ("group", "NamedGroup"), ("signature_scheme", "SignatureScheme"),
            )
        }  # fmt: skip
        for event in side.recorder.events:
            if isinstance(event, DecisionTaken) and listed.get(event.what):
                sent = listed[event.what]
                offered = [name for name in event.offered if not name.startswith("GREASE")]
                if event.what == "signature_scheme":
                    sent = list(dict.fromkeys(sent))
                if event.what == "version" and len(sent) < 2:
                    continue
                assert offered == [name for name in sent if name in offered], event


# Key exchanges that are not spoken here, in captures of other programs

DHE = ("tls12-dhe-rsa-aes128-gcm", "tls12-dhe-rsa-chacha20", "tls12-dhe-rsa-aes128-ccm")
FOREIGN = (*DHE, "tls12-rsa-aes256-ccm8", "tls12-dh-anon", "tls12-psk", "tls12-rsa-psk")
WITH_CERTIFICATE = tuple(name for name in FOREIGN if name not in ("tls12-dh-anon", "tls12-psk"))
FOREIGN_CLAIMS: dict[str, tuple[str, ...]] = {
    "The server answers with its certificate": WITH_CERTIFICATE,
    "Was it issued by an authority": WITH_CERTIFICATE,
    "Neither side is authenticated": ("tls12-dh-anon",),
    "neither side is authenticated": ("tls12-dh-anon",),
    "No side sends a certificate: both have the same pre-shared key": ("tls12-psk",),
    "Each side sends a public value": (*DHE, "tls12-dh-anon"),
    "both halves": (*DHE, "tls12-dh-anon"),
    "The client made the secret alone": ("tls12-rsa-aes256-ccm8",),
    "The client made a part of the secret alone": ("tls12-rsa-psk",),
    "It signs nothing": ("tls12-rsa-aes256-ccm8", "tls12-rsa-psk"),
    "it signs its public value": DHE,
    "The client took this decision": WITH_CERTIFICATE,
    "certificate not checked": (),
    "dh_Ys": (*DHE, "tls12-dh-anon"),
    "psk_identity": ("tls12-psk", "tls12-rsa-psk"),
    "RFC 5246 section 7.4.3": (*DHE, "tls12-dh-anon"),
    "not as its definition wants it": (),
    "The handshake did not come to this": (),
    "which is not known here": (),
    "not read here": (),
    "in an unknown form": (),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_a_claim_of_a_key_exchange_that_is_not_spoken_here(
    run: Run,  # noqa: F811
    name: str,
    tmp_path: Path,
) -> None:
    need_tool("tshark")
    page = tmp_path / "page.html"
    keys = str(CAPTURES / f"{name}.keys")
    assert not run(
        "explain", str(CAPTURES / f"{name}.pcap"), "--keylog", keys, "--html", str(page)
    ).exit_code
    words = Page(page.read_text()).words
    for claim, kinds in FOREIGN_CLAIMS.items():
        assert (claim in words) == (name in kinds), claim


@pytest.mark.parametrize("name", ["tls12-psk", "tls12-rsa-psk", "tls12-dh-anon"])
def test_the_name_of_a_key_does_not_stay_where_names_are_taken_out(
    run: Run,  # noqa: F811
    name: str,
) -> None:
    need_tool("tshark")
    keys = str(CAPTURES / f"{name}.keys")
    result = run("explain", str(CAPTURES / f"{name}.pcap"), "--keylog", keys, "--json")
    recorder = Recorder.from_json(result.stdout)
    events = redacted(recorder.events, names=True)
    identity = b"Client_identity"
    assert any(identity in e.raw for e in recorder.events if isinstance(e, MessageSeen)) == (
        "psk" in name
    )
    for event in events:
        if isinstance(event, MessageSeen):
            assert identity not in event.raw
            tree = fields_of(event.raw, event.epoch, facts_of(events).key_exchange)
            assert "not as its definition" not in tree.value
