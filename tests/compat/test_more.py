"""What a socket of handclasp has besides that of `ssl`: its story, keys, and 0-RTT."""

from __future__ import annotations

import asyncio
import os
import pickle
import select
import socket
import ssl
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.compat.pairs import Bios, Files, client_context, meet, server_context
from tests.pki import Pki

import handclasp
from handclasp import ConfigurationError, Fault, Recorder, SessionStore, StateError
from handclasp.compat import SSLContext, injected
from handclasp.compat.tracing import traces_in

KEY = bytes(range(32))
HAS_KEYS = hasattr(ssl.SSLContext, "set_psk_client_callback")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(Pki(), tmp_path)


def reading(sock: Any) -> bytes:
    data: bytes = sock.recv(100)
    return data


def greet(sock: Any) -> Any:
    sock.sendall(b"hello")
    return sock


# The settings


async def make_later() -> Recorder:
    return Recorder()


@pytest.mark.parametrize(
    ("role", "name", "value", "told"),
    [
        ("client", "make_trace", Recorder(), "make_trace must be a callable, not Recorder"),
        ("client", "make_trace", True, "make_trace must be a callable, not bool"),
        ("server", "make_trace", "x", "make_trace must be a callable, not str"),
        ("server", "make_trace", make_later, "make_trace must answer at once"),
        ("client", "resume", "x", r"resume must be an object such as SessionStore\.file\('x'\)"),
        ("client", "resume", True, "resume must be an object such as .* not bool"),
        ("client", "resume", SessionStore, "resume must be an object, not a class"),
        ("server", "resume", SessionStore(), "resume is for clients"),
        ("client", "max_early_data", 1, "max_early_data is for servers"),
        ("server", "max_early_data", 2**40, "up to 4294967295"),
        ("server", "max_early_data", -1, "0 for none"),
        ("server", "max_early_data", True, "whole number"),
    ],
)
def test_a_setting_that_cannot_be_honoured(role: str, name: str, value: Any, told: str) -> None:
    context = contexts("handclasp", role)
    before = getattr(context, name)
    with pytest.raises(ConfigurationError, match=told) as caught:
        setattr(context, name, value)
    assert isinstance(caught.value, ssl.SSLError)
    assert getattr(context, name) == before


@pytest.mark.parametrize("role", ["client", "server"])
def test_settings_without_effect_can_be_taken_back(role: str) -> None:
    context = contexts("handclasp", role)
    context.make_trace = context.resume = None
    context.max_early_data = 0


def test_a_context_of_both_roles_takes_the_settings_of_both() -> None:
    with pytest.warns(DeprecationWarning, match="PROTOCOL_TLS"):
        context: Any = SSLContext(ssl.PROTOCOL_TLS)
    context.resume, context.max_early_data = SessionStore(), 2**32 - 1
    assert context.max_early_data == 2**32 - 1


# The story


def test_a_socket_tells_its_handshake(files: Files) -> None:
    server = server_context("handclasp", files)
    client: Any = client_context("handclasp", files)
    client.make_trace = Recorder
    met = meet(server, client, talk=greet)
    assert met.server == b"hello"
    story = met.client.explain()  # It is closed by now.
    assert "ClientHello" in story
    assert "X25519MLKEM768" in story
    assert len(met.client.explain(detail=1)) > len(story)


def test_an_object_tells_its_handshake(files: Files) -> None:
    server: Any = server_context("handclasp", files)
    server.make_trace = Recorder
    pair = Bios(server, client_context("handclasp", files)).handshake()
    told: Any = pair.server
    assert "ClientHello" in told.explain()
    assert told.info.version == "TLSv1.3"
    other: Any = pair.client
    label = "EXPORTER-test"
    same = other.export_keying_material(label, None, 16)
    assert told.export_keying_material(label, None, 16) == same


def test_a_failure_tells_its_handshake(files: Files) -> None:
    """The socket is gone, where the handshake failed in `wrap_socket`: the exception has it."""
    client: Any = client_context("handclasp", files)
    client.make_trace = Recorder
    met = meet(server_context("handclasp", files), client, server_hostname="other.test")
    story = met.client.explain()
    assert "ClientHello" in story
    assert "other.test" in story
    client.make_trace = None
    met = meet(server_context("handclasp", files), client, server_hostname="other.test")
    assert "ClientHello" not in met.client.explain()
    assert met.client.explanation in met.client.explain()
    assert "set context.make_trace = handclasp.Recorder before" in met.client.explain()


