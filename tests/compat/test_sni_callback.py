"""`sni_callback`: nobody is served without it, it is asked once, and what it refuses is over."""

from __future__ import annotations

import random
import socket
import ssl
import struct
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.compat.pairs import CONTEXTS, Bios, Files, client_context, meet, server_context
from tests.pki import Leaf, Pki

from handclasp import ClientConfig, ClientConnection
from handclasp.wire.records import HEADER_SIZE

SERVER_HELLO = 2
HANDSHAKE, ALERT, CHANGE_CIPHER_SPEC, DATA = 22, 21, 20, 23
USER_CANCELED = b"\1\x5a"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(Pki(), tmp_path_factory.mktemp("names"))


def record(content: bytes, kind: int = HANDSHAKE) -> bytes:
    return bytes([kind, 3, 3]) + len(content).to_bytes(2) + content


def chopped(message: bytes, size: int) -> bytes:
    return b"".join(record(message[at : at + size]) for at in range(0, len(message), size))


def hello(version: str, size: int = 0) -> bytes:
    """The message of a client, with an unknown extension of this size."""
    config = ClientConfig(versions=[version])
    message = bytearray(
        ClientConnection(config, server_name="held.test").data_to_send()[HEADER_SIZE:]
    )
    if size:
        at = 4 + 2 + 32
        at += 1 + message[at]
        at += 2 + int.from_bytes(message[at : at + 2])
        at += 1 + message[at]
        extension = struct.pack(">HH", 0x7777, size) + bytes(size)
        total = int.from_bytes(message[at : at + 2]) + len(extension)
        message[at : at + 2] = total.to_bytes(2)
        message[at + 2 : at + 2] = extension
        message[1:4] = (len(message) - 4).to_bytes(3)
    return bytes(message)


FORMS: dict[str, Callable[[str], bytes]] = {
    "plain": lambda version: record(hello(version)),
    "in records of one byte": lambda version: chopped(hello(version), 1),
    "long, in records of one byte": lambda version: chopped(hello(version, 22000), 1),
    "longer, in records of 16k": lambda version: chopped(hello(version, 60000), 2**14),
    "a warning before": lambda version: record(USER_CANCELED, ALERT) + record(hello(version)),
    "many warnings before": lambda version: (
        record(USER_CANCELED, ALERT) * 9 + chopped(hello(version), 100)
    ),
    "another warning before": lambda version: record(b"\1\x64", ALERT) + record(hello(version)),
    "a warning between": lambda version: (
        record(hello(version)[:50]) + record(USER_CANCELED, ALERT) + record(hello(version)[50:])
    ),
    "change_cipher_spec before": lambda version: (
        record(b"\1", CHANGE_CIPHER_SPEC) + record(hello(version))
    ),
    "an empty record before": lambda version: record(b"") + record(hello(version)),
    "empty data before": lambda version: record(b"", DATA) + record(hello(version)),
    "another type before": lambda version: record(b"\1", 24) + record(hello(version)),
    "another message before": lambda version: record(b"\0\0\0\0" + hello(version)),
    "another message behind": lambda version: record(hello(version) + b"\0\0\0\0"),
}


class Door:
    """A server whose callback gives one answer, and what it answers to bytes."""

    def __init__(self, files: Files, answer: Any = ssl.ALERT_DESCRIPTION_ACCESS_DENIED) -> None:
        self.asked: list[str | None] = []
        self.context = server_context("handclasp", files)
        self.context.sni_callback = self.ask
        self.answer = answer
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.server = self.context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def ask(self, _sock: object, name: str | None, _context: object) -> Any:
        self.asked.append(name)
        return self.answer

    def take(self, data: bytes | bytearray, piece: int = 2**20) -> bytes:
        for at in range(0, len(data), piece):
            self.incoming.write(data[at : at + piece])
            try:
                self.server.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                break
        return self.outgoing.read()


def serves(out: bytes) -> bool:
    return out[:1] == bytes([HANDSHAKE]) and out[HEADER_SIZE] == SERVER_HELLO


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_nobody_is_served_whom_it_did_not_let_in(files: Files, version: str, form: str) -> None:
    refusing, willing = Door(files), Door(files, None)
    assert not serves(refusing.take(FORMS[form](version)))
    out = willing.take(FORMS[form](version))
    assert willing.asked == (["held.test"] if serves(out) else refusing.asked)


