"""Ends that break the rules of Encrypted Client Hello (RFC 9849 sections 5 to 7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.end_to_end.ech import (
    CONFIGS,
    KEY,
    OTHER,
    PUBLIC,
    RETRY,
    SECRET,
    ech_client,
    ech_server,
    opened_hellos,
    outer_hellos,
)
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import (
    ClientConfig,
    EchConfigList,
    EchKey,
    EchRejectedError,
    Fault,
    PeerAlertError,
    ServerConfig,
    Session,
    SessionStore,
    TLSError,
)
from handclasp.handshake.offer import offer_after_retry
from handclasp.handshake.tls13 import retry as retry13
from handclasp.iana import ExtensionType as Ext
from handclasp.wire import ech
from handclasp.wire import extensions as ext
from handclasp.wire.ech import INNER, encode_inner_hello, make_ech_config
from handclasp.wire.messages import ClientHello, ServerHello, write_finished, write_message

OFFER = "handclasp.handshake.tls13.ech_offer"
ECH = Ext.ENCRYPTED_CLIENT_HELLO

EITHER_HELLO = [({}, 1), (RETRY, 2)]
"""The change of the server's config after which the misuse is in this hello, the last one."""

Edit = Callable[[dict[int, bytes]], None]


client = pytest.fixture(ech_client)
server = pytest.fixture(ech_server)


def refused(error: TLSError | None, fault: Fault, alert: str, other: TLSError | None) -> None:
    """One side found the fault, and the other one got its alert."""
    assert error is not None
    assert error.fault is fault, error
    assert error.alert == alert
    assert isinstance(other, PeerAlertError)
    assert other.alert == alert


def server_refuses(pair: Pair, fault: Fault, alert: str = "illegal_parameter") -> None:
    pair.run()
    refused(pair.server.error, fault, alert, pair.client.error)


def client_refuses(pair: Pair, fault: Fault, alert: str = "illegal_parameter") -> None:
    pair.run()
    refused(pair.client.error, fault, alert, pair.server.error)
    assert not isinstance(pair.client.error, EchRejectedError)


# Clients


class LongTickets(SessionStore):
    """Keeps each session as a server with the longest tickets would have given it."""

    def put(self, key: str, session: Session) -> None:
        super().put(key, replace(session, ticket=bytes(2**14)))


@pytest.mark.parametrize("ech", [CONFIGS, None])
def test_the_longest_ticket_and_cookie_fit_into_a_hello(
    client: ClientConfig,
    server: ServerConfig,
    monkeypatch: pytest.MonkeyPatch,
    ech: EchConfigList | None,
) -> None:
    """The server chooses both, and the hello has them twice."""
    confirmed: Any = vars(retry13)["with_confirmation"]

    def with_cookie(hs: Any, request: ServerHello, hash_name: str) -> ServerHello:
        extensions = {**request.extensions, Ext.COOKIE: ext.write_cookie(bytes(2**13))}
        made: ServerHello = confirmed(hs, replace(request, extensions=extensions), hash_name)
        return made

    client = replace(client, sessions=LongTickets(), ech=ech)
    assert Pair(client, server, SECRET).run().established
    monkeypatch.setattr(retry13, "with_confirmation", with_cookie)
    pair = Pair(client, replace(server, **RETRY), SECRET)
    server_refuses(pair, Fault.BAD_COOKIE)
    assert len(pair.client.sent) > 4 * 2**14 + 2**13


def with_inner(monkeypatch: pytest.MonkeyPatch, edit: Edit, *, number: int = 1) -> None:
    """Edit the extensions of the inner hello with this number before they are encrypted."""
    count = 0

    def encode(inner: ClientHello, shared: Any, *lengths: int) -> bytes:
        nonlocal count
        count += 1
        if count == number:
            extensions = dict(inner.extensions)
            edit(extensions)
            inner = replace(inner, extensions=extensions)
            shared = [kind for kind in shared if kind in extensions]
        return encode_inner_hello(inner, shared, *lengths)

    monkeypatch.setattr(f"{OFFER}.encode_inner_hello", encode)


def versions(*numbers: int) -> dict[int, bytes]:
    return {Ext.SUPPORTED_VERSIONS: ext.write_supported_versions(list(numbers))}