def test_a_socket_whose_handshake_failed_tells_it(files: Files) -> None:
    client: Any = client_context("handclasp", files)
    client.make_trace = Recorder

    def talk(sock: Any) -> str:
        with pytest.raises(ssl.SSLCertVerificationError):
            sock.do_handshake()
        story: str = sock.explain()
        return story

    server = server_context("handclasp", files)
    arguments: Any = {"server_hostname": "other.test", "do_handshake_on_connect": False}
    met = meet(server, client, talk=talk, **arguments)
    assert "other.test" in met.client


def test_no_story_without_a_trace(files: Files) -> None:
    pair: Any = Bios(server_context("handclasp", files), client_context("handclasp", files))
    with pytest.raises(ConfigurationError, match="make_trace"):
        pair.handshake().client.explain()


@pytest.mark.parametrize("is_traced", [True, False])
def test_no_story_before_the_handshake(files: Files, is_traced: bool) -> None:
    client: Any = client_context("handclasp", files)
    client.make_trace = Recorder if is_traced else None
    pair: Any = Bios(server_context("handclasp", files), client)
    with pytest.raises(StateError, match=r"has not begun: .*call do_handshake\(\)") as caught:
        pair.client.explain()
    assert ("make_trace" in str(caught.value)) is not is_traced
    with client.wrap_socket(socket.socket(), server_hostname="localhost") as sock:
        wanted = "not connected" if is_traced else "make_trace"
        with pytest.raises(ConfigurationError, match=wanted):
            sock.explain()


def test_no_story_of_a_trace_that_has_no_text(files: Files, tmp_path: Path) -> None:
    client: Any = client_context("handclasp", files)
    client.make_trace = traces_in(tmp_path / "traces")
    pair: Any = Bios(server_context("handclasp", files), client).handshake()
    with pytest.raises(ConfigurationError, match="of type TraceFile, tells no story"):
        pair.client.explain()
    met = meet(server_context("handclasp", files), client, server_hostname="other.test")
    assert met.client.explanation in met.client.explain()


def test_the_story_besides_a_message_callback(files: Files) -> None:
    client: Any = client_context("handclasp", files)
    client.make_trace = Recorder
    client._msg_callback = lambda *_: None
    pair: Any = Bios(server_context("handclasp", files), client).handshake()
    assert "ClientHello" in pair.client.explain()


def test_an_exception_with_a_trace_can_be_pickled(files: Files) -> None:
    client: Any = client_context("handclasp", files)
    client.make_trace = lambda: Recorder(wall_clock=lambda: 0)
    met = meet(server_context("handclasp", files), client, server_hostname="other.test")
    copy = pickle.loads(pickle.dumps(met.client))
    assert copy.fault is met.client.fault
    assert copy.explanation in copy.explain()


def test_sockets_stay_those_of_ssl(files: Files) -> None:
    client: Any = client_context("handclasp", files)
    with client.wrap_socket(socket.socket(), server_hostname="localhost") as sock:
        assert isinstance(sock, ssl.SSLSocket)
        with pytest.raises(StateError, match="not connected"):
            _ = sock.info  # type: ignore[attr-defined]
    with injected():
        context = ssl.create_default_context()
        with context.wrap_socket(socket.socket(), server_hostname="a") as sock:
            assert hasattr(sock, "explain")
    assert ssl.SSLContext.sslsocket_class in (None, ssl.SSLSocket)


# A server without a certificate


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_without_a_certificate_says_so(files: Files, version: ssl.TLSVersion) -> None:
    server: Any = contexts("handclasp", "server")
    server.make_trace = Recorder
    failure = meet(server, client_context("handclasp", files, maximum_version=version)).server
    assert failure.reason == "NO_SHARED_CIPHER"
    assert failure.__notes__ == [
        "handclasp: This server has no certificate: none was loaded into its context.",
        "On this end: Load the certificate of this server (context.load_cert_chain(CHAIN, KEY)).",
        "At fault: the server.",
    ]
    assert "cipher suites" not in failure.explain().rpartition("not completed")[2]