def test_nobody_is_served_by_any_other_input(files: Files) -> None:
    rng, served = random.Random(13), 0
    for _ in range(80):
        form, version = rng.choice(list(FORMS.values())), rng.choice(["TLSv1.2", "TLSv1.3"])
        data = bytearray(form(version)[:3000])
        for _ in range(rng.randrange(3)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        piece = rng.choice([7, 100, 2**20])
        assert not serves(Door(files).take(data, piece))
        willing = Door(files, None)
        if serves(willing.take(data, piece)):
            served += 1
            assert len(willing.asked) == 1
    assert served


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("piece", [1, 100, 2**20])
def test_a_hello_in_pieces(files: Files, version: ssl.TLSVersion, piece: int) -> None:
    door, client = Door(files, None), client_context("ssl", files, maximum_version=version)
    outgoing = ssl.MemoryBIO()
    sender = client.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        sender.do_handshake()
    assert serves(door.take(outgoing.read(), piece))
    assert door.asked == ["localhost"]


def test_it_is_asked_once_where_the_hello_comes_twice(files: Files) -> None:
    asked: list[str | None] = []
    server = server_context("handclasp", files)
    server.set_ecdh_curve("secp384r1")  # Of which the client sends no share at first.
    server.sni_callback = lambda _, name, __: asked.append(name)
    pair = Bios(server, client_context("ssl", files)).handshake()
    assert asked == ["localhost"]
    assert pair.server.version() == "TLSv1.3"


@pytest.mark.parametrize("way", ["a warning before", "long, in records of one byte"])
def test_the_context_of_a_name_counts_in_each_form(files: Files, way: str) -> None:
    """Its clients must show a certificate, which the default context does not ask for."""
    second = CONTEXTS["handclasp"](ssl.PROTOCOL_TLS_SERVER)
    second.load_cert_chain(files.leaf("admin", Leaf(("held.test",))))
    second.verify_mode = ssl.CERT_REQUIRED
    first = server_context("handclasp", files)
    first.sni_callback = lambda sock, *_: setattr(sock, "context", second)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = first.wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(FORMS[way]("TLSv1.2"))
    with pytest.raises(ssl.SSLWantReadError):
        server.do_handshake()
    certificate_request = b"\x0d\x00"
    assert certificate_request in outgoing.read()


CALLS: dict[str, Callable[[Any], object]] = {
    "do_handshake": lambda server: server.do_handshake(),
    "read": lambda server: server.read(100),
    "write": lambda server: server.write(b"x"),
    "unwrap": lambda server: server.unwrap(),
}


@pytest.mark.parametrize("call", CALLS)
def test_who_was_refused_stays_refused(files: Files, call: str) -> None:
    door = Door(files)
    flight = record(hello("TLSv1.3"))
    alert = door.take(flight)
    assert alert == record(bytes([2, ssl.ALERT_DESCRIPTION_ACCESS_DENIED]), ALERT)
    for more in (b"", flight):
        door.incoming.write(more)
        with pytest.raises(ssl.SSLError) as caught:
            CALLS[call](door.server)
        assert not isinstance(caught.value, ssl.SSLWantReadError)
    assert door.asked == ["held.test"]
    assert door.outgoing.read() == b""


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("end", ["an alert of the peer", "a broken record"])
def test_what_has_failed_stays_failed(files: Files, end: str, call: str) -> None:
    """Data that came before the failure are read; then nothing waits for more."""
    server, client = server_context("handclasp", files), client_context("handclasp", files)
    pair = Bios(server, client).handshake()
    pair.client.write(b"before")
    pair.to_server.write(record(b"\2\x28", ALERT) if "alert" in end else record(bytes(40), DATA))
    assert pair.server.read(100) == b"before"
    with pytest.raises(ssl.SSLError):
        pair.server.read(100)
    for _ in range(2):
        with pytest.raises(ssl.SSLError) as caught:
            CALLS[call](pair.server)
        assert not isinstance(caught.value, ssl.SSLWantReadError)


def raising(kind: type[BaseException]) -> Callable[..., Any]:
    def interrupted(*_: object) -> None:
        raise kind

    return interrupted


INTERRUPTS = (KeyboardInterrupt, SystemExit, GeneratorExit)


@pytest.mark.parametrize("interrupt", INTERRUPTS)
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_an_interrupt_in_the_callback_lets_nobody_in(
    files: Files, version: str, interrupt: type[BaseException]
) -> None:
    """The client is told by the alert of `ssl`, and the handshake has failed for good."""
    door = Door(files)
    door.context.sni_callback = raising(interrupt)
    door.incoming.write(record(hello(version)))
    with pytest.raises(interrupt):
        door.server.do_handshake()
    alert = record(bytes([2, ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE]), ALERT)
    assert door.outgoing.read() == alert
    door.context.sni_callback = None
    for more in (b"", record(hello(version))):
        door.incoming.write(more)
        with pytest.raises(ssl.SSLError, match="CALLBACK_FAILED") as caught:
            door.server.do_handshake()
        assert f"ended by {interrupt.__name__}" in str(caught.value.__notes__)
        assert isinstance(caught.value.__cause__, interrupt)
    assert door.outgoing.read() == b""


@pytest.mark.parametrize("interrupt", INTERRUPTS)
def test_the_client_of_an_interrupted_callback_gets_its_alert(
    files: Files, interrupt: type[BaseException]
) -> None:
    server, client = server_context("handclasp", files), client_context("ssl", files)
    server.sni_callback = raising(interrupt)
    ends = socket.socketpair()
    with ends[0], ends[1], ThreadPoolExecutor(1) as pool:
        for each in ends:
            each.settimeout(20)
        talk = pool.submit(client.wrap_socket, ends[1], server_hostname="localhost")
        # `ssl.SSLSocket` closes a socket that it was given only after an ordinary exception.
        with (
            server.wrap_socket(ends[0], server_side=True, do_handshake_on_connect=False) as sock,
            pytest.raises(interrupt),
        ):
            sock.do_handshake()
        with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
            talk.result()


def test_an_interrupt_in_the_callback_of_keys_ends_the_handshake(files: Files) -> None:
    server: Any = server_context("handclasp", files)
    server.set_psk_server_callback(raising(SystemExit))
    client: Any = CONTEXTS["handclasp"](ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.set_psk_client_callback(lambda _: ("me", bytes(range(32))))
    pair = Bios(server, client)
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.do_handshake()
    with pytest.raises(SystemExit):
        pair.server.do_handshake()
    with pytest.raises(ssl.SSLError, match="INTERNAL_ERROR"):
        pair.client.do_handshake()
    with pytest.raises(ssl.SSLError) as caught:
        pair.server.do_handshake()
    assert not isinstance(caught.value, ssl.SSLWantReadError)


def test_a_callback_that_is_set_after_the_connection_was_made(files: Files) -> None:
    door = Door(files)
    door.context.sni_callback = None
    server = door.context.wrap_bio(door.incoming, door.outgoing, server_side=True)
    door.context.sni_callback = door.ask
    door.incoming.write(record(hello("TLSv1.3")))
    with pytest.raises(ssl.SSLError, match="CALLBACK_FAILED"):
        server.do_handshake()


def test_one_trace_for_one_connection(files: Files) -> None:
    made: list[object] = []
    door = Door(files, None)

    def make() -> None:
        made.append(None)

    door.context.make_trace = make  # type: ignore[attr-defined]
    door.take(record(hello("TLSv1.3")), 10)
    assert len(made) == 1


def held_by(files: Files, data: bytes) -> int:
    """The bytes that a connection keeps which has read these, and waits for more."""
    import tracemalloc

    context = server_context("handclasp", files)
    doors: list[Any] = []
    tracemalloc.start()
    try:
        for number in range(6):
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            server = context.wrap_bio(incoming, outgoing, server_side=True)
            incoming.write(data)
            with pytest.raises(ssl.SSLWantReadError):
                server.do_handshake()
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()  # Those in use are counted.
            doors.append(server)
            if number == 1:
                before = tracemalloc.get_traced_memory()[0]
        return (tracemalloc.get_traced_memory()[0] - before) // 4
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [100, 2**14])
def test_a_hello_is_not_kept(files: Files, size: int) -> None:
    """Only the names of its cipher suites are, for `shared_ciphers`."""
    assert held_by(files, chopped(hello("TLSv1.3", 60000), size)) < 30_000


def test_the_shared_suites_of_a_hello(files: Files) -> None:
    client = client_context("ssl", files)
    client.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-SHA")
    pair = Bios(server_context("handclasp", files), client).handshake()
    assert [name for name, *_ in pair.server.shared_ciphers() or ()] == [
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_AES_128_GCM_SHA256",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
    ]


def work_of(files: Files, size: int) -> int:
    """How many calls it takes to read a hello of this size in records of one byte."""
    calls, door = 0, Door(files)
    door.incoming.write(chopped(hello("TLSv1.3", size), 1))

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        with pytest.raises(ssl.SSLError, match="CALLBACK_FAILED"):
            door.server.do_handshake()
    finally:
        sys.setprofile(None)
    return calls


def test_twice_as_many_records_are_twice_the_work(files: Files) -> None:
    assert work_of(files, 4000) < 2.2 * work_of(files, 1500)


@pytest.mark.parametrize("answer", [lambda *_: 1 / 0, lambda *_: "text"], ids=["raises", "text"])
def test_a_callback_that_fails_is_reported_and_the_client_gets_an_alert(
    files: Files,
    answer: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By the interpreter's own hook, which takes no arguments but its own."""
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    server = server_context("handclasp", files)
    server.sni_callback = answer
    met = meet(server, client_context("ssl", files))
    assert isinstance(met.server, ssl.SSLError)
    assert met.server.reason == "CALLBACK_FAILED"
    assert isinstance(met.client, ssl.SSLError)
    said = capsys.readouterr().err
    assert f"Exception ignored in: {answer!r}" in said
    assert ("ZeroDivisionError" in said) or ("TypeError" in said)
