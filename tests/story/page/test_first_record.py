"""The first encrypted record before and after: both forms belong together."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tests.recorded import DATA, Recorded

from handclasp.story.page.first_record import first_records_of
from handclasp.trace.events import (
    RecordSeen,
)


@pytest.mark.parametrize("side", ["client", "server"])
def test_before_and_after_belong_together(with_secrets: Recorded, side: str) -> None:
    """With key and nonce from the page, and nothing else, a record that is shown whole opens."""
    events = getattr(with_secrets, side).events
    handshake, said = first_records_of(events, side, "TLSv1.3")
    for record in (handshake, said):
        content = bytes.fromhex("".join(section.hex for section in record.before))
        header, sealed, tag = (bytes.fromhex(section.hex) for section in record.after)
        if record is said:
            opened = AESGCM(bytes.fromhex(record.key)).decrypt(
                bytes.fromhex(record.nonce), sealed + tag, header
            )
            assert opened == content
        else:
            assert record.key
            assert record.nonce
    assert said.text == DATA.decode()
    assert said.before[0].size == len(DATA)
    assert bytes.fromhex(said.before[1].hex) == b"\x17"
    assert (handshake.sender, handshake.epoch) == ("server", "handshake")
    assert handshake.before[0].size + 1 == handshake.after[1].size
    assert handshake.text == ""


def test_without_secrets_the_handshake_is_shown_and_the_talk_is_not(plain: Recorded) -> None:
    (record,) = first_records_of(plain.client.events, "client", "TLSv1.3")
    assert record.content == "handshake messages"
    assert record.key == record.nonce == ""


def test_in_tls12_the_nonce_travels(classic: Recorded) -> None:
    record, said = first_records_of(classic.client.events, "client", "TLSv1.2")
    assert [section.kind for section in record.after] == ["header", "nonce", "sealed", "tag"]
    assert [section.size for section in record.after] == [5, 8, 16, 16]
    assert [section.kind for section in said.before] == ["content"]


def test_padding_is_told_apart() -> None:
    wire = b"\x17\x03\x03\x00\x34" + bytes(52)
    event = RecordSeen(0, "sent", "application", 23, len(wire), 5, 9, wire, b"hello")
    (record,) = first_records_of([event], "client", "TLSv1.3")
    assert [(section.kind, section.size) for section in record.before] == [
        ("content", 5),
        ("type", 1),
        ("padding", 30),
    ]