# Pre-shared keys


def with_keys(kind: str, files: Files, *, certificate: bool = False) -> tuple[Any, Any]:
    server: Any = server_context(kind, files) if certificate else contexts(kind, "server")
    client: Any = contexts(kind, "client")
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    for each in (server, client):
        each.minimum_version = ssl.TLSVersion.TLSv1_3
    return server, client


def contexts(kind: str, role: str) -> Any:
    made = SSLContext if kind == "handclasp" else ssl.SSLContext
    return made(ssl.PROTOCOL_TLS_SERVER if role == "server" else ssl.PROTOCOL_TLS_CLIENT)


@pytest.mark.parametrize(
    ("of_server", "of_client"),
    [
        ("handclasp", "handclasp"),
        *[
            pytest.param(*kinds, marks=pytest.mark.skipif(not HAS_KEYS, reason="Python 3.13"))
            for kinds in (("ssl", "handclasp"), ("handclasp", "ssl"))
        ],
    ],
)
def test_both_ends_know_a_key(files: Files, of_server: str, of_client: str) -> None:
    server, client = with_keys(of_server, files)[0], with_keys(of_client, files)[1]
    hints: list[object] = []
    names: list[object] = []

    def of_hint(hint: str | None) -> tuple[str, bytes]:
        hints.append(hint)
        return "sensor 7 身份", KEY

    def of_name(name: str) -> bytes:
        names.append(name)
        return KEY

    client.set_psk_client_callback(of_hint)
    server.set_psk_server_callback(of_name, "a hint, which TLS 1.3 does not send")
    met = meet(server, client, reading, server_hostname=None)
    assert met.server == b"hello", met
    assert (hints, names) == ([None], ["sensor 7 身份"])


def test_the_key_is_told(files: Files) -> None:
    server, client = with_keys("handclasp", files)
    client.set_psk_client_callback(lambda hint: ("sensor 7", KEY))
    server.set_psk_server_callback(lambda name: KEY)
    pair: Any = Bios(server, client, server_hostname=None).handshake()
    assert pair.server.info.psk_identity == b"sensor 7"


@pytest.mark.parametrize("key", [b"", b"x" * 32], ids=["unknown", "another"])
def test_a_client_that_verifies_nobody_relies_on_the_key(files: Files, key: bytes) -> None:
    """With `ssl`, it would take the certificate of anybody who does not know the key."""
    server, client = with_keys("handclasp", files, certificate=True)
    client.set_psk_client_callback(lambda hint: ("sensor 7", KEY))
    server.set_psk_server_callback(lambda name: key)
    met = meet(server, client, reading, server_hostname=None)
    assert isinstance(met.client, ssl.SSLError)
    assert isinstance(met.server, ssl.SSLError)
    if not key:
        assert met.client.fault is Fault.PSK_NOT_TAKEN  # type: ignore[attr-defined]


def test_a_client_that_verifies_takes_a_certificate_as_well(files: Files) -> None:
    server = with_keys("handclasp", files, certificate=True)[0]
    client: Any = client_context("handclasp", files)
    client.set_psk_client_callback(lambda hint: ("sensor 7", KEY))
    assert meet(server, client, reading).server == b"hello"


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_short_key_is_refused(files: Files, side: str) -> None:
    server, client = with_keys("handclasp", files)
    short = b"\xde\xad\xbe\xef"
    client.set_psk_client_callback(lambda hint: ("a", short if side == "client" else KEY))
    server.set_psk_server_callback(lambda name: short if side == "server" else KEY)
    met = meet(server, client, server_hostname=None)
    failure = met.client if side == "client" else met.server
    assert isinstance(failure, ssl.SSLError)
    assert "16 random bytes" in getattr(failure, "explanation", str(failure))


