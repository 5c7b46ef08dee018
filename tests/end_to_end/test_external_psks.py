"""External pre-shared keys between our own ends."""

from __future__ import annotations

from typing import Any

import pytest
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import (
    DEFER,
    ClientConfig,
    ConfigurationError,
    Fault,
    FindPsk,
    PreSharedKey,
    ProtocolError,
    ServerConfig,
    SessionStore,
)

SECRET = bytes(range(32))
KEY = PreSharedKey(b"a client", SECRET)
OTHER = PreSharedKey(b"another", bytes(range(1, 33)))


def pair_of(
    client: list[PreSharedKey] | tuple[PreSharedKey, ...],
    server: list[PreSharedKey] | tuple[PreSharedKey, ...] = (),
    name: str | None = None,
    more: dict[str, Any] | None = None,
    **settings: Any,
) -> Pair:
    server_config = ServerConfig(psks=server, **settings)
    return Pair(ClientConfig(psks=client, **(more or {})), server_config, name).run()


def fault_of(end: Any) -> Fault:
    assert isinstance(end.error, ProtocolError), end.error
    return end.error.fault


def agreed(pair: Pair, key: PreSharedKey) -> None:
    assert pair.established, (pair.client.error, pair.server.error)
    for end in (pair.client, pair.server):
        assert end.info.psk_identity == key.identity
        assert not end.info.resumed
        assert end.info.peer_chain_der == ()
        assert end.info.group == "X25519MLKEM768"
    pair.say(pair.client, b"hello")
    assert pair.server.data == b"hello"


def test_no_certificate_at_all() -> None:
    agreed(pair_of([KEY], [KEY]), KEY)


def test_the_first_that_both_have() -> None:
    agreed(pair_of([OTHER, KEY], [KEY]), KEY)


@pytest.mark.parametrize("hash_name", ["sha256", "sha384"])
def test_suites_of_its_hash(hash_name: str) -> None:
    key = PreSharedKey(b"a client", b"k" * 32, hash_name)
    pair = pair_of([key], [key])
    agreed(pair, key)
    assert pair.client.info.cipher_suite.endswith(hash_name.upper())


def test_the_wrong_key() -> None:
    wrong = PreSharedKey(KEY.identity, b"k" * 32)
    pair = pair_of([wrong], [KEY])
    assert fault_of(pair.server) is Fault.BAD_BINDER
    assert pair.client.error is not None
    assert pair.client.error.alert == "decrypt_error"


def test_an_unknown_key(pki: Pki) -> None:
    assert fault_of(pair_of([OTHER], [KEY]).server) is Fault.UNKNOWN_PSK_IDENTITY
    # With a certificate there is another way in, if the client knows whom to expect.
    credentials = pki.server("localhost")
    pair = pair_of([OTHER], [KEY], credentials=credentials)
    assert fault_of(pair.client) is Fault.PSK_NOT_TAKEN
    pair = pair_of([OTHER], [KEY], "localhost", {"trust": pki.trust}, credentials=credentials)
    assert pair.established
    assert pair.client.info.psk_identity is None
    assert pair.client.info.peer_verified


def test_a_server_of_older_days(pki: Pki) -> None:
    """TLS 1.2 has no such keys: with a name there is the certificate, without one there is not."""
    server = ServerConfig(credentials=pki.server("localhost"), versions=["TLSv1.2"])
    client = ClientConfig(psks=[KEY], trust=pki.trust)
    assert fault_of(Pair(client, server, None).run().client) is Fault.PSK_NOT_TAKEN
    assert Pair(client, server, "localhost").run().established


def test_a_client_without_keys_at_a_server_without_certificates(pki: Pki) -> None:
    config = ClientConfig(trust=pki.trust)
    pair = Pair(config, ServerConfig(psks=[KEY])).run()
    assert fault_of(pair.server) is Fault.UNKNOWN_PSK_IDENTITY


def test_found_by_a_callback() -> None:
    asked: list[bytes] = []

    def find(question: FindPsk) -> PreSharedKey | None:
        asked.append(question.identity)
        return KEY if question.identity == KEY.identity else None

    agreed(pair_of([OTHER, KEY], find_psk=find), KEY)
    assert asked == [OTHER.identity, KEY.identity]