@pytest.mark.parametrize(
    "edit",
    [
        lambda inner: inner.pop(ECH),
        lambda inner: inner.update({ECH: b"\0\0\1\0\1\7\0\1e\0\1p"}),
        lambda inner: inner.update({ECH: b"\1\0"}),
        lambda inner: inner.update(versions(0x0304, 0x0303)),
        lambda inner: inner.update(versions(0x0301, 0x0304)),
        lambda inner: inner.pop(Ext.SUPPORTED_VERSIONS),
    ],
)
@pytest.mark.parametrize(("retry", "number"), EITHER_HELLO)
def test_inner_hellos_that_are_none(
    monkeypatch: pytest.MonkeyPatch,
    client: ClientConfig,
    server: ServerConfig,
    edit: Edit,
    retry: dict[str, Any],
    number: int,
) -> None:
    with_inner(monkeypatch, edit, number=number)
    server_refuses(Pair(client, replace(server, **retry), SECRET), Fault.BAD_INNER_HELLO)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda shared: [Ext.COOKIE],
        lambda shared: [ECH],
        lambda shared: [shared[0], shared[0]],
        lambda shared: [shared[1], shared[0]],
    ],
)
@pytest.mark.parametrize(("retry", "number"), EITHER_HELLO)
def test_references_to_what_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
    client: ClientConfig,
    server: ServerConfig,
    wrong: Callable[[list[int]], list[int]],
    retry: dict[str, Any],
    number: int,
) -> None:
    """A missing extension, the one that holds the hello, one twice, and two in another order."""
    count = 0

    def encode(inner: ClientHello, shared: Any, *lengths: int) -> bytes:
        nonlocal count
        count += 1
        if count != number:
            return encode_inner_hello(inner, shared, *lengths)
        kinds = wrong(list(shared))
        data = b"".join([kind.to_bytes(2, "big") for kind in kinds])
        own = {kind: each for kind, each in inner.extensions.items() if kind not in shared}
        extensions = {**own, Ext.ECH_OUTER_EXTENSIONS: bytes([len(data)]) + data}
        return encode_inner_hello(replace(inner, extensions=extensions), (), *lengths)

    monkeypatch.setattr(f"{OFFER}.encode_inner_hello", encode)
    server_refuses(Pair(client, replace(server, **retry), SECRET), Fault.BAD_INNER_HELLO)


@pytest.mark.parametrize("retry", [{}, RETRY])
def test_padding_of_other_bytes(
    monkeypatch: pytest.MonkeyPatch,
    client: ClientConfig,
    server: ServerConfig,
    retry: dict[str, Any],
) -> None:
    count = 0

    def encode(*given: Any) -> bytes:
        nonlocal count
        count += 1
        encoded = encode_inner_hello(*given)
        return encoded + b"\1" if count > len(retry) else encoded

    monkeypatch.setattr(f"{OFFER}.encode_inner_hello", encode)
    server_refuses(Pair(client, replace(server, **retry), SECRET), Fault.BAD_INNER_HELLO)


def test_an_inner_hello_that_brings_ech_outer_extensions_out_of_the_outer_one(
    monkeypatch: pytest.MonkeyPatch, client: ClientConfig, server: ServerConfig
) -> None:
    kind = Ext.ECH_OUTER_EXTENSIONS

    def expanded(inner: ClientHello, *_: Any) -> bytes:
        data = b"\2" + kind.to_bytes(2, "big")
        extensions = {ECH: INNER, **versions(0x0304), kind: data}
        return encode_inner_hello(replace(inner, extensions=extensions), (), 0, 0)

    draft = f"{OFFER}._outer_draft"
    made = __import__(OFFER, fromlist=["_outer_draft"])._outer_draft

    def with_reference(*given: Any) -> ClientHello:
        hello: ClientHello = made(*given)
        return replace(hello, extensions={kind: b"\2\0\0", **hello.extensions})

    monkeypatch.setattr(f"{OFFER}.encode_inner_hello", expanded)
    monkeypatch.setattr(draft, with_reference)
    server_refuses(Pair(client, server, SECRET), Fault.MISPLACED_EXTENSION)


@pytest.mark.parametrize("keys", [[KEY], [OTHER], []])
def test_ech_outer_extensions_in_an_outer_hello(
    monkeypatch: pytest.MonkeyPatch, client: ClientConfig, server: ServerConfig, keys: Any
) -> None:
    made = __import__(OFFER, fromlist=["_outer_draft"])._outer_draft

    def with_references(*given: Any) -> ClientHello:
        hello: ClientHello = made(*given)
        return replace(hello, extensions={Ext.ECH_OUTER_EXTENSIONS: b"\2\0\0", **hello.extensions})

    monkeypatch.setattr(f"{OFFER}._outer_draft", with_references)
    pair = Pair(client, replace(server, ech=keys), SECRET)
    server_refuses(pair, Fault.MISPLACED_EXTENSION)