def test_what_a_callback_raises_is_told(files: Files) -> None:
    server, client = with_keys("handclasp", files)

    def fail(name: object) -> Any:
        raise KeyError(name)

    client.set_psk_client_callback(lambda hint: ("a", KEY))
    server.set_psk_server_callback(fail)
    failure = meet(server, client, server_hostname=None).server
    assert isinstance(failure, ssl.SSLError)
    assert isinstance(failure.__cause__, KeyError)
    assert "callback of set_psk_server_callback failed with KeyError" in str(failure.__notes__)
    assert "find_psk" not in str(failure.__notes__)
    client.set_psk_client_callback(fail)
    with pytest.raises(KeyError):
        client.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO()).do_handshake()


@pytest.mark.parametrize("answer", [None, (1, KEY), ("a", "text"), ("a", None)])
def test_what_is_no_key_is_told(files: Files, answer: Any) -> None:
    _, client = with_keys("handclasp", files)
    client.set_psk_client_callback(lambda hint: answer)
    with pytest.raises(TypeError, match=r"an identity|must return a key of bytes"):
        client.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO()).do_handshake()


async def find_later(name: str) -> bytes:
    return KEY


@pytest.mark.parametrize(
    ("find", "told"),
    [
        (lambda name: None, 'gave None; it must give the bytes of the key, or b"" for an'),
        (lambda name: "the key itself", "gave str; it must give the bytes of the key"),
        (lambda name: 32, "gave int; it must give the bytes of the key"),
        (find_later, "gave an awaitable; it must give the answer itself"),
    ],
    ids=["None", "str", "int", "async"],
)
def test_what_a_server_cannot_use_as_a_key_is_told(files: Files, find: Any, told: str) -> None:
    server, client = with_keys("handclasp", files)
    client.set_psk_client_callback(lambda hint: ("a", KEY))
    server.set_psk_server_callback(find)
    failure = meet(server, client, server_hostname=None).server
    notes = " ".join(failure.__notes__)
    assert f"the callback of set_psk_server_callback {told}" in notes
    assert "On this end: Let the callback of set_psk_server_callback give" in notes
    assert "find_psk" not in notes
    assert "the key itself" not in notes


def test_keys_of_the_other_role(files: Files) -> None:
    server, client = with_keys("handclasp", files)
    with pytest.raises(ssl.SSLError, match="Cannot add PSK client callback"):
        server.set_psk_client_callback(lambda hint: ("a", KEY))
    with pytest.raises(ssl.SSLError, match="Cannot add PSK server callback"):
        client.set_psk_server_callback(lambda name: KEY)
    with pytest.raises(TypeError, match="callable"):
        client.set_psk_client_callback(KEY)


def test_keys_need_tls13(files: Files) -> None:
    client = contexts("handclasp", "client")
    with pytest.raises(ssl.SSLError):
        client.set_ciphers("PSK")
    client.maximum_version = client.minimum_version = ssl.TLSVersion.TLSv1_3
    client.set_ciphers("PSK")


def test_a_key_without_tls13_leaves_the_certificate(files: Files) -> None:
    """As with `ssl`, which does not even ask the callbacks then."""
    client, server = client_context("handclasp", files), server_context("handclasp", files)
    asked: list[object] = []
    settings: list[Any] = [client, server]
    settings[0].set_psk_client_callback(asked.append)
    settings[1].set_psk_server_callback(asked.append)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    assert meet(server, client, reading).server == b"hello"
    assert not asked


def test_a_server_of_keys_alone_says_that_it_needs_tls13(files: Files) -> None:
    server = contexts("handclasp", "server")
    server.set_psk_server_callback(lambda name: KEY)
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    failure = meet(server, client_context("handclasp", files)).server
    assert "On this end: Allow TLS 1.3, which pre-shared keys need, or load" in failure.fix


def test_another_context_does_not_bring_keys(files: Files) -> None:
    """As with `ssl`, a connection keeps the keys of the context that it was made with."""
    server, client = with_keys("handclasp", files, certificate=True)
    other, _ = with_keys("handclasp", files, certificate=True)
    other.set_psk_server_callback(lambda name: KEY)

    def switch(sock: Any, name: str, context: object) -> None:
        sock.context = other

    server.sni_callback = switch
    client.set_psk_client_callback(lambda hint: ("a", KEY))
    met = meet(server, client)
    assert met.client.fault is Fault.PSK_NOT_TAKEN