def test_found_later() -> None:
    pair = pair_of([KEY], find_psk=lambda _: DEFER)
    assert isinstance(pair.server.question, FindPsk)
    pair.server.answer(KEY)
    pair.run()
    agreed(pair, KEY)


@pytest.mark.parametrize("answer", ["key", 7])
def test_found_something_else(answer: object) -> None:
    pair = pair_of([KEY], find_psk=lambda _: answer)
    assert fault_of(pair.server) is Fault.CALLBACK_FAILED


@pytest.mark.parametrize("later", [False, True])
def test_found_the_key_of_another_identity(later: bool) -> None:
    """The connection would have the name of one client, and the proof of another."""
    same = PreSharedKey(b"another name", KEY.key)
    pair = pair_of([KEY], find_psk=lambda _: DEFER if later else same)
    if later:
        pair.server.answer(same)
        pair.run()
    assert fault_of(pair.server) is Fault.CALLBACK_FAILED
    assert "find_psk gave the key of another identity" in str(pair.server.error)


def test_a_callback_that_fails() -> None:
    def find(_: FindPsk) -> None:
        raise OSError("no database")

    assert fault_of(pair_of([KEY], find_psk=find).server) is Fault.CALLBACK_FAILED


def test_imported() -> None:
    keys = PreSharedKey.imported(b"a client", bytes(range(32)), client=b"A", server=b"B")
    agreed(pair_of(keys, keys), keys[0])


def test_names_tell_directions_apart() -> None:
    """A, who is a client of B, is not taken for B as a client of A (RFC 9257 section 4.1)."""
    secret = bytes(range(32))
    to_b = PreSharedKey.imported(b"a pair", secret, client=b"A", server=b"B")
    to_a = PreSharedKey.imported(b"a pair", secret, client=b"B", server=b"A")
    assert fault_of(pair_of(to_b, to_a).server) is Fault.UNKNOWN_PSK_IDENTITY


def test_an_imported_key_is_not_a_plain_one() -> None:
    imported = PreSharedKey.imported(b"a client", bytes(range(32)))[0]
    plain = PreSharedKey(imported.identity, bytes(imported.key), imported.hash_name)
    assert fault_of(pair_of([plain], [imported]).server) is Fault.BAD_BINDER


def test_no_tickets() -> None:
    """They would make nothing shorter, and NSS ends a connection that has both."""
    store = SessionStore()
    agreed(pair_of([KEY], [KEY], more={"sessions": store}), KEY)
    assert len(store) == 0


def test_after_a_hello_retry() -> None:
    pair = pair_of([KEY], [KEY], groups=["secp384r1"])
    assert pair.established
    assert pair.client.info.hello_retry
    assert pair.client.info.psk_identity == KEY.identity


def test_nothing_shows() -> None:
    pair = pair_of([KEY], [KEY])
    for text in (repr(KEY), repr(pair.client.info), repr(ClientConfig(psks=[KEY]))):
        assert KEY.key.hex() not in text
        assert repr(bytes(KEY.key)) not in text


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (PreSharedKey(b"a", SECRET), "a list, also of one key: psks=[key]"),
        ([("a", SECRET)], 'not a tuple: psks=[PreSharedKey(b"sensor 7", key)]'),
        (("a", SECRET), "not 'a': psks=[PreSharedKey("),
        ({"a": SECRET}, "not a dict: psks=[PreSharedKey("),
        (None, "not None: psks=[PreSharedKey("),
        ([PreSharedKey.imported(b"a", SECRET)], "psks=PreSharedKey.imported(...), without"),
        (SECRET, "not a bytes: psks="),
    ],
)
def test_keys_in_a_wrong_form(given: Any, told: str) -> None:
    for config in (ClientConfig, ServerConfig):
        with pytest.raises(ConfigurationError) as caught:
            config(psks=given)
        assert told in str(caught.value)
        assert "psks must be a list" in str(caught.value)