def plain_hello(pair: Pair, data: bytes, *, without: Sequence[int] = ()) -> None:
    """Give the server the client's hello with this encrypted_client_hello, in the clear."""
    pair.client.take()
    [hello] = outer_hellos(pair)
    kept = {kind: each for kind, each in hello.extensions.items() if kind not in without}
    raw = write_message(replace(hello, extensions={**kept, ECH: data}, raw=b""))
    pair.server.receive(b"\x16\3\1" + len(raw).to_bytes(2, "big") + raw)


@pytest.mark.parametrize("keys", [[KEY], []])
@pytest.mark.parametrize("without", [[], [Ext.SUPPORTED_VERSIONS]])
def test_an_inner_hello_in_the_clear(
    client: ClientConfig, server: ServerConfig, keys: Any, without: list[int]
) -> None:
    """Whatever version it offers: no answer may confirm it, in a random of an older one either."""
    pair = Pair(replace(client, ech=None), replace(server, ech=keys), SECRET)
    plain_hello(pair, INNER, without=without)
    server_refuses(pair, Fault.INNER_HELLO_IN_PLAINTEXT)
    pair = Pair(replace(client, ech=None), replace(server, ech=keys), SECRET)
    plain_hello(pair, INNER + b"\0", without=without)
    server_refuses(pair, Fault.DECODE_ERROR, "decode_error")


def second_outer(
    monkeypatch: pytest.MonkeyPatch, edit: Callable[[ClientHello], ClientHello]
) -> None:
    """Edit the second outer hello after its encryption."""
    sealed = __import__(OFFER, fromlist=["_sealed"])._sealed
    count = 0

    def edited(*given: Any) -> ClientHello:
        nonlocal count
        count += 1
        hello: ClientHello = sealed(*given)
        if count < 2:
            return hello
        hello = replace(edit(hello), raw=b"")
        return replace(hello, raw=write_message(hello))

    monkeypatch.setattr(f"{OFFER}._sealed", edited)


def with_ech(**changes: Any) -> Callable[[ClientHello], ClientHello]:
    def edit(hello: ClientHello) -> ClientHello:
        found = ech.read_encrypted_client_hello(hello.extensions[ECH])
        assert found is not None
        changed = replace(found, **changes)
        data = ech.write_encrypted_client_hello(changed)
        return replace(hello, extensions={**hello.extensions, ECH: data})

    return edit


def with_extension(kind: int, data: bytes) -> Callable[[ClientHello], ClientHello]:
    return lambda hello: replace(hello, extensions={**hello.extensions, kind: data})


def without_ech(hello: ClientHello) -> ClientHello:
    kept = {kind: data for kind, data in hello.extensions.items() if kind != ECH}
    return replace(hello, extensions=kept)


@pytest.mark.parametrize(
    ("edit", "fault", "alert"),
    [
        (without_ech, Fault.MISSING_EXTENSION, "missing_extension"),
        (
            with_ech(cipher_suite=(1, 3)),
            Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST,
            "illegal_parameter",
        ),
        (
            with_ech(config_id=KEY.configs[0].config_id ^ 1),
            Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST,
            "illegal_parameter",
        ),
        (with_ech(enc=bytes(32)), Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST, "illegal_parameter"),
        (with_ech(payload=bytes(200)), Fault.ECH_NOT_DECRYPTED, "decrypt_error"),
        (with_extension(ECH, INNER), Fault.INNER_HELLO_IN_PLAINTEXT, "illegal_parameter"),
        (with_extension(ECH, b"\2\0\0"), Fault.ILLEGAL_VALUE, "illegal_parameter"),
        (with_extension(ECH, b"\1\0"), Fault.DECODE_ERROR, "decode_error"),
        (
            with_extension(Ext.ECH_OUTER_EXTENSIONS, b"\2\0\0"),
            Fault.MISPLACED_EXTENSION,
            "illegal_parameter",
        ),
        # The outer hello is authenticated, so nobody on the way can change it.
        (lambda hello: replace(hello, random=bytes(32)), Fault.ECH_NOT_DECRYPTED, "decrypt_error"),
    ],
)
def test_second_hellos_that_do_not_continue_the_first(
    monkeypatch: pytest.MonkeyPatch,
    client: ClientConfig,
    server: ServerConfig,
    edit: Callable[[ClientHello], ClientHello],
    fault: Fault,
    alert: str,
) -> None:
    second_outer(monkeypatch, edit)
    server_refuses(Pair(client, replace(server, **RETRY), SECRET), fault, alert)


