"""What the record layer tells a trace: every record, what it cost, and never more than it may."""

from __future__ import annotations

from typing import Any

import pytest
from tests.record.records import (
    ALERT,
    APPLICATION_DATA,
    CHANGE_CIPHER_SPEC,
    HANDSHAKE,
    Records,
    keys_of,
    plain,
    pull,
    sealed,
    split,
)

from handclasp.errors import ProtocolError
from handclasp.keys.epoch import Epoch
from handclasp.limits import Limits
from handclasp.record.layer import RecordLayer
from handclasp.story.recorder import Recorder
from handclasp.trace.events import BytesRefused, KeysInstalled, RecordSeen

SIZES = [1, 2**14, 2**14 + 1, 2 * 2**14, 10 * 2**14 + 5]


def traced(recorder: Recorder, *, padding: int = 0, protected: bool = True) -> Records:
    made = Records(padding=padding, trace=recorder)
    if protected:
        made.protect()
    return made


def records_of(recorder: Recorder) -> list[RecordSeen]:
    return [event for event in recorder.events if isinstance(event, RecordSeen)]


def told(recorder: Recorder) -> list[tuple[object, ...]]:
    return [
        (event.direction, event.epoch, event.content_type, event.size, event.content_size)
        for event in records_of(recorder)
    ]


def test_records_and_keys_are_told_in_order() -> None:
    recorder = Recorder()
    records = traced(recorder, protected=False)
    records.send(Epoch.PLAINTEXT, b"hello")
    records.take()
    records.install_read(Epoch.HANDSHAKE, keys_of())
    records.install_write(Epoch.HANDSHAKE, keys_of())
    pull(records, sealed(b"ab\x16"))
    records.send_change_cipher_spec()
    records.send_alert(b"\x02\x28")
    assert told(recorder) == [
        ("sent", "plaintext", HANDSHAKE, 10, 5),
        ("received", "handshake", HANDSHAKE, 24, 2),
        ("sent", "plaintext", CHANGE_CIPHER_SPEC, 6, 1),
        ("sent", "handshake", ALERT, 24, 2),
    ]
    keys = [event for event in recorder.events if isinstance(event, KeysInstalled)]
    assert [(event.direction, event.epoch) for event in keys] == [
        ("received", "handshake"),
        ("sent", "handshake"),
    ]


@pytest.mark.parametrize("size", SIZES)
def test_a_trace_changes_nothing_on_the_wire(size: int) -> None:
    recorder = Recorder()
    watched, alone = traced(recorder), RecordLayer(Limits(), 0, is_client=True)
    alone.install_write(Epoch.APPLICATION, keys_of())
    for records in (watched, alone):
        records.send_application_data(bytes(size))
    stream = bytes(watched.take())
    assert stream == bytes(alone.take())
    assert [event.size for event in records_of(recorder)] == list(map(len, split(stream)))


@pytest.mark.parametrize("size", SIZES)
def test_each_record_that_comes_is_told(size: int) -> None:
    recorder = Recorder()
    sender = RecordLayer(Limits(), 0, is_client=False)
    sender.install_write(Epoch.APPLICATION, keys_of())
    sender.send_application_data(bytes(size))
    stream = bytes(sender.take())
    receiver = traced(recorder)
    assert sum(len(content) for _, content in pull(receiver, stream)) == size
    seen = records_of(recorder)
    assert [event.size for event in seen] == list(map(len, split(stream)))
    assert sum(event.content_size or 0 for event in seen) == size


def test_padding_is_no_content() -> None:
    recorder = Recorder()
    records = traced(recorder, padding=100)
    records.send_application_data(b"abc")
    assert told(recorder) == [("sent", "application", APPLICATION_DATA, 122, 3)]


def test_sealing_and_opening_have_a_cost_and_plaintext_has_none() -> None:
    ticks = iter(range(0, 10_000, 7))
    recorder = Recorder(clock=lambda: next(ticks))
    records = traced(recorder, protected=False)
    records.send(Epoch.PLAINTEXT, b"hello")
    records.take()
    records.install_read(Epoch.HANDSHAKE, keys_of())
    records.install_write(Epoch.HANDSHAKE, keys_of())
    pull(records, sealed(b"ab\x16"))
    records.send_alert(b"\x02\x28")
    assert [event.work_ns for event in records_of(recorder)] == [0, 7, 7]


def test_a_record_that_does_not_open_is_told_too() -> None:
    recorder = Recorder()
    damaged = bytearray(sealed(b"ab\x16"))
    damaged[-1] ^= 1
    with pytest.raises(ProtocolError):
        pull(traced(recorder), bytes(damaged))
    assert told(recorder) == [("received", "application", APPLICATION_DATA, 24, None)]


def test_what_is_no_tls_is_told() -> None:
    recorder = Recorder()
    with pytest.raises(ProtocolError):
        pull(traced(recorder, protected=False), b"GET / HTTP/1.1\r\n" + bytes(200))
    (refused,) = [event for event in recorder.events if isinstance(event, BytesRefused)]
    assert refused.data.startswith(b"GET / HTTP/1.1")
    assert len(refused.data) == 64


# What is kept of a record


def conversation(recorder: Recorder) -> None:
    """Two handshake records and two of data, each way."""
    records = traced(recorder)
    for fragment in (b"first", b"second"):
        records.send(Epoch.PLAINTEXT, fragment)
        records.take()
    for data in (b"secret data", b"more of it"):
        records.send_application_data(data)
    incoming = [b"one\x16", b"two\x16", b"their data\x17", b"and more\x17"]
    stream = b"".join([sealed(inner, number) for number, inner in enumerate(incoming)])
    pull(records, stream)


def kept(recorder: Recorder) -> list[bytes]:
    return [event.content for event in records_of(recorder) if event.content]


def test_one_handshake_record_each_way_is_kept_in_both_forms() -> None:
    recorder = Recorder()
    conversation(recorder)
    assert kept(recorder) == [b"first", b"one"]
    for event in records_of(recorder):
        assert bool(event.wire) == bool(event.content)
        assert len(event.wire) in (0, event.size)
    assert b"data" not in recorder.to_json().encode()
    assert b"secret data".hex() not in recorder.to_json()


def test_with_secrets_one_record_of_data_each_way_is_kept_too() -> None:
    recorder = Recorder(record_secrets=True)
    conversation(recorder)
    assert kept(recorder) == [b"first", b"secret data", b"one", b"their data"]


def test_application_data_are_given_to_no_trace_that_does_not_record_secrets() -> None:
    class Curious(Recorder):
        given: list[bytes] = []

        def record(self, *what: Any) -> None:
            self.given.append(bytes(what[-1]))

    curious = Curious()
    curious.given = []
    conversation(curious)
    assert b"first" in curious.given
    assert not any(b"data" in content or b"more" in content for content in curious.given)


def test_plaintext_handshakes_are_no_first_protected_record() -> None:
    recorder = Recorder()
    records = traced(recorder, protected=False)
    pull(records, plain(HANDSHAKE, b"\x01\0\0\0"))
    assert kept(recorder) == []
