"""The page tells the whole story of a handshake, and hangs together."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.pki import Pki
from tests.recorded import Recorded, converse
from tests.story.page.conftest import Page, described

from handclasp import (
    ClientAuth,
    ClientConfig,
    ClientConnection,
    Recorder,
    ServerConfig,
    ServerConnection,
    SessionStore,
    TLSError,
)
from handclasp.iana import ExtensionType as Ext
from handclasp.story.flights import MOST_ITEMS
from handclasp.story.page import page_of
from handclasp.trace.events import (
    AlertSeen,
    DecisionTaken,
    HandshakeResult,
    KeysInstalled,
    MessageSeen,
    RecordSeen,
)
from handclasp.wire import extensions
from handclasp.wire.codecs import write_message
from handclasp.wire.messages import ClientHello, EncryptedExtensions, KeyUpdate

STEPS = [
    "Hello",
    "Certificate, public key and identity",
    "The decision to trust",
    "One secret, agreed upon in public",
    "Both sides hold it",
    "Over to symmetric cryptography, for its speed",
    "Used once, then forgotten",
]


def assert_sound(page: Page) -> None:
    """Every id is there once, and every link within the page leads somewhere."""
    assert len(set(page.ids)) == len(page.ids)
    for tag, attrs in page.elements:
        target = attrs.get("href") or ""
        if target.startswith("#"):
            assert target[1:] in page.ids, target
        for name in ("aria-labelledby", "data-copy"):
            if attrs.get(name):
                assert attrs[name] in page.ids
        if tag == "button":
            assert attrs["type"] == "button"


def steps_of(page: Page) -> list[str]:
    """What each step is called; the numbers stand in spans of their own."""
    return [title for title in STEPS if title in page.words]


@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize("kind", ["plain", "retried", "with_secrets", "classic"])
def test_pages_of_all_kinds_hang_together(
    request: pytest.FixtureRequest, kind: str, side: str
) -> None:
    recorded: Recorded = request.getfixturevalue(kind)
    recorder: Recorder = getattr(recorded, side)
    page = Page(recorder.to_html(f"The {side}'s", described))
    assert_sound(page)
    assert page.inside["title"][0] == f"The {side}'s"
    assert steps_of(page) == STEPS
    assert [f"step-{number}" in page.ids for number in range(1, 9)] == [True] * 7 + [False]
    assert f"as the {side} saw it" in page.words
    messages = [event for event in recorder.events if isinstance(event, MessageSeen)]
    assert len(page.all("li", "message")) >= len(messages)
    assert len(page.all("ul", "tree")) >= len(messages)


def test_every_byte_of_every_message_is_on_the_page(with_secrets: Recorded) -> None:
    """In pieces, each of which is one leaf field of its message."""
    page = Page(with_secrets.client.to_html("localhost"))
    shown = bytes.fromhex("".join(page.inside["i"]))
    messages = [e for e in with_secrets.client.events if isinstance(e, MessageSeen)]
    at = 0
    for event in messages:
        at = shown.find(event.raw, at)
        assert at >= 0
        at += len(event.raw)


def test_what_was_agreed_upon(with_secrets: Recorded) -> None:
    words = Page(with_secrets.client.to_html("localhost")).words
    for value in ("TLSv1.3", "TLS_AES_128_GCM_SHA256", "X25519MLKEM768", "http/1.1"):
        assert value in words
    assert "one round trip" in words


def test_every_rule_of_the_decision(with_secrets: Recorded, explanation: dict[str, Any]) -> None:
    page = Page(with_secrets.client.to_html("localhost", described, explanation=explanation))
    assert_sound(page)
    paths = explanation["paths"]
    rules = [
        *explanation["leaf"],
        *(rule for path in paths for rule in path["rules"]),
        *explanation["policy"],
    ]
    assert len(rules) > 20
    assert sum(len(page.all("tr", kind)) for kind in ("held", "broken", "apart")) == len(rules)
    for rule in rules:
        assert rule["rule"] in page.words
        assert " ".join(rule["evidence"].split()) in page.words
    assert "Trusted: every rule held." in page.words


def test_an_explanation_that_ended_badly(
    with_secrets: Recorded, explanation: dict[str, Any]
) -> None:
    broken = json.loads(json.dumps(explanation))
    broken["leaf"][1]["verdict"] = "broken"
    broken |= {"accepted": False, "reasons": ["it ran out yesterday"], "fix": "Get a new one."}
    page = Page(with_secrets.client.to_html("localhost", described, explanation=broken))
    assert "Not trusted: it ran out yesterday." in page.words
    assert "Get a new one." in page.words
    assert len(page.all("tr", "broken")) == 1


def test_secrets_stand_there_only_where_they_were_kept(
    plain: Recorded, with_secrets: Recorded
) -> None:
    assert "not recorded" in Page(plain.client.to_html("localhost")).words
    assert not Page(plain.client.to_html("localhost")).all("button", "copy")
    page = Page(with_secrets.client.to_html("localhost"))
    assert "Whoever has these values can read and forge the conversation." in page.words
    assert page.all("button", "copy")


def test_this_connection_beside_the_last_one(plain: Recorded, with_secrets: Recorded) -> None:
    page = Page(with_secrets.client.to_html("localhost", earlier=plain.client))
    assert_sound(page)
    assert "This connection beside the last one" in page.words
    assert "different" in page.words
    assert "THE SAME" not in page.words
    same = Page(plain.client.to_html("localhost", earlier=plain.client))
    assert "THE SAME" in same.words


def test_a_connection_that_was_resumed(pki: Pki) -> None:
    client = ClientConfig(trust=pki.trust, sessions=SessionStore())
    server = ServerConfig(credentials=pki.server())
    converse(client, server)
    recorded = converse(client, server)
    for recorder in (recorded.client, recorded.server):
        page = Page(recorder.to_html("again", described))
        assert_sound(page)
        assert "the two know each other from an earlier session" in page.words
        assert "the client came with a ticket" in page.words


def test_a_client_that_shows_a_certificate_too(pki: Pki) -> None:
    recorded = converse(
        ClientConfig(trust=pki.trust, credentials=pki.client()),
        ServerConfig(credentials=pki.server(), trust=pki.trust, client_auth=ClientAuth.REQUIRED),
    )
    page = Page(recorded.server.to_html("both", described))
    assert_sound(page)
    assert "The server showed 1 certificate" in page.words
    assert "The client showed 1 certificate" in page.words


# Failures


def failing(
    client_config: ClientConfig, server_config: ServerConfig, name: str = "localhost"
) -> tuple[Recorder, Recorder]:
    client_side, server_side = Recorder(), Recorder()
    client = ClientConnection(client_config, server_name=name, trace=client_side)
    server = ServerConnection(server_config, trace=server_side)
    for _ in range(3):
        for one, other in ((client, server), (server, client)):
            try:
                other.receive_data(bytes(one.data_to_send()))
            except TLSError:
                continue
    return client_side, server_side


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (
            lambda pki: failing(
                ClientConfig(trust=pki.trust, groups=("X25519",)),
                ServerConfig(credentials=pki.server(), groups=("secp384r1",)),
            ),
            "NO_SHARED_GROUP",
        ),
        (
            lambda pki: failing(
                ClientConfig(trust=pki.trust),
                ServerConfig(credentials=pki.server()),
                "elsewhere.example",
            ),
            "CERTIFICATE_NAME_MISMATCH",
        ),
    ],
)
def test_pages_of_failures_say_what_failed_on_both_sides(
    pki: Pki, make: Callable[[Pki], tuple[Recorder, Recorder]], fault: str
) -> None:
    who = "client" if fault.startswith("CERTIFICATE") else "server"
    pages = [Page(recorder.to_html("failed", described)) for recorder in make(pki)]
    for page in pages:
        assert_sound(page)
        assert "failure" in page.ids
        assert f"The {who} gave up during the handshake" in page.words
        assert "his side gave up" not in page.words
        assert "ther side gave up" not in page.words
        assert "agreed" not in page.ids
        assert "The bytes that show it" in page.words
        links = page.all("a", "shows")
        assert links
        for link in links:
            assert (link["href"] or "").startswith("#message-")
    assert any(fault in page.words for page in pages)


def test_a_trace_without_anything() -> None:
    page = Page(page_of([], "nothing"))
    assert_sound(page)
    assert "The trace holds no messages." in page.words
    assert "No handshake began" in page.words
    assert page.words.count("The handshake did not come to this.") >= 5


def test_a_trace_that_breaks_off_after_each_event(with_secrets: Recorded) -> None:
    """However early a program ended, what it saved can be looked at."""
    events = with_secrets.client.events
    for count in range(0, len(events), 3):
        assert_sound(Page(page_of(events[:count], "broken off", described)))


def test_a_message_that_cannot_be_read(plain: Recorded) -> None:
    events = [
        MessageSeen(e.at_ns, e.direction, e.epoch, e.message_type, e.raw[:7])
        if isinstance(e, MessageSeen)
        else e
        for e in plain.client.events
    ]
    page = Page(page_of(events, "cut"))
    assert_sound(page)
    assert "not as its definition wants it" in page.words


def test_a_page_of_a_capture_claims_no_more_than_was_on_the_wire(plain: Recorded) -> None:
    seen = (MessageSeen, RecordSeen, KeysInstalled, AlertSeen, HandshakeResult)
    events = [event for event in plain.client.events if isinstance(event, seen)]
    page = Page(page_of(events, "captured", described))
    assert_sound(page)
    assert "which did not run this handshake" in page.words
    assert "which did not run" not in Page(plain.client.to_html("ran")).words
    assert "of its reasons nothing goes over the wire" in page.words
    assert "neither noted them here" in page.words
    assert "not needed here" not in page.words
    assert "not checked" not in page.words


def test_a_page_to_pass_on_has_no_names(with_secrets: Recorded) -> None:
    shared = with_secrets.client.redacted(names=True, addresses=True)
    page = Page(shared.to_html("to pass on", described))
    assert_sound(page)
    assert steps_of(page) == STEPS
    assert not page.all("button", "copy")
    assert "localhost" in with_secrets.client.to_html("x", described)
    assert "localhost" not in page.document
    assert "test root" not in page.document


def test_of_messages_without_end_the_rest_is_counted(plain: Recorded) -> None:
    update = MessageSeen(0, "received", "application", 24, write_message(KeyUpdate(False)))
    events = [*plain.client.events, *[update] * 5_000]
    page = Page(page_of(events, "flood"))
    assert_sound(page)
    assert len(page.all("li", "message")) == MOST_ITEMS
    shown = sum(isinstance(event, MessageSeen | AlertSeen) for event in events)
    assert f"and {shown - MOST_ITEMS:,} messages more" in page.words


# Hostile peers

EVIL = "</i></script></style><img src=x onerror=alert(1)><script>alert(1)</script>\"'><b onload=x"


def hostile_events() -> list[Any]:
    """A peer that puts markup wherever it can put text."""
    evil = EVIL.encode()
    hello = ClientHello(
        0x0303, bytes(32), b"", (0x1301,), b"\0",
        {
            Ext.SERVER_NAME: extensions.write_server_name(EVIL.replace(" ", "/")),
            Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION: extensions.write_alpn([evil]),
        },
    )  # fmt: skip
    answer = EncryptedExtensions(
        {Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION: extensions.write_alpn([evil])}
    )
    return [
        MessageSeen(0, "sent", "plaintext", 1, write_message(hello)),
        MessageSeen(1, "received", "handshake", 8, write_message(answer)),
        DecisionTaken(2, "alpn", (EVIL, "h2"), ("h2",), EVIL, EVIL),
    ]


def test_a_peers_text_is_never_markup(plain: Recorded) -> None:
    def evil_certificate(der: bytes) -> dict[str, object]:
        return {**(described(der) or {}), "subject": EVIL, "issuer": EVIL, "names": [EVIL]}

    explanation = {
        "accepted": False, "reasons": [EVIL], "fix": EVIL, "policy": [],
        "leaf": [{"rule": EVIL, "about": EVIL, "verdict": EVIL, "evidence": EVIL, "section": EVIL}],
        "paths": [{"certificates": [EVIL], "reaches_anchor": False, "rules": []}],
    }  # fmt: skip
    events = [*hostile_events(), *plain.client.events]
    page = Page(page_of(events, EVIL, evil_certificate, explanation=explanation))
    assert len(page.all("script")) == len(page.all("style")) == 1
    assert not page.all("img")
    assert not [attrs for _, attrs in page.elements for name in attrs if name.startswith("on")]
    assert page.words.count("<script>alert(1)</script>") > 15, "it is shown as what it is"