def test_a_second_inner_hello_that_asks_for_another_server(
    monkeypatch: pytest.MonkeyPatch, client: ClientConfig, server: ServerConfig
) -> None:
    def edit(inner: dict[int, bytes]) -> None:
        inner[Ext.SERVER_NAME] = ext.write_server_name("another.test")

    with_inner(monkeypatch, edit, number=2)
    pair = Pair(client, replace(server, **RETRY), SECRET)
    server_refuses(pair, Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST)


@pytest.mark.parametrize("retry", [{}, RETRY])
def test_an_outer_hello_with_nothing_but_the_inner_one(
    monkeypatch: pytest.MonkeyPatch,
    client: ClientConfig,
    server: ServerConfig,
    retry: dict[str, Any],
) -> None:
    """Whatever a server goes by is in the inner hello."""
    sealed = __import__(OFFER, fromlist=["_sealed"])._sealed

    def bare(encryption: Any, inner: Any, draft: ClientHello, shared: Any, enc: bytes) -> Any:
        draft = replace(draft, cipher_suites=(0x0A0A,), extensions={ECH: b""})
        return sealed(encryption, inner, draft, (), enc)

    monkeypatch.setattr(f"{OFFER}._sealed", bare)
    client = replace(client, sessions=SessionStore(), alpn=["h2"])
    server = replace(server, alpn=["h2"], **retry)
    for is_resumed in (False, True):
        pair = Pair(client, server, SECRET).run()
        assert all(set(hello.extensions) == {ECH} for hello in outer_hellos(pair))
        assert len(outer_hellos(pair)) == 1 + bool(retry)
        for info in (pair.client.info, pair.server.info):
            assert info.ech_accepted
            assert info.server_name == SECRET
            assert info.alpn == "h2"
            assert info.resumed is is_resumed


@pytest.mark.parametrize("compressed", [1, 2])
def test_one_of_both_inner_hellos_is_compressed(
    monkeypatch: pytest.MonkeyPatch, client: ClientConfig, server: ServerConfig, compressed: int
) -> None:
    """Each hello is decoded by itself, with its own outer one."""
    count = 0

    def encode(inner: ClientHello, shared: Any, *lengths: int) -> bytes:
        nonlocal count
        count += 1
        return encode_inner_hello(inner, shared if count == compressed else (), *lengths)

    monkeypatch.setattr(f"{OFFER}.encode_inner_hello", encode)
    pair = Pair(client, replace(server, **RETRY), SECRET).run()
    assert pair.server.info.ech_accepted
    assert [bool(hello.shared) for hello in opened_hellos(pair)] == [
        compressed == number for number in (1, 2)
    ]


@pytest.mark.parametrize("place", [40, 45, -1])
def test_an_outer_hello_that_was_changed_on_the_way_is_as_a_foreign_one(
    client: ClientConfig, server: ServerConfig, place: int
) -> None:
    # RFC 9849 section 10.12.3: it must not be possible to learn what the inner hello says.
    pair = Pair(client, server, SECRET)
    sent = bytearray(pair.client.take())
    sent[place] ^= 1
    pair.server.receive(bytes(sent))
    context = pair.server.connection._context
    assert context is not None
    assert context.ech is not None
    assert context.ech.context is None
    assert context.server_name == PUBLIC


# Servers


def answer_with(monkeypatch: pytest.MonkeyPatch, extensions: dict[int, bytes]) -> None:
    """Have the server add these to EncryptedExtensions."""
    name = "handclasp.handshake.tls13.server._encrypted_extensions"
    made = __import__("handclasp.handshake.tls13.server", fromlist=["x"])._encrypted_extensions
    monkeypatch.setattr(name, lambda *given, **named: made(*given, **named) | extensions)


def test_retry_configs_after_the_inner_hello_was_taken(
    monkeypatch: pytest.MonkeyPatch, client: ClientConfig, server: ServerConfig
) -> None:
    answer_with(monkeypatch, {ECH: CONFIGS.to_bytes()})
    pair = Pair(client, server, SECRET)
    client_refuses(pair, Fault.UNSOLICITED_EXTENSION, "unsupported_extension")


@pytest.mark.parametrize("data", [b"", b"\0\0", b"\0\4\xfe\x0d\0\0", b"\0\4\xfe\x0a\0\0\0"])
@pytest.mark.parametrize("is_grease", [True, False])
def test_malformed_retry_configs(
    monkeypatch: pytest.MonkeyPatch,
    client: ClientConfig,
    server: ServerConfig,
    data: bytes,
    is_grease: bool,
) -> None:
    client = replace(client, ech=None) if is_grease else client
    answer_with(monkeypatch, {ECH: data})
    pair = Pair(client, replace(server, ech=[OTHER]), SECRET)
    client_refuses(pair, Fault.DECODE_ERROR, "decode_error")


