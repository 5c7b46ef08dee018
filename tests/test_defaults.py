"""Every default obeys the rules that what is given must obey: it is given, and taken."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, fields
from itertools import permutations
from typing import Any

import pytest
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import (
    CertificatePolicy,
    ClientConfig,
    ClientConnection,
    Limits,
    ServerConfig,
    SessionStore,
    TicketKeys,
)
from handclasp.crypto.groups import DEFAULT_KEY_SHARES, GROUPS
from handclasp.iana import GREASE_VALUES
from handclasp.iana import ExtensionType as Ext
from handclasp.sessions.replay import ReplayFilter
from handclasp.story.recorder import Recorder
from handclasp.trace.events import MessageSeen
from handclasp.wire import extensions as ext
from handclasp.wire.codecs import read_as
from handclasp.wire.messages import ClientHello


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


SETTINGS: list[dict[str, Any]] = [
    {},
    {"versions": ["TLSv1.3"]},
    {"versions": ["TLSv1.2"]},
    {"groups": ["X25519", "X25519MLKEM768"]},
    {"groups": ["secp256r1", "X25519", "X25519MLKEM768"]},
    {"groups": ["secp521r1", "secp256r1"]},
    {"cipher_suites": ["TLS_AES_128_GCM_SHA256"]},
    {"cipher_suites": ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]},
    {"signature_schemes": ["ed25519"]},
    {"allow_rsa_key_transport": True},
    {"record_padding": 64},
    {"certificate_compression": ()},
    {"record_size_limit": 64},
]


def explicit(config: Any) -> dict[str, Any]:
    """All that a config came to, as if somebody had said it."""
    given: dict[str, Any] = {}
    for each in fields(config):
        value = getattr(config, each.name)
        if not each.init or (value is None and each.default is None):
            continue
        # A plain list, so that nothing tells it from one that was named.
        given[each.name] = list(value) if isinstance(value, tuple) else value
    return given


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_clients(settings: dict[str, Any]) -> None:
    config = ClientConfig(**settings)
    assert ClientConfig(**explicit(config)) == config
    full = ClientConfig(
        sessions=SessionStore(), allow_early_data="TLSv1.3" in config.versions, **settings
    )
    assert explicit(ClientConfig(**explicit(full))) == explicit(full)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_servers(pki: Pki, settings: dict[str, Any]) -> None:
    config = ServerConfig(credentials=pki.server("localhost"), **settings)
    assert explicit(ServerConfig(**explicit(config))) == explicit(config)
    early = ServerConfig(
        credentials=pki.server("localhost"),
        max_early_data=100 if "TLSv1.3" in config.versions else 0,
        **settings,
    )
    assert explicit(ServerConfig(**explicit(early))) == explicit(early)


@pytest.mark.parametrize("kind", [Limits, CertificatePolicy])
def test_others(kind: Any) -> None:
    assert (
        kind(**{each.name: getattr(kind(), each.name) for each in fields(kind) if each.init})
        == kind()
    )


def test_each_one_by_itself(pki: Pki) -> None:
    """Each default of each config, given alone, changes nothing and is not refused."""
    for kind, more in (
        (ClientConfig, {}),
        (ServerConfig, {"credentials": pki.server("localhost")}),
    ):
        plain: Any = kind(**more)  # type: ignore[arg-type]
        for each in fields(kind):
            if not each.init or each.name in more:
                continue
            default = each.default
            if default is MISSING:
                assert each.default_factory is not MISSING
                default = each.default_factory()
            for value in (default, getattr(plain, each.name)):
                given = kind(**{each.name: value}, **more)  # type: ignore[arg-type]
                assert explicit(given).keys() == explicit(plain).keys()


@pytest.mark.parametrize("kind", [TicketKeys, SessionStore, ReplayFilter, Recorder])
def test_arguments(kind: Any) -> None:
    arguments = inspect.signature(kind).parameters.values()
    kind(**{each.name: each.default for each in arguments if each.kind is each.KEYWORD_ONLY})
    positional = [each.default for each in arguments if each.kind is each.POSITIONAL_OR_KEYWORD]
    kind(*positional)


def test_ticket_keys_live_as_long_as_tickets() -> None:
    lifetime: Any = ServerConfig.__dataclass_fields__["ticket_lifetime"].default
    TicketKeys(lifetime=lifetime)


# What the defaults come to on the wire


def hello_of(config: ClientConfig) -> ClientHello:
    trace = Recorder()
    ClientConnection(config, server_name="localhost", trace=trace)
    sent = next(event for event in trace.events if isinstance(event, MessageSeen))
    hello: ClientHello = read_as(ClientHello, sent.raw)
    return hello


def shares_and_groups(hello: ClientHello) -> tuple[list[int], list[int]]:
    entries = ext.read_key_share_client_hello(hello.extensions[Ext.KEY_SHARE])
    groups = ext.read_supported_groups(hello.extensions[Ext.SUPPORTED_GROUPS])
    return [entry.group for entry in entries], list(groups)


@pytest.mark.parametrize("grease", [True, False])
@pytest.mark.parametrize(
    "groups", list(permutations(["X25519MLKEM768", "X25519", "secp256r1"], 3)), ids="-".join
)
def test_shares_keep_the_order_of_groups(pki: Pki, groups: tuple[str, ...], grease: bool) -> None:
    """RFC 8446 4.2.8: "in the same order as [...] supported_groups", and a subset of them."""
    config = ClientConfig(groups=groups, trust=pki.trust, grease=grease)
    assert config.key_shares == tuple(name for name in groups if name in DEFAULT_KEY_SHARES)
    shares, listed = shares_and_groups(hello_of(config))
    assert shares == [group for group in listed if group in shares]
    assert (shares[0] in GREASE_VALUES) is grease
    assert Pair(config, ServerConfig(credentials=pki.server("localhost"))).run().established


@pytest.mark.parametrize(("versions", "limit"), [(["TLSv1.2"], 2**14), (["TLSv1.3"], 2**14 + 1)])
def test_the_largest_record_that_a_version_has(versions: list[str], limit: int) -> None:
    """RFC 8449 4: "MUST NOT send a value higher than the protocol-defined maximum"."""
    hello = hello_of(ClientConfig(versions=versions, record_size_limit=2**14 + 1))
    assert ext.read_record_size_limit(hello.extensions[Ext.RECORD_SIZE_LIMIT]) == limit


@pytest.mark.parametrize("group", list(GROUPS))
def test_the_share_of_any_one_group(group: str) -> None:
    shares, listed = shares_and_groups(hello_of(ClientConfig(groups=[group], grease=False)))
    assert shares == listed == [GROUPS[group].code]
