"""The records of each end: opened if their keys are known, otherwise assessed by their sizes."""

from __future__ import annotations

from handclasp.capture.conversation import CLIENT, SERVER, Conversation, Side
from handclasp.capture.key_changes import change_cipher_spec, change_keys, install, lacks
from handclasp.capture.messages import ALERT_SIZE, take_alert, take_content
from handclasp.capture.suites import suite13_of, tag_size_of
from handclasp.crypto.secret import Secret
from handclasp.crypto.suites import CIPHER_SUITES_BY_CODE
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.iana import ContentType, ExtensionType, cipher_suite_name
from handclasp.keys.schedule13 import TrafficSecret
from handclasp.record.protection12 import Protection12
from handclasp.record.protection13 import Protection13, split_inner_plaintext
from handclasp.trace.events import KeysInstalled, RecordSeen
from handclasp.wire import messages
from handclasp.wire.records import HEADER_SIZE, MAX_PLAINTEXT

_MESSAGE_HEADER = 4
_ALERT_PADDING = 16
"""The bytes of Java's padding."""

_SHORT = (4, 8)
"""The sizes of a client's messages that are shorter than Finished: EndOfEarlyData, and an empty
Certificate.
"""

_EARLY_DATA_OFFER = CLIENT, messages.ClientHello, ExtensionType.EARLY_DATA


def take_record(talk: Conversation, side: Side, header: bytes, body: bytes) -> None:
    """Follow one record of a side.

    Raises `ProtocolError` if nothing after it can be followed.
    """
    kind, size = header[0], HEADER_SIZE + len(body)
    if kind == ContentType.ALERT and len(body) == ALERT_SIZE:
        # No suite has records as short as this: it is in the clear.
        talk.note(side.role, RecordSeen(talk.at, "", "plaintext", kind, size, len(body)))
        take_alert(talk, side, body, in_the_clear=True)
        return
    if side.has_switched and not side.blind and not _may_be_in_the_clear(talk, kind, body):
        change_keys(talk, side, "application")
        side.blind = _closed_without_agreement(side)
    if side.blind:
        _closed_record(talk, side, header, body)
        return
    is_protected = side.protection is not None and (
        kind == ContentType.APPLICATION_DATA or isinstance(side.protection, Protection12)
    )
    if not is_protected:
        _plain_record(talk, side, kind, body, size)
        return
    opened = _open(talk, side, header, body)
    if opened is None:
        talk.note(side.role, RecordSeen(talk.at, "", side.epoch, kind, size))
        return
    side.is_keyed = side.is_keyed or side.epoch != "early"
    side.seen.is_obscure = False
    kind, content = opened
    talk.note(side.role, RecordSeen(talk.at, "", side.epoch, kind, size, len(content)))
    take_content(talk, side, kind, content)


def _closed_without_agreement(side: Side) -> str:
    return (
        f"The {side.role} sends protected records although no ServerHello was seen: what was "
        "agreed upon is not known, and they stay closed."
    )


def _may_be_in_the_clear(talk: Conversation, kind: int, body: bytes) -> bool:
    """Return whether a record after a ChangeCipherSpec of an unknown version may be in the clear.

    In TLS 1.3 hellos are, and what may be early data is weighed elsewhere.
    """
    if talk.is_tls13 or kind not in (ContentType.HANDSHAKE, ContentType.ALERT):
        return True
    is_hello = body[:1] in (b"\x01", b"\x02") and body[1:2] == b"\0"
    return kind == ContentType.HANDSHAKE and is_hello


def _closed_record(talk: Conversation, side: Side, header: bytes, body: bytes) -> None:
    """Note a record that is protected under unknown keys."""
    kind, size = header[0], HEADER_SIZE + len(body)
    if kind == ContentType.CHANGE_CIPHER_SPEC and len(body) == 1:
        talk.note(side.role, RecordSeen(talk.at, "", "plaintext", kind, size, 1))
        return
    if talk.is_tls13 and kind != ContentType.APPLICATION_DATA:
        # All protected records have this outer type (RFC 9846 section 5.2).
        talk.note(side.role, RecordSeen(talk.at, "", "plaintext", kind, size, len(body)))
        raise ProtocolError(Fault.UNPROTECTED_RECORD)
    if side.later is not None and _opens_later(talk, side, header, body):
        return
    talk.miss(side.blind)
    side.is_keyed = True
    talk.note(side.role, RecordSeen(talk.at, "", side.epoch, kind, size))
    _weigh(talk, side, kind, size)


def _weigh(talk: Conversation, side: Side, kind: int, size: int) -> None:
    """Derive the progress of a sender from the type and size of an encrypted record.

    A Finished is as long as the hash of the suite (RFC 8446 section 4.4.4), and records may be
    padded, so a long record may hold a short message, but not the other way around.
    """
    seen = side.seen
    if not talk.is_tls13:
        is_finished = kind == ContentType.HANDSHAKE and talk.version is not None
        seen.may_have_finished = seen.may_have_finished or is_finished
        side.is_alert = side.is_hidden_alert = kind == ContentType.ALERT
        side.is_at_end = talk.is_left_by_other(side.role)
        return
    suite = suite13_of(talk.suite_code)
    frame = HEADER_SIZE + 1 + tag_size_of(cipher_suite_name(talk.suite_code))
    finished = frame + _MESSAGE_HEADER + (suite.hash_size if suite is not None else 32)
    alert = frame + ALERT_SIZE
    seen.weigh(size - frame + 1, is_full=size >= frame + MAX_PLAINTEXT)
    looks_padded = side.role == CLIENT and size < finished and size - frame not in _SHORT
    side.is_alert = side.is_hidden_alert = size <= alert or looks_padded
    side.is_at_end = talk.is_left_by_other(side.role)
    if side.role == CLIENT and talk.extension(*_EARLY_DATA_OFFER) is not None:
        seen.is_obscure = True
        return
    seen.may_have_finished = seen.may_have_finished or size >= finished
    other = talk.sides[SERVER if side.role == CLIENT else CLIENT].seen
    if other.is_done and seen.is_done:
        is_short = size <= alert + _ALERT_PADDING
        seen.went_on = seen.went_on or not is_short
        seen.was_short = seen.was_short or is_short