def request_with(monkeypatch: pytest.MonkeyPatch, confirmation: bytes) -> None:
    """Have the server answer with this confirmation in its HelloRetryRequest."""

    def edited(hs: Any, request: ServerHello, hash_name: str) -> ServerHello:
        return replace(request, extensions={**request.extensions, ECH: confirmation})

    monkeypatch.setattr("handclasp.handshake.tls13.retry.with_confirmation", edited)


@pytest.mark.parametrize("size", [0, 7, 9])
@pytest.mark.parametrize("is_grease", [True, False])
def test_confirmations_of_another_size(
    monkeypatch: pytest.MonkeyPatch,
    client: ClientConfig,
    server: ServerConfig,
    size: int,
    is_grease: bool,
) -> None:
    request_with(monkeypatch, bytes(size))
    client = replace(client, ech=None) if is_grease else client
    pair = Pair(client, replace(server, **RETRY), SECRET)
    client_refuses(pair, Fault.DECODE_ERROR, "decode_error")


def test_a_server_that_confirms_in_its_retry_alone(
    monkeypatch: pytest.MonkeyPatch, client: ClientConfig, server: ServerConfig
) -> None:
    name = "handclasp.handshake.tls13.server.confirmed_server_hello"
    monkeypatch.setattr(name, lambda *given: given[-1])
    pair = Pair(client, replace(server, **RETRY), SECRET)
    client_refuses(pair, Fault.ECH_NOT_CONFIRMED)


def test_a_second_retry_of_a_server_that_took_the_inner_hello(
    monkeypatch: pytest.MonkeyPatch, client: ClientConfig, server: ServerConfig
) -> None:
    from handclasp.wire.messages import HELLO_RETRY_REQUEST_RANDOM

    def again(transcript: Any, hash_name: str, random: bytes, raw: bytes) -> bytes:
        return raw[:6] + HELLO_RETRY_REQUEST_RANDOM + raw[38:]

    monkeypatch.setattr("handclasp.handshake.tls13.server.confirmed_server_hello", again)
    pair = Pair(client, replace(server, **RETRY), SECRET)
    client_refuses(pair, Fault.SECOND_HELLO_RETRY_REQUEST, "unexpected_message")


def test_a_server_that_rejects_and_resumes(
    monkeypatch: pytest.MonkeyPatch, client: ClientConfig, server: ServerConfig
) -> None:
    client = replace(client, sessions=SessionStore())
    Pair(client, server, SECRET).run()
    made = __import__("handclasp.wire.messages", fromlist=["x"]).write_server_hello

    def resuming(random: bytes, session_id: bytes, suite: int, extensions: Any) -> bytes:
        extensions = {**extensions, Ext.PRE_SHARED_KEY: ext.write_selected_identity(0)}
        raw: bytes = made(random, session_id, suite, extensions)
        return raw

    monkeypatch.setattr("handclasp.handshake.tls13.server.write_server_hello", resuming)
    pair = Pair(client, replace(server, ech=[OTHER]), SECRET)
    client_refuses(pair, Fault.UNOFFERED_PSK)


def test_random_bytes_in_a_retry_confirm_nothing(
    monkeypatch: pytest.MonkeyPatch, client: ClientConfig, server: ServerConfig
) -> None:
    request_with(monkeypatch, b"8 random")
    pair = Pair(client, replace(server, ech=[OTHER], **RETRY), SECRET).run()
    assert isinstance(pair.client.error, EchRejectedError)
    assert pair.client.error.fault is Fault.ECH_REJECTED
    assert pair.client.error.retry_configs is not None


def test_an_older_version_after_early_data(
    pki: Pki, client: ClientConfig, server: ServerConfig
) -> None:
    client = replace(client, sessions=SessionStore(), allow_early_data=True)
    server = replace(server, max_early_data=100)
    Pair(client, server, SECRET).run()
    pair = Pair(client, replace(server, ech=(), versions=["TLSv1.2"], max_early_data=0), SECRET)
    pair.run()
    assert pair.client.error is not None
    assert pair.client.error.fault is Fault.OLDER_VERSION_AFTER_EARLY_DATA


