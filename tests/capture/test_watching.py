"""The watch over a relay: a key log that grows, and what is seen of a connection, and when."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import threading
import tracemalloc
from pathlib import Path

import pytest
from tests.capture.relaying import RelayThread, plain_server
from tests.pki import Pki

import handclasp
from handclasp import ClientConfig, Recorder, ServerConfig, TLSError, TrustStore
from handclasp.capture import watching
from handclasp.capture.observe import observe
from handclasp.capture.relay import Relay, Relayed
from handclasp.capture.secrets import KeyLog, secrets_inside
from handclasp.capture.stream import Address, CaptureError
from handclasp.capture.watching import MOST_REMEMBERED, KeyLogFile, Sighting, Watch, sighting_of
from handclasp.cli.sightings import Report
from handclasp.cli.watched_live import WatchedPages
from handclasp.starttls.dialogue import DialogueError
from handclasp.trace.keylog import open_keylog

LOCAL = "127.0.0.1"
GREETING = b"a greeting that is longer than an alert, and by far"


def line(number: int, label: str = "CLIENT_RANDOM") -> bytes:
    return b"%s %064x %096x\n" % (label.encode(), number, number)


def known(keylog: KeyLogFile, number: int) -> bool:
    keylog.read()
    return bool(keylog.secrets.of(number.to_bytes(32, "big")))


def test_a_key_log_is_read_as_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "keys.log"
    keylog = KeyLogFile(path)
    assert not known(keylog, 1)  # It is not there yet.
    with path.open("ab", buffering=0) as file:
        file.write(line(1) + line(2)[:50])
        assert known(keylog, 1)
        assert not known(keylog, 2)
        file.write(line(2)[50:])
        assert known(keylog, 2)
    path.write_bytes(line(3))  # It was begun anew, and is shorter.
    assert known(keylog, 3)


def test_a_key_log_that_is_emptied_and_has_the_same_length_again_is_read(tmp_path: Path) -> None:
    """Go's programs open it with os.Create, so that each run begins it anew."""
    path = tmp_path / "keys.log"
    keylog = KeyLogFile(path)
    for numbers in ((1, 2), (3, 4), (5, 6, 7), (8, 9, 10, 11)):
        path.write_bytes(b"".join(map(line, numbers)))
        assert all(known(keylog, number) for number in numbers)
    with path.open("ab") as file:
        file.write(line(12))
    assert known(keylog, 12)


def test_a_key_log_of_any_size_costs_bounded_time_and_memory(tmp_path: Path) -> None:
    path = tmp_path / "keys.log"
    keylog = KeyLogFile(path)
    with path.open("wb") as file:
        file.truncate(1 << 40)  # It is sparse, and has no line end.
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + line(1))
    tracemalloc.start()
    try:
        assert known(keylog, 1)
        assert not known(keylog, 2)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1 << 20
    assert peak < 1 << 27


@pytest.mark.parametrize(
    "text",
    [
        b"CLIENT_RANDOM %064x %s" % (1, b"00" * 65),
        b"CLIENT_RANDOM %066x %096x" % (1, 1),
        b"ECH_CONFIG %064x %s" % (1, b"00" * 4097),
    ],
    ids=["secret", "random", "config"],
)
def test_what_is_too_long_for_a_secret_is_not_kept(text: bytes) -> None:
    keylog = KeyLog()
    keylog.add(text + b"\n")
    assert not len(keylog)


def test_only_so_many_connections_of_a_key_log_are_remembered(tmp_path: Path) -> None:
    path = tmp_path / "keys.log"
    path.write_bytes(b"".join(map(line, range(1, MOST_REMEMBERED + 3))))
    keylog = KeyLogFile(path)
    assert not known(keylog, 2)
    assert known(keylog, 3)
    assert len(keylog.secrets) == MOST_REMEMBERED


def test_a_pipe_and_a_device_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        KeyLogFile(path).read()