def _opens_later(talk: Conversation, side: Side, header: bytes, body: bytes) -> bool:
    """Return whether it is the first record under the application keys, after a hidden Finished."""
    if side.later is None:
        return False
    side.later.sequence = 0
    try:
        kind, content = split_inner_plaintext(side.later.open(header, body), MAX_PLAINTEXT + 1)
    except ProtocolError:
        return False
    side.protection, side.later, side.blind = side.later, None, ""
    change_keys(talk, side, "application")
    side.seen.may_have_finished = True
    size = HEADER_SIZE + len(body)
    name = cipher_suite_name(talk.suite_code)
    talk.note(side.role, KeysInstalled(talk.at, "", "application", name))
    talk.note(side.role, RecordSeen(talk.at, "", side.epoch, kind, size, len(content)))
    take_content(talk, side, kind, content)
    return True


def _plain_record(talk: Conversation, side: Side, kind: int, body: bytes, size: int) -> None:
    if kind == ContentType.APPLICATION_DATA:
        _early_record(talk, side, body, size)
        return
    if side.epoch == "early":  # They were refused, and a second ClientHello follows.
        side.epoch, side.protection = "plaintext", None
    talk.note(side.role, RecordSeen(talk.at, "", "plaintext", kind, size, len(body)))
    if kind == ContentType.CHANGE_CIPHER_SPEC:
        if talk.version is None:
            side.has_switched = True
        elif not talk.is_tls13:  # In TLS 1.3 it only serves middleboxes.
            change_cipher_spec(talk, side)
        return
    if kind == ContentType.HANDSHAKE and side.protection is not None:
        # Neither end accepts it, and anybody may have inserted it.
        raise ProtocolError(Fault.UNPROTECTED_RECORD)
    take_content(talk, side, kind, body)


def _early_record(talk: Conversation, side: Side, body: bytes, size: int) -> None:
    """Follow the early data of a client before the server's answer: the suite is the session's."""
    if not talk.offers_early_data:
        talk.miss(_closed_without_agreement(side))
        kind = int(ContentType.APPLICATION_DATA)
        talk.note(side.role, RecordSeen(talk.at, "", "handshake", kind, size))
        return
    secret = talk.secrets.get("CLIENT_EARLY_TRAFFIC_SECRET", b"")
    kind = int(ContentType.APPLICATION_DATA)
    header = bytes([kind, 3, 3]) + len(body).to_bytes(2, "big")
    for suite in CIPHER_SUITES_BY_CODE.values():
        if side.role != CLIENT or suite.hash_size != len(secret):
            continue
        protection = Protection13.of(TrafficSecret(suite, Secret(secret)).keys())
        try:
            inner, content = split_inner_plaintext(protection.open(header, body), MAX_PLAINTEXT + 1)
        except ProtocolError:
            continue
        side.protection, side.epoch = protection, "early"
        talk.note(CLIENT, KeysInstalled(talk.at, "", "early", suite.name))
        talk.note(CLIENT, RecordSeen(talk.at, "", "early", inner, size, len(content)))
        take_content(talk, side, inner, content)
        return
    if side.role == CLIENT and talk.is_tls13:
        # There is none, or it was sent before the capture began.
        install(talk, side, "handshake", "CLIENT_HANDSHAKE_TRAFFIC_SECRET")
        take_record(talk, side, header, body)
        return
    # The secret is unknown; the handshake continues in a later record.
    if talk.secrets and not secret:
        talk.miss(lacks("CLIENT_EARLY_TRAFFIC_SECRET", "the client's early data"))
    talk.note(side.role, RecordSeen(talk.at, "", "early", kind, size))


def _open(talk: Conversation, side: Side, header: bytes, body: bytes) -> tuple[int, bytes] | None:
    """Return the content; None for early data under an unknown key, or rejected ones."""
    protection = side.protection
    if isinstance(protection, Protection12):
        return protection.open_record(header + body, 0, len(header) + len(body))
    if protection is None:
        return None
    sequence = protection.sequence
    try:
        inner = protection.open(header, body)
    except ProtocolError:
        if side.role != CLIENT:
            raise
        return _open_past_early_data(talk, side, protection, sequence, header, body)
    return split_inner_plaintext(inner, MAX_PLAINTEXT + 1)


def _open_past_early_data(
    talk: Conversation,
    side: Side,
    protection: Protection13,
    sequence: int,
    header: bytes,
    body: bytes,
) -> tuple[int, bytes] | None:
    """Open the first record after early data that were rejected, or cannot be read."""
    if side.epoch == "early":
        install(talk, side, "handshake", "CLIENT_HANDSHAKE_TRAFFIC_SECRET")
        return _open(talk, side, header, body) if side.protection is not None else None
    offers_early_data = talk.extension(*_EARLY_DATA_OFFER) is not None
    if side.epoch == "handshake" and sequence == 0 and offers_early_data:
        protection.sequence = 0
        side.seen.is_obscure = True
        return None
    raise ProtocolError(Fault.BAD_RECORD_MAC)