def test_retry_configs_that_were_not_asked_for(
    monkeypatch: pytest.MonkeyPatch, client: ClientConfig, server: ServerConfig
) -> None:
    answer_with(monkeypatch, {ECH: CONFIGS.to_bytes()})
    plain = replace(client, ech=None, grease_ech=False)
    pair = Pair(plain, replace(server, ech=()), SECRET)
    client_refuses(pair, Fault.UNSOLICITED_EXTENSION, "unsupported_extension")


def test_a_confirmation_that_was_not_asked_for(
    monkeypatch: pytest.MonkeyPatch, client: ClientConfig, server: ServerConfig
) -> None:
    request_with(monkeypatch, b"8 random")
    plain = replace(client, ech=None, grease_ech=False)
    pair = Pair(plain, replace(server, **RETRY), SECRET)
    client_refuses(pair, Fault.UNSOLICITED_EXTENSION, "unsupported_extension")


@pytest.mark.parametrize("ech_configs", [CONFIGS, None])
def test_the_extension_in_a_server_hello(
    monkeypatch: pytest.MonkeyPatch,
    client: ClientConfig,
    server: ServerConfig,
    ech_configs: EchConfigList | None,
) -> None:
    made = __import__("handclasp.wire.messages", fromlist=["x"]).write_server_hello

    def with_it(random: bytes, session_id: bytes, suite: int, extensions: Any) -> bytes:
        raw: bytes = made(random, session_id, suite, {**extensions, ECH: b"8 random"})
        return raw

    monkeypatch.setattr("handclasp.handshake.tls13.server.write_server_hello", with_it)
    pair = Pair(replace(client, ech=ech_configs), replace(server, ech=[OTHER]), SECRET)
    client_refuses(pair, Fault.MISPLACED_EXTENSION)


def answer_of_tls12(
    monkeypatch: pytest.MonkeyPatch, edit: Callable[[ServerHello], ServerHello]
) -> None:
    """Have a server of TLS 1.2 send another ServerHello."""
    monkeypatch.setattr(
        "handclasp.handshake.tls12.server.ServerHello", lambda *given: edit(ServerHello(*given))
    )


@pytest.mark.parametrize("ech_configs", [CONFIGS, None])
@pytest.mark.parametrize(
    "data", [b"8 random", CONFIGS.to_bytes(), b""], ids=["confirmation", "configs", "empty"]
)
def test_the_extension_in_a_server_hello_of_tls12(
    monkeypatch: pytest.MonkeyPatch,
    client: ClientConfig,
    server: ServerConfig,
    ech_configs: EchConfigList | None,
    data: bytes,
) -> None:
    """An older version has nothing to answer with (RFC 9849 section 5)."""
    answer_of_tls12(
        monkeypatch, lambda hello: replace(hello, extensions={**hello.extensions, ECH: data})
    )
    older = replace(server, ech=(), versions=["TLSv1.2"])
    pair = Pair(replace(client, ech=ech_configs), older, SECRET)
    client_refuses(pair, Fault.MISPLACED_EXTENSION)


def test_a_server_of_tls12_that_rejects_and_resumes(
    monkeypatch: pytest.MonkeyPatch, client: ClientConfig, server: ServerConfig
) -> None:
    """It echoes the session id, as if the outer hello had offered a session by it."""
    client = replace(client, sessions=SessionStore())
    Pair(client, server, SECRET).run()

    def resuming(hello: ServerHello) -> ServerHello:
        [asked] = outer_hellos(pair)
        return replace(hello, legacy_session_id_echo=asked.legacy_session_id)

    answer_of_tls12(monkeypatch, resuming)
    pair = Pair(client, replace(server, ech=(), versions=["TLSv1.2"]), SECRET)
    client_refuses(pair, Fault.UNOFFERED_SESSION)


def test_an_answer_to_a_name_that_the_outer_hello_alone_has(
    monkeypatch: pytest.MonkeyPatch, pki: Pki, client: ClientConfig
) -> None:
    """What was asked for stands in the hello that the server took."""
    server = ServerConfig(credentials=pki.server("127.0.0.1", PUBLIC), ech=[KEY])
    answer_with(monkeypatch, {Ext.SERVER_NAME: b""})
    pair = Pair(client, server, "127.0.0.1")
    client_refuses(pair, Fault.UNSOLICITED_EXTENSION, "unsupported_extension")
    [outer] = outer_hellos(pair)
    assert ext.read_server_name(outer.extensions[Ext.SERVER_NAME]) == PUBLIC
    # In a rejected hello it is the answer to the public name.
    pair = Pair(client, replace(server, ech=[OTHER]), "127.0.0.1").run()
    assert isinstance(pair.client.error, EchRejectedError)


