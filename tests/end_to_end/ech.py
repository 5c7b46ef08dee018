"""A client and a server with Encrypted Client Hello that fit together, and the hellos of a pair.

A test module has its fixtures of these configs:

    client = pytest.fixture(ech_client)
    server = pytest.fixture(ech_server)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import ClientConfig, EchConfigList, EchKey, ServerConfig
from handclasp.crypto.hpke import EXPANSION, KEMS, SymmetricSuite, setup_recipient
from handclasp.ech import private_share
from handclasp.iana import ExtensionType as Ext
from handclasp.wire.ech import (
    decode_inner_hello,
    hpke_info,
    outer_aad,
    read_encrypted_client_hello,
)
from handclasp.wire.messages import ClientHello, read_message

SECRET, PUBLIC = "secret.test", "public.test"
KEY = EchKey.generate(PUBLIC)
OTHER = EchKey.generate(PUBLIC, avoid=[KEY])
CONFIGS = EchConfigList(KEY.configs)
RETRY: dict[str, Any] = {"groups": ["secp384r1"]}
"""A change of the server's config after which it answers with a HelloRetryRequest."""


def ech_client(pki: Pki) -> ClientConfig:
    return ClientConfig(trust=pki.trust, ech=CONFIGS)


def ech_server(pki: Pki) -> ServerConfig:
    return ServerConfig(credentials=pki.server(SECRET, PUBLIC), ech=[KEY])


@dataclass
class Hello:
    """An outer hello, and the inner one that it holds."""

    outer: ClientHello
    inner: ClientHello
    encoded: bytes
    shared: tuple[int, ...]


def outer_hellos(pair: Pair) -> list[ClientHello]:
    """The ClientHellos as they went over the wire: one, or two after a retry."""
    found: list[ClientHello] = []
    for kind, body in pair.client.records:
        if kind == 22 and body[0] == 1:
            hello = read_message(body)
            assert isinstance(hello, ClientHello)
            found.append(hello)
    return found


def opened_hellos(pair: Pair, count: int | None = None) -> list[Hello]:
    """The same, or the first `count` of them, opened with `KEY`."""
    found: list[Hello] = []
    context = None
    for outer in outer_hellos(pair)[:count]:
        hidden = read_encrypted_client_hello(outer.extensions[Ext.ENCRYPTED_CLIENT_HELLO])
        assert hidden is not None
        if context is None:
            [config] = KEY.configs
            suite = SymmetricSuite(*hidden.cipher_suite)
            kem, info = KEMS[config.kem], hpke_info(config)
            context = setup_recipient(kem, suite, hidden.enc, private_share(KEY), info)
        encoded = context.open(outer_aad(outer, hidden), hidden.payload)
        assert len(hidden.payload) == len(encoded) + EXPANSION
        inner, shared = decode_inner_hello(encoded, outer)
        found.append(Hello(outer, inner, encoded, shared))
    return found