def test_the_trouble_with_a_key_log_is_told_in_its_terms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys.log"
    keylog = KeyLogFile(path, name="It", advice="Do that.")

    def trouble() -> str:
        keylog.read()
        return keylog.secrets.trouble

    assert trouble() == "It is not there."
    path.touch()
    assert trouble() == "It is empty."
    path.write_bytes(b"# nothing\n")
    assert trouble() == "It has no secret in it."
    with path.open("ab") as file:
        file.write(line(1))
    assert trouble() == ""
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 0))
        assert trouble() == "It is on a disk that is full, so that lines may be missing."
    path.rename(tmp_path / "elsewhere")
    assert trouble() == "It has been removed."
    os.mkfifo(path)
    assert trouble() == "It is a pipe, not a file."
    path.unlink()
    path.symlink_to(path)
    assert trouble() == "It cannot be read: Too many levels of symbolic links."
    path.unlink()
    path.write_bytes(line(2) * 9)
    assert trouble() == ""
    assert known(keylog, 2)


def test_the_writer_of_a_pipe_is_not_deceived(tmp_path: Path) -> None:
    """A reader that comes and goes would let it open the pipe, and then kill it (SIGPIPE)."""
    os.mkfifo(tmp_path / "pipe")
    keylog = KeyLogFile(tmp_path / "pipe")
    with pytest.raises(CaptureError, match="is a pipe, not a file"):
        keylog.check()
    opened = threading.Event()

    def write() -> None:
        with (tmp_path / "pipe").open("wb"):
            opened.set()

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    for _ in range(100):
        keylog.read()
        assert not opened.wait(0.002)
    os.close(os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK))
    writer.join(10)
    assert opened.is_set()


@pytest.mark.parametrize("has_others", [False, True])
def test_the_trouble_is_told_where_secrets_are_missing(tmp_path: Path, has_others: bool) -> None:
    relayed, _ = conversation(tmp_path)
    keylog = KeyLogFile(tmp_path / "none", name="It", advice="Do that.")
    keylog.read()
    if has_others:
        keylog.secrets.add(line(1))
    observation = seen(relayed, keylog.secrets).observation
    assert observation is not None
    [told] = observation.missing
    assert "It is not there." in told
    assert ("none of this connection" in told) is has_others
    assert ("Do that." in told) is not has_others
    assert "--keylog" not in told


def conversation(tmp_path: Path, *, trusts: bool = True) -> tuple[Relayed, KeyLog]:
    """A handshake through the relay, and its secrets."""
    pki = Pki()
    config = ServerConfig(credentials=pki.server("localhost"))

    def serve(sock: socket.socket) -> None:
        try:
            with handclasp.wrap_server(sock, config) as tls:
                tls.sendall(GREETING)
        except TLSError:
            assert not trusts

    keys = tmp_path / "keys.log"
    client = ClientConfig(trust=(pki if trusts else Pki()).trust, keylog=open_keylog(str(keys)))
    with plain_server(serve) as port, RelayThread(Address(LOCAL, port)) as relay:
        try:
            with handclasp.connect(LOCAL, relay.port, client, server_name="localhost") as tls:
                assert tls.recv(100) == GREETING
        except TLSError:
            assert not trusts
    secrets = KeyLog()
    secrets.add(keys.read_bytes())
    return relay.ended[0], secrets


def seen(relayed: Relayed, keylog: KeyLog) -> Sighting:
    return sighting_of(relayed, relayed.stream(), keylog, is_final=True)


def test_a_handshake_is_seen_with_its_secrets_and_without(tmp_path: Path) -> None:
    relayed, secrets = conversation(tmp_path)
    sighting = seen(relayed, secrets)
    assert (sighting.outcome, sighting.has_failed) == ("complete", False)
    assert sighting.secrets
    blind = seen(relayed, KeyLog())
    assert blind.outcome == "seems_complete"
    assert blind.observation is not None
    assert blind.observation.missing