def test_grease_has_no_confirmation_to_check(
    monkeypatch: pytest.MonkeyPatch, client: ClientConfig, server: ServerConfig
) -> None:
    request_with(monkeypatch, b"8 random")
    pair = Pair(replace(client, ech=None), replace(server, **RETRY), SECRET).run()
    for info in (pair.client.info, pair.server.info):
        assert info.hello_retry
        assert not info.ech_accepted
        assert info.server_name == SECRET
    first, second = [hello.extensions[ECH] for hello in outer_hellos(pair)]
    assert first == second


def test_retry_configs_for_grease_are_read_and_not_used(
    client: ClientConfig, server: ServerConfig
) -> None:
    pair = Pair(replace(client, ech=None), server, SECRET).run()
    assert pair.client.error is None
    assert not pair.client.info.ech_accepted
    assert pair.client.info.server_name == SECRET


@pytest.mark.parametrize("enc", [b"", bytes(31), bytes(32), b"\1" + bytes(31), bytes(33)])
def test_a_key_share_that_is_none_is_as_an_unknown_key(
    monkeypatch: pytest.MonkeyPatch, client: ClientConfig, server: ServerConfig, enc: bytes
) -> None:
    sealed = __import__(OFFER, fromlist=["_sealed"])._sealed

    def edited(*given: Any) -> ClientHello:
        hello: ClientHello = with_ech(enc=enc)(sealed(*given))
        hello = replace(hello, raw=b"")
        return replace(hello, raw=write_message(hello))

    monkeypatch.setattr(f"{OFFER}._sealed", edited)
    pair = Pair(client, server, SECRET).run()
    assert isinstance(pair.client.error, EchRejectedError)
    assert pair.client.error.retry_configs == CONFIGS


@pytest.mark.parametrize("suite", [(1, 0xFFFF), (9, 1), (0, 0)])
def test_a_cipher_suite_that_is_not_in_the_configuration_is_as_an_unknown_key(
    monkeypatch: pytest.MonkeyPatch,
    client: ClientConfig,
    server: ServerConfig,
    suite: tuple[int, int],
) -> None:
    sealed = __import__(OFFER, fromlist=["_sealed"])._sealed

    def edited(*given: Any) -> ClientHello:
        hello: ClientHello = with_ech(cipher_suite=suite)(sealed(*given))
        hello = replace(hello, raw=b"")
        return replace(hello, raw=write_message(hello))

    monkeypatch.setattr(f"{OFFER}._sealed", edited)
    pair = Pair(client, server, SECRET).run()
    assert isinstance(pair.client.error, EchRejectedError)


@pytest.mark.parametrize("asked", [(1, 2), (1, 3), (2, 1)])
def test_a_supported_cipher_suite_that_is_not_in_the_configuration(
    client: ClientConfig, server: ServerConfig, asked: tuple[int, int]
) -> None:
    """RFC 9849 section 7.1: it is no candidate, though the key would open the inner hello."""
    [made] = KEY.configs
    listed = make_ech_config(7, made.kem, made.public_key, [(1, 1)], 64, PUBLIC)
    server = replace(server, ech=[EchKey(KEY.private_key, (listed,))])
    # The bytes of a configuration are part of the encryption: they stay as they are.
    client = replace(client, ech=EchConfigList([replace(listed, cipher_suites=(asked,))]))
    pair = Pair(client, server, SECRET).run()
    assert isinstance(pair.client.error, EchRejectedError)
    assert pair.client.error.retry_configs == EchConfigList([listed])
    client = replace(client, ech=EchConfigList([listed]))
    assert Pair(client, server, SECRET).run().client.info.ech_accepted


def test_early_data_inside_and_a_hello_retry(client: ClientConfig, server: ServerConfig) -> None:
    client = replace(client, sessions=SessionStore(), allow_early_data=True)
    server = replace(server, max_early_data=1000)
    Pair(client, server, SECRET).run()
    pair = Pair(client, replace(server, **RETRY), SECRET)
    pair.client.connection.send_early_data(b"at once")  # type: ignore[union-attr]
    pair.run()
    assert pair.client.error is None
    assert pair.client.info.ech_accepted
    assert pair.client.info.resumed
    assert pair.client.info.early_data_status == "rejected"
    assert pair.server.data == b""


@pytest.mark.parametrize("without", [[], [Ext.SUPPORTED_VERSIONS]])
def test_types_of_the_extension_that_nobody_knows(
    client: ClientConfig, server: ServerConfig, without: list[int]
) -> None:
    pair = Pair(replace(client, ech=None), server, SECRET)
    plain_hello(pair, b"\2\0\0", without=without)
    server_refuses(pair, Fault.ILLEGAL_VALUE)


