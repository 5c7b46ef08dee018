"""`post_handshake_auth` and `verify_client_post_handshake`, and other things that `ssl` alone has.

Each test is run with OpenSSL on either side, and so says what `ssl` itself does.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.compat.pairs import CONTEXTS, Bios, Files, Met, client_context, meet, server_context
from tests.pki import Leaf

from handclasp import Recorder, TLSError
from handclasp.trace.events import MessageSeen

PAIRS = [(server, client) for server in CONTEXTS for client in CONTEXTS]

pairs = pytest.mark.parametrize(("server", "client"), PAIRS)


def asking(kind: str, files: Files, **settings: Any) -> ssl.SSLContext:
    context = server_context(kind, files, verify_mode=ssl.CERT_REQUIRED, post_handshake_auth=True)
    context.load_verify_locations(files.ca)
    for name, value in settings.items():
        setattr(context, name, value)
    return context


def offering(kind: str, files: Files, *, shows: bool = True) -> ssl.SSLContext:
    context = client_context(kind, files, post_handshake_auth=True)
    if shows:
        leaf = Leaf((), common_name="alice", purpose=ExtendedKeyUsageOID.CLIENT_AUTH)
        context.load_cert_chain(files.leaf("client", leaf))
    return context


def ask(sock: ssl.SSLSocket) -> list[Any]:
    """The server's certificates of before and after it has asked."""
    before = sock.getpeercert()
    sock.verify_client_post_handshake()
    sock.sendall(b"who?")
    assert sock.recv(100) == b"me"
    return [before, sock.getpeercert()]


def tell(sock: ssl.SSLSocket) -> bytes:
    data = sock.recv(100)
    sock.sendall(b"me")
    return data + sock.recv(100)


@pairs
def test_the_client_is_known_after_it_was_asked(files: Files, server: str, client: str) -> None:
    met = meet(asking(server, files), offering(client, files), ask, tell)
    before, after = met.server
    assert before is None
    assert (("commonName", "alice"),) in after["subject"]
    assert met.client == b"who?"


@pairs
def test_the_client_declines(files: Files, server: str, client: str) -> None:
    optional = asking(server, files, verify_mode=ssl.CERT_OPTIONAL)
    met = meet(optional, offering(client, files, shows=False), ask, tell)
    assert met.server == [None, None]
    met = meet(asking(server, files), offering(client, files, shows=False), ask, tell)
    assert isinstance(met.server, ssl.SSLError)
    assert met.server.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE"
    assert isinstance(met.server, TLSError) is (server == "handclasp")
    assert isinstance(met.client, OSError)


def reason_of(met: Met) -> tuple[str | None, str]:
    assert isinstance(met.server, ssl.SSLError), met.server
    return met.server.reason, str(met.server).partition(" (_ssl.c")[0]


def just_ask(sock: ssl.SSLSocket) -> None:
    sock.verify_client_post_handshake()


def ask_twice(sock: ssl.SSLSocket) -> None:
    sock.verify_client_post_handshake()
    sock.verify_client_post_handshake()


def test_what_cannot_be_asked_raises_as_in_ssl(files: Files) -> None:
    """The reasons and the words, for each way in which it cannot be done."""

    def wait(sock: ssl.SSLSocket) -> bytes:
        return sock.recv(100)

    cases: list[tuple[Any, dict[str, Any], dict[str, Any], Any]] = [
        (asking, {}, {"post_handshake_auth": False}, just_ask),
        (asking, {"verify_mode": ssl.CERT_NONE}, {}, just_ask),
        (asking, {"maximum_version": ssl.TLSVersion.TLSv1_2}, {}, just_ask),
        (asking, {}, {}, ask_twice),
    ]
    for make, of_server, of_client, act in cases:
        told: dict[str, tuple[str | None, str]] = {}
        for kind in CONTEXTS:
            client = offering("ssl", files)
            for name, value in of_client.items():
                setattr(client, name, value)
            told[kind] = reason_of(meet(make(kind, files, **of_server), client, act, wait))
        assert told["ssl"] == told["handclasp"]


@pytest.mark.parametrize("kind", CONTEXTS)
def test_neither_a_client_nor_a_server_without_a_handshake_can_ask(files: Files, kind: str) -> None:
    both = Bios(asking(kind, files), offering(kind, files))
    for each in (both.client, both.server):
        with pytest.raises(ssl.SSLError, match="wrong ssl version"):
            each.verify_client_post_handshake()
    both.handshake()
    with pytest.raises(ssl.SSLError, match="not server"):
        both.client.verify_client_post_handshake()