def test_a_failure_is_seen_from_the_end_that_needs_the_explanation(tmp_path: Path) -> None:
    sighting = seen(*conversation(tmp_path, trusts=False))
    assert (sighting.outcome, sighting.has_failed, sighting.is_known) == ("failed", True, True)
    # The alert is encrypted: without secrets, it is only seen that the client left.
    blind = seen(conversation(tmp_path, trusts=False)[0], KeyLog())
    assert blind.outcome in ("failed", "unknown")


def test_the_packets_of_a_sighting_can_be_read_again(tmp_path: Path) -> None:
    relayed, secrets = conversation(tmp_path)
    sighting = seen(relayed, secrets)
    recorder = Recorder.from_events(sighting.wire_events(), relayed.began_ns)
    [lines] = secrets_inside(recorder.to_pcapng())
    again = KeyLog()
    again.add(lines)
    assert seen(relayed, again).outcome == "complete"
    assert observe(sighting.stream, again).server_name == "localhost"


def test_nothing_recorded_makes_no_packets() -> None:
    relayed = Relayed(1, 0, 100, None, (Address(LOCAL, 1), Address("", 0)))
    relayed.refusal = ConnectionRefusedError(111, "Connection refused")
    sighting = seen(relayed, KeyLog())
    assert sighting.wire_events() == []
    assert sighting.outcome == "none"
    assert "Connection refused" in sighting.instead


@pytest.mark.parametrize(
    ("error", "begins"),
    [
        (
            DialogueError.not_offered("it has none"),
            "TLS did not begin with localhost:2. The server",
        ),
        (DialogueError("PROXY_REFUSED", "No way.", "", "Ask.", "unclear", ""), "There is no"),
    ],
)
def test_a_server_that_was_reached_is_not_called_unreachable(
    error: DialogueError, begins: str
) -> None:
    relayed = Relayed(1, 0, 100, Address("localhost", 2), (Address(LOCAL, 1), Address("", 0)))
    relayed.refusal = error
    sighting = seen(relayed, KeyLog())
    assert sighting.instead.startswith(begins)
    assert error.fix in sighting.instead
    live = WatchedPages()
    live.add(Report(sighting, TrustStore.system()))
    [row] = live.listed()
    was_reached = begins.startswith("TLS")
    assert row["outcome"] == ("TLS did not begin" if was_reached else "no connection")


@pytest.mark.parametrize(
    ("error", "at_fault"),
    [
        (
            DialogueError.speaks_tls(b"\x15\x03\x03\x00\x02", "server"),
            "unclear: neither end, but this command, which begins in the clear",
        ),
        (DialogueError.broken("it said x"), "unclear: this command, if it is the wrong port or"),
        (DialogueError.refused(b"N"), "the server, unless it is not meant to offer TLS on this"),
    ],
)
def test_a_client_is_not_blamed_for_what_is_said_in_its_place(
    error: DialogueError, at_fault: str
) -> None:
    """With --starttls, the client itself begins with TLS."""
    relayed = Relayed(1, 0, 100, Address("localhost", 2), (Address(LOCAL, 1), Address("", 0)))
    relayed.refusal = error
    lines = dict(Report(seen(relayed, KeyLog()), TrustStore.system()).lines())
    assert lines["at fault"].startswith(at_fault)


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-x\r\n", bytes(100), b"\x16\x03\x01"])
def test_what_is_no_tls_is_said(said: bytes) -> None:
    relayed = Relayed(1, 0, 100, None, (Address(LOCAL, 1), Address(LOCAL, 2)))
    if said:
        relayed.note(0, said)
    relayed.end(0, "end")
    assert seen(relayed, KeyLog()).instead


