"""The messages and alerts in open records, and their consequences."""

from __future__ import annotations

from handclasp.capture.conversation import CLIENT, SERVER, Conversation, Side
from handclasp.capture.ech import open_inner_hello
from handclasp.capture.key_changes import change_cipher_spec, install, next_keys
from handclasp.errors import ProtocolError
from handclasp.iana import (
    AlertDescription,
    ContentType,
    HandshakeType,
    alert_name,
    version_name,
)
from handclasp.story.recorded import read_recorded, version_of
from handclasp.trace.events import AlertSeen, MessageSeen
from handclasp.wire import messages

ALERT_SIZE = 2
_WARNING = 1
_AT_AN_END = frozenset(
    (
        AlertDescription.DECODE_ERROR,
        AlertDescription.UNEXPECTED_MESSAGE,
        AlertDescription.HANDSHAKE_FAILURE,
        AlertDescription.INTERNAL_ERROR,
    )
)
"""The alerts with which implementations answer the end of the transport in a handshake: OpenSSL
sends decode_error, and Java handshake_failure.
"""
_OLD_SERVER_HELLO = 40
"""The bytes up to and including the cipher suite."""


def take_content(talk: Conversation, side: Side, kind: int, content: bytes) -> None:
    """Follow the content of an open record."""
    if kind == ContentType.HANDSHAKE:
        side.reassembly.add(content)
        while (
            side.reassembly
            and not side.seen.is_lost
            and (raw := side.reassembly.next_message()) is not None
        ):
            _message(talk, side, raw)
    elif kind == ContentType.ALERT and len(content) == ALERT_SIZE:
        take_alert(talk, side, content)
    elif kind == ContentType.CHANGE_CIPHER_SPEC and not talk.is_tls13:
        change_cipher_spec(talk, side)  # It belongs to a renegotiation.


def take_alert(
    talk: Conversation, side: Side, content: bytes, *, in_the_clear: bool = False
) -> None:
    """Record an alert, and whether its sender gave up with it."""
    side.is_alert = True
    talk.note(side.role, AlertSeen(talk.at, "", content[0], content[1]))
    if in_the_clear and side.is_keyed:
        talk.miss(
            f"The {side.role} has keys when its alert {alert_name(content[1])} comes in the "
            "clear: the other end does not take it, and anyone on the way can have put it "
            "there."
        )
        return
    if content[1] == AlertDescription.USER_CANCELED:
        talk.first_end = talk.first_end or (talk.at, side.role, "canceled")
    if content[1] in (AlertDescription.CLOSE_NOTIFY, AlertDescription.USER_CANCELED):
        return
    if content[0] == _WARNING and not talk.is_tls13:
        # Later bytes show whether its sender gave up (RFC 5246 section 7.2.2).
        talk.warned = side.role, content[1], len(talk.said)
    elif talk.gave_up is None:
        talk.gave_up, talk.alert = side.role, content[1]
        is_left = talk.is_left_by_other(side.role) or talk.is_left_after_handshake(side.role)
        talk.is_at_end = content[1] in _AT_AN_END and is_left


def _message(talk: Conversation, side: Side, raw: bytes) -> None:
    talk.note(side.role, MessageSeen(talk.at, "", side.epoch, raw[0], raw))
    try:
        message = read_recorded(raw, side.epoch)
    except ProtocolError:
        _old_server_hello(talk, raw)
        return
    talk.said.append((side.role, message))
    talk.last[side.role, type(message)] = message
    match message:
        case messages.ClientHello():
            # It may also be one for a renegotiation, whose keys apply from its ChangeCipherSpec on.
            talk.randoms[CLIENT] = message.random
            talk.secrets = talk.keylog.of(message.random)
            open_inner_hello(talk, message)
        case messages.ServerHello():
            _server_hello(talk, message)
        case messages.EndOfEarlyData():
            install(talk, side, "handshake", "CLIENT_HANDSHAKE_TRAFFIC_SECRET")
        case messages.KeyUpdate():
            next_keys(talk, side)
        case messages.Finished():
            _finished(talk, side)
        case _:
            pass


def _server_hello(talk: Conversation, hello: messages.ServerHello) -> None:
    if hello.is_hello_retry_request:
        return
    talk.answer = talk.answer or hello
    if talk.version is None:
        _agree(talk, version_of(hello), hello.cipher_suite, hello.random)
    elif not talk.is_tls13:  # A renegotiation.
        talk.suite_code, talk.randoms[SERVER] = hello.cipher_suite, hello.random


def _old_server_hello(talk: Conversation, raw: bytes) -> None:
    """Return a ServerHello of drafts of TLS 1.3 before the 22nd, which have another form."""
    is_draft = raw[0] == HandshakeType.SERVER_HELLO and raw[4:5] == b"\x7f"
    if is_draft and len(raw) >= _OLD_SERVER_HELLO and talk.version is None:
        version = version_name(int.from_bytes(raw[4:6], "big"))
        _agree(talk, version, int.from_bytes(raw[38:40], "big"), raw[6:38])


def _agree(talk: Conversation, version: str | None, suite_code: int, random: bytes) -> None:
    talk.version, talk.suite_code = version, suite_code
    talk.randoms[SERVER] = random
    if talk.is_tls13:
        install(talk, talk.sides[SERVER], "handshake", "SERVER_HANDSHAKE_TRAFFIC_SECRET")
        client = talk.sides[CLIENT]
        if client.epoch != "early" and not talk.may_open_early_data:
            install(talk, client, "handshake", "CLIENT_HANDSHAKE_TRAFFIC_SECRET")


def _finished(talk: Conversation, side: Side) -> None:
    side.seen.finished = True
    side.reassembly.lift_total_limit()
    if talk.is_tls13:
        label = f"{side.role.upper()}_TRAFFIC_SECRET_0"
        install(talk, side, "application", label)