# 0-RTT


def early_contexts(files: Files, most: int = 1000) -> tuple[Any, Any]:
    server: Any = server_context("handclasp", files, max_early_data=most)
    client: Any = client_context("handclasp", files, resume=SessionStore())
    return server, client


def serve_early(sock: Any) -> tuple[bytes, bytes]:
    early: bytes = sock.early_data
    rest: bytes = sock.recv(100)
    sock.sendall(b"done")
    return early, rest


def send_early(sock: Any) -> bytes:
    sock.send_early_data(b"early")
    sock.do_handshake()
    rejected: bytes = sock.early_data_rejected
    sock.sendall(rejected + b"later")
    assert sock.recv(100) == b"done"
    return rejected


def meet_early(server: Any, client: Any, **arguments: Any) -> tuple[Any, Any]:
    met = meet(server, client, serve_early, send_early, do_handshake_on_connect=False, **arguments)
    return met.server, met.client


def test_early_data_of_a_resumed_session(files: Files) -> None:
    server, client = early_contexts(files)
    assert meet_early(server, client) == ((b"", b"earlylater"), b"early")
    assert meet_early(server, client) == ((b"early", b"later"), b"")


def test_early_data_over_bios(files: Files) -> None:
    server, client = early_contexts(files)
    meet_early(server, client)
    pair: Any = Bios(server, client)
    pair.client.send_early_data(b"early")
    pair.handshake()
    assert pair.server.early_data == b"early"
    assert pair.client.early_data_rejected == b""


def test_a_server_takes_no_early_data_by_default(files: Files) -> None:
    server, client = early_contexts(files, most=0)
    for _ in range(2):
        assert meet_early(server, client) == ((b"", b"earlylater"), b"early")


def test_a_client_sends_no_early_data_unasked(files: Files) -> None:
    server, client = early_contexts(files)
    meet_early(server, client)
    met = meet(server, client, lambda sock: (sock.session_reused, sock.early_data, sock.recv(9)))  # type: ignore[attr-defined]
    assert met.server == (True, b"", b"hello")