# What a context completes


@pairs
def test_a_leaf_alone_is_sent_with_the_issuers_that_the_context_knows(
    files: Files, server: str, client: str
) -> None:
    """As OpenSSL does for contexts that were given them as authorities."""
    ours = server_context(server, files)
    ours.load_verify_locations(files.ca)
    theirs = client_context(client, files)
    met = meet(ours, theirs, lambda sock: sock.recv(100), _chain_of)
    assert met.client == 2


def _chain_of(sock: ssl.SSLSocket) -> int:
    chain = sock._sslobj.get_unverified_chain()  # type: ignore[attr-defined]
    sock.sendall(b"hello")
    return len(chain)


# tls-unique


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("resumed", [False, True])
@pairs
def test_tls_unique_is_that_of_ssl(
    files: Files, server: str, client: str, version: ssl.TLSVersion, resumed: bool
) -> None:
    ours = server_context(server, files)
    theirs = client_context(client, files, maximum_version=version)
    session: Any = None

    def talk(sock: ssl.SSLSocket) -> tuple[bytes | None, Any, bool | None]:
        sock.sendall(b"hello")
        sock.recv(100)
        return sock.get_channel_binding("tls-unique"), sock.session, sock.session_reused

    def serve(sock: ssl.SSLSocket) -> bytes | None:
        sock.recv(100)
        sock.sendall(b"hello")
        return sock.get_channel_binding("tls-unique")

    if resumed:
        session = meet(ours, theirs, serve, talk).client[1]
    met = meet(ours, theirs, serve, talk, session=session)
    binding, _, reused = met.client
    assert reused is resumed
    assert binding
    assert met.server == binding


# _msg_callback


def seen_by(files: Files, kind: str, version: ssl.TLSVersion) -> list[tuple[Any, ...]]:
    seen: list[tuple[Any, ...]] = []
    client = client_context(kind, files, maximum_version=version)

    def note(conn: Any, direction: str, version: Any, content: Any, kind: Any, data: bytes) -> None:
        assert isinstance(conn, ssl.SSLSocket)
        assert isinstance(data, bytes)
        if content.name in ("HANDSHAKE", "CHANGE_CIPHER_SPEC", "ALERT"):
            seen.append((direction, content, kind))

    client._msg_callback = note  # type: ignore[attr-defined]
    assert client._msg_callback is note  # type: ignore[attr-defined]
    meet(server_context("ssl", files, num_tickets=0), client)
    return seen


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_message_callback_sees_what_that_of_ssl_sees(
    files: Files, version: ssl.TLSVersion
) -> None:
    theirs, ours = (seen_by(files, kind, version) for kind in ("ssl", "handclasp"))
    # The version of a message and the headers of records are not compared, and neither is when a
    # client of TLS 1.3 sends the change_cipher_spec that says nothing.
    silent = {"CHANGE_CIPHER_SPEC"} if version == ssl.TLSVersion.TLSv1_3 else set[str]()
    assert [each for each in theirs if each[1].name not in silent] == [
        each for each in ours if each[1].name not in silent
    ]


def test_an_exception_of_the_callback_is_raised_when_the_operation_is_over(files: Files) -> None:
    client = client_context("handclasp", files)

    def fail(*_: object) -> None:
        raise LookupError("of the callback")

    client._msg_callback = fail  # type: ignore[attr-defined]
    both = Bios(server_context("handclasp", files), client)
    raised = 0
    for _ in range(10):
        try:
            both.client.do_handshake()
            break
        except ssl.SSLWantReadError:
            with_server(both)
        except LookupError:
            raised += 1
    assert raised == 1
    assert both.client.version() == "TLSv1.3"


def with_server(both: Bios) -> None:
    with suppress(ssl.SSLWantReadError):
        both.server.do_handshake()


def test_the_callback_and_a_trace_see_the_same(files: Files) -> None:
    traces: list[Recorder] = []
    client = client_context("handclasp", files)

    def make() -> Recorder:
        traces.append(Recorder())
        return traces[-1]

    client.make_trace = make  # type: ignore[attr-defined]
    kinds: list[int] = []

    def note(_: Any, direction: str, version: Any, content: Any, kind: Any, data: bytes) -> None:
        if content.name == "HANDSHAKE":
            kinds.append(int(kind))

    client._msg_callback = note  # type: ignore[attr-defined]
    meet(server_context("handclasp", files), client)
    [trace] = traces
    assert kinds
    assert kinds == [e.message_type for e in trace.events if isinstance(e, MessageSeen)]