def test_a_server_that_takes_early_data_for_another_protocol(
    monkeypatch: pytest.MonkeyPatch, client: ClientConfig, server: ServerConfig
) -> None:
    client = replace(client, sessions=SessionStore(), allow_early_data=True, alpn=["h2", "echo"])
    server = replace(server, max_early_data=1000, alpn=["h2"])
    assert Pair(client, server, SECRET).run().client.info.alpn == "h2"
    alpn = Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION
    answer_with(monkeypatch, {alpn: ext.write_alpn([b"echo"])})
    pair = Pair(client, server, SECRET)
    pair.client.connection.send_early_data(b"for h2")  # type: ignore[union-attr]
    client_refuses(pair, Fault.ILLEGAL_VALUE)


def test_a_server_that_rejects_and_does_not_finish(
    monkeypatch: pytest.MonkeyPatch, client: ClientConfig, server: ServerConfig
) -> None:
    """Its retry_configs came, and its certificate is right: they count only with a Finished."""
    name = "handclasp.handshake.tls13.server.write_finished"
    monkeypatch.setattr(name, lambda verify_data: write_finished(bytes(len(verify_data))))
    pair = Pair(client, replace(server, ech=[OTHER]), SECRET)
    client_refuses(pair, Fault.BAD_FINISHED, "decrypt_error")
    assert not hasattr(pair.client.error, "retry_configs")


@pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])
def test_tickets_of_a_server_that_rejects_are_not_kept(
    client: ClientConfig, server: ServerConfig, version: str
) -> None:
    kept: list[str] = []

    class Noted(SessionStore):
        def put(self, key: str, session: Session) -> None:
            kept.append(key)
            super().put(key, session)

    client = replace(client, sessions=Noted())
    keys = [OTHER] if version == "TLSv1.3" else []
    rejecting = replace(server, ech=keys, versions=[version])
    for _ in range(2):
        error = Pair(client, rejecting, SECRET).run().client.error
        assert isinstance(error, EchRejectedError)
    assert kept == []
    Pair(client, server, SECRET).run()
    assert kept


def test_nothing_is_learnt_of_a_rejection_or_of_grease(
    client: ClientConfig, server: ServerConfig
) -> None:
    """Each connection has the configurations of its config, and what a program does with others."""
    before = client.ech
    for _ in range(2):
        error = Pair(client, replace(server, ech=[OTHER]), SECRET).run().client.error
        assert isinstance(error, EchRejectedError)
        assert error.retry_configs == EchConfigList(OTHER.configs)
    assert client.ech is before
    grease = replace(client, ech=None)
    for _ in range(2):
        pair = Pair(grease, server, SECRET).run()
        assert not pair.client.info.ech_accepted
        assert pair.server.info.server_name == SECRET
        assert PUBLIC.encode() not in pair.client.sent


def test_no_key_is_tried_on_the_second_hello_of_a_client_that_was_rejected(
    monkeypatch: pytest.MonkeyPatch, client: ClientConfig, server: ServerConfig
) -> None:
    """The first hello decides: a second one with a known config_id is not opened (7.1.1)."""
    tried: list[object] = []
    monkeypatch.setattr("handclasp.handshake.ech_server._open", lambda *given: tried.append(given))
    unknown = EchKey.generate(PUBLIC, avoid=[KEY])

    def with_known_id(*given: Any) -> Any:
        second = offer_after_retry(*given)
        return replace(second, hello=with_ech(config_id=KEY.configs[0].config_id)(second.hello))

    monkeypatch.setattr("handclasp.handshake.tls13.client_retry.offer_after_retry", with_known_id)
    client = replace(client, ech=EchConfigList(unknown.configs))
    pair = Pair(client, replace(server, **RETRY), SECRET).run()
    assert isinstance(pair.client.error, EchRejectedError)
    assert pair.client.error.retry_configs == CONFIGS
    assert tried == []


def test_an_inner_hello_for_a_config_of_older_versions_alone(
    client: ClientConfig, server: ServerConfig
) -> None:
    """There is nothing to confirm in an older version (RFC 9849 section 7.2)."""
    older = replace(server, ech=(), versions=["TLSv1.2"])
    pair = Pair(client, replace(server, choose_config=lambda _: older), SECRET).run()
    error = pair.server.error
    assert error is not None
    assert error.alert == "protocol_version"
    assert pair.server.records[0][0] == 21
    assert isinstance(pair.client.error, PeerAlertError)