def test_no_early_data_to_a_server_that_is_not_accepted_any_more(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verification once the server has taken the session would be too late."""
    server, client = early_contexts(files)
    meet_early(server, client)
    assert len(client.resume) >= 1

    def refuse(self: Any, question: Any) -> None:
        raise handclasp.CertificateError(Fault.CERTIFICATE_EXPIRED)

    from handclasp.compat.authorities import Verifier

    accept = Verifier.__call__
    asked: list[bool] = []

    def once(self: Any, question: Any) -> Any:
        asked.append(True)
        return refuse(self, question) if len(asked) == 1 else accept(self, question)

    monkeypatch.setattr(Verifier, "__call__", once)
    pair: Any = Bios(server, client)
    pair.client.send_early_data(b"early")
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.do_handshake()
    assert asked
    pair.handshake()
    assert pair.client.early_data_rejected == b"early"


def test_no_early_data_to_a_server_of_another_name(files: Files) -> None:
    """`session=` may be given with any name."""
    server, client = early_contexts(files)

    def session_of(sock: Any) -> Any:
        sock.sendall(b"x")
        sock.recv(4)
        return sock.session

    got = meet(server, client, serve_early, session_of)
    pair: Any = Bios(server, client, server_hostname="other.test", session=got.client)
    pair.client.send_early_data(b"early")
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.do_handshake()
    with pytest.raises(ssl.SSLCertVerificationError):
        pair.handshake()
    assert pair.client.early_data_rejected == b"early"


def test_early_data_at_a_wrong_time(files: Files) -> None:
    server, client = early_contexts(files)
    pair: Any = Bios(server, client)
    for sock in (pair.server, pair.handshake().client):
        with pytest.raises(StateError, match="before the handshake"):
            sock.send_early_data(b"early")


@pytest.mark.parametrize("data", ["text", None, 3])
def test_what_is_no_early_data_does_not_use_up_the_call(files: Files, data: Any) -> None:
    server, client = early_contexts(files)
    meet_early(server, client)
    pair: Any = Bios(server, client)
    with pytest.raises(ConfigurationError, match="must be bytes"):
        pair.client.send_early_data(data)
    pair.client.send_early_data(b"early")
    assert pair.handshake().server.early_data == b"early"


def test_a_context_takes_the_fewer_early_data_of_two(files: Files) -> None:
    server, client = early_contexts(files)
    other: Any = server_context("handclasp", files)

    def switch(sock: Any, name: str, context: object) -> None:
        sock.context = other

    server.sni_callback = switch
    for _ in range(2):
        assert meet_early(server, client) == ((b"", b"earlylater"), b"early")


# Tickets that nobody reads


def over_tcp(files: Files) -> tuple[Any, Any]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs = listener.accept()[0]
    server, client = server_context("handclasp", files), client_context("handclasp", files)
    there = server.wrap_socket(theirs, server_side=True, do_handshake_on_connect=False)
    here = client.wrap_socket(ours, server_hostname="localhost", do_handshake_on_connect=False)
    thread = threading.Thread(target=there.do_handshake)
    thread.start()
    here.do_handshake()
    thread.join()
    return there, here


def test_unread_tickets_do_not_reset_the_connection(files: Files) -> None:
    there, here = over_tcp(files)
    assert select.select([here], [], [], 5)[0]  # The tickets are here.
    here.sendall(b"hello")
    here.close()
    there.setblocking(True)
    assert there.recv(9) == b"hello"
    assert there.recv(9) == b""  # And not ConnectionResetError.
    there.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="forks with threads are warned of")
def test_what_belongs_to_another_process_is_left_alone(files: Files) -> None:
    there, here = over_tcp(files)
    assert select.select([here], [], [], 5)[0]
    copy = socket.socket(fileno=os.dup(here.fileno()))
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    here.close()
    assert select.select([copy], [], [], 0)[0]  # Still unread.
    copy.close()
    there.close()


def test_what_became_of_early_data_is_not_known_before_the_handshake(files: Files) -> None:
    """A program that sends again what was rejected would send nothing, and lose it."""
    server, client = early_contexts(files)
    ours, theirs = socket.socketpair()
    with (
        client.wrap_socket(ours, server_hostname="localhost", do_handshake_on_connect=False) as one,
        server.wrap_socket(theirs, server_side=True, do_handshake_on_connect=False) as other,
    ):
        one.send_early_data(b"early")
        with pytest.raises(StateError, match="do_handshake"):
            _ = one.early_data_rejected
        with pytest.raises(StateError, match="do_handshake"):
            _ = other.early_data


def test_early_data_under_asyncio(files: Files) -> None:
    """A server gets them; a client's handshake begins before it could send any."""
    server, client = early_contexts(files)
    got: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(writer.get_extra_info("ssl_object").early_data)
        await reader.read(100)
        writer.write(b"done")
        writer.close()

    def send(port: int) -> bytes:
        sock = socket.create_connection(("127.0.0.1", port), 20)
        arguments: Any = {"server_hostname": "localhost", "do_handshake_on_connect": False}
        with client.wrap_socket(sock, **arguments) as tls:
            return send_early(tls)

    async def main() -> None:
        listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server)
        async with listening:
            port = listening.sockets[0].getsockname()[1]
            for rejected in (b"early", b""):
                assert await asyncio.to_thread(send, port) == rejected
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=client, server_hostname="localhost"
            )
            with pytest.raises(StateError, match=r"by handclasp\.aio\.open_connection\(early_data"):
                writer.get_extra_info("ssl_object").send_early_data(b"early")
            writer.write(b"x")
            assert await reader.read() == b"done"
            writer.close()
            await writer.wait_closed()

    asyncio.run(main())
    assert got == [b"", b"early", b""]


def test_rejected_early_data_are_part_of_the_story(files: Files) -> None:
    server, client = early_contexts(files)
    server.make_trace = client.make_trace = Recorder
    meet_early(server, client)
    server.max_early_data = 0
    pair: Any = Bios(server, client)
    pair.client.send_early_data(b"early")
    pair.handshake()
    for side in (pair.client, pair.server):
        told = " ".join(side.explain().split())
        assert f"rejected the early data: {side.info.early_data_refusal}. The client" in told