def test_an_open_connection_is_reported_while_it_goes_on() -> None:
    """The first sighting comes once the handshake is complete, the last one at the end."""
    pki = Pki()
    config = ServerConfig(credentials=pki.server("localhost"))
    sightings: list[Sighting] = []

    def serve(sock: socket.socket) -> None:
        with handclasp.wrap_server(sock, config) as tls:
            while tls.recv(100):
                pass

    async def watch(port: int) -> None:
        reported = asyncio.Event()

        def note(sighting: Sighting) -> None:
            sightings.append(sighting)
            reported.set()

        eye = Watch(None, note)
        async with Relay(Address(LOCAL, port), ended=eye.ended, two_way=eye.two_way) as relay:
            client = ClientConfig(trust=pki.trust)
            tls = await asyncio.to_thread(
                handclasp.connect, LOCAL, relay.port, client, server_name="localhost"
            )
            tls.sendall(b"a request that is longer than an alert, and by far")
            await asyncio.wait_for(reported.wait(), 30)
            assert not sightings[0].is_final
            await asyncio.to_thread(tls.close)
            await relay.close(patience=10)

    with plain_server(serve) as port:
        asyncio.run(watch(port))
    assert [each.is_final for each in sightings] == [False, True]


def test_a_handshake_that_takes_long_is_reported_when_it_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its server sends in drips, for longer than a library takes to write a key log."""
    monkeypatch.setattr(watching, "_FIRST_LOOK_SECONDS", 0.001)
    monkeypatch.setattr(watching, "_SECRETS_SECONDS", 0.002)
    whole, _ = conversation(tmp_path)
    pieces = whole.stream().pieces
    sightings: list[Sighting] = []
    looks: list[float] = []

    async def watch() -> None:
        loop = asyncio.get_running_loop()
        known = loop.create_future()

        def note(sighting: Sighting) -> None:
            sightings.append(sighting)
            if sighting.is_known:
                loop.call_soon_threadsafe(known.set_result, None)

        eye = Watch(KeyLogFile(tmp_path / "keys.log"), note)
        sight = eye._sight

        async def counted(relayed: Relayed, *, is_final: bool) -> bool:
            looks.append(loop.time())
            return await sight(relayed, is_final=is_final)

        monkeypatch.setattr(eye, "_sight", counted)
        relayed = recording_of(whole)
        eye.two_way(relayed)
        for piece in pieces:
            for at in range(0, len(piece.data), 50):
                relayed.note(piece.sender, piece.data[at : at + 50])
                await asyncio.sleep(0.005)
        await asyncio.wait_for(known, 30)
        await eye.ended(relayed)

    asyncio.run(watch())
    assert [each.is_final for each in sightings] == [False, True]
    assert sightings[0].outcome == "complete"
    assert len(looks) < 20


def recording_of(whole: Relayed) -> Relayed:
    """A record without bytes, of the same ends."""
    return Relayed(1, whole.began_ns, whole.limit, whole.target, whole.ends)


def test_the_relay_goes_on_while_a_connection_is_told() -> None:
    is_told = threading.Event()
    threads: list[str] = []

    def tell(sighting: Sighting) -> None:
        threads.append(threading.current_thread().name)
        # It ends when another connection was relayed meanwhile.
        assert is_told.wait(10)

    def echo_once(sock: socket.socket) -> None:
        sock.sendall(sock.recv(100))

    async def exchange(port: int) -> None:
        reader, writer = await asyncio.open_connection(LOCAL, port)
        writer.write(b"x")
        assert await reader.read() == b"x"
        writer.close()

    async def run(target: int) -> None:
        watch = Watch(None, tell)
        async with Relay(Address(LOCAL, target), ended=watch.ended, two_way=watch.two_way) as relay:
            for _ in range(3):
                await asyncio.wait_for(exchange(relay.port), 5)
            is_told.set()
            await relay.close(10)

    with plain_server(echo_once) as port:
        asyncio.run(run(port))
    assert len(threads) == 3
    assert len(set(threads)) == 1
