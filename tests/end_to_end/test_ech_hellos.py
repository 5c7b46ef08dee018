"""The bytes of both hellos of Encrypted Client Hello (RFC 9849 sections 5.1, 6.1 and 6.1.2).

The tests open the inner hello by themselves, with the server's key, and compare it with the outer
one as it went over the wire.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.end_to_end.ech import (
    CONFIGS,
    KEY,
    PUBLIC,
    RETRY,
    SECRET,
    Hello,
    ech_client,
    ech_server,
    opened_hellos,
    outer_hellos,
)
from tests.end_to_end.pair import Pair
from tests.end_to_end.test_certificates import raw_credentials
from tests.pki import Pki

from handclasp import (
    ClientConfig,
    EarlyDataReceived,
    PreSharedKey,
    ServerConfig,
    Session,
    SessionStore,
)
from handclasp.iana import GREASE_VALUES, TLS13
from handclasp.iana import ExtensionType as Ext
from handclasp.wire import extensions as ext
from handclasp.wire.ech import (
    INNER,
    read_encrypted_client_hello,
)
from handclasp.wire.messages import ClientHello

PSK = PreSharedKey(b"an identity that tells", b"k" * 31 + b"x")
COMMON = {
    Ext.KEY_SHARE,
    Ext.SUPPORTED_GROUPS,
    Ext.SIGNATURE_ALGORITHMS,
    Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION,
}
OF_TLS12 = {
    Ext.EC_POINT_FORMATS,
    Ext.EXTENDED_MASTER_SECRET,
    Ext.RENEGOTIATION_INFO,
    Ext.SESSION_TICKET,
}
SESSION_ID = b"an identity of 32 bytes in all.."
SESSION_ID_AT = 2 + 32
"""Where the length of legacy_session_id stands in a ClientHello without its header."""


client = pytest.fixture(ech_client)
server = pytest.fixture(ech_server)


def versions(hello: ClientHello) -> set[int]:
    found = ext.read_supported_versions(hello.extensions[Ext.SUPPORTED_VERSIONS])
    return set(found) - GREASE_VALUES


@pytest.mark.parametrize("retry", [{}, RETRY])
@pytest.mark.parametrize("offered", [["TLSv1.3"], ["TLSv1.3", "TLSv1.2"]])
def test_both_hellos_keep_the_rules(
    client: ClientConfig, server: ServerConfig, retry: dict[str, Any], offered: list[str]
) -> None:
    client = replace(client, versions=offered, alpn=["h2"])
    pair = Pair(client, replace(server, **retry), SECRET).run()
    assert pair.client.info.ech_accepted
    found = opened_hellos(pair)
    assert len(found) == 1 + bool(retry)
    for hello in found:
        outer, inner = hello.outer, hello.inner
        # Section 5.1
        assert hello.encoded[SESSION_ID_AT] == 0
        assert len(hello.encoded) % 32 == 0
        assert Ext.ECH_OUTER_EXTENSIONS not in {*outer.extensions, *inner.extensions}
        kinds = list(inner.extensions)
        at = kinds.index(hello.shared[0])
        assert tuple(kinds[at : at + len(hello.shared)]) == hello.shared
        assert tuple(kind for kind in outer.extensions if kind in hello.shared) == hello.shared
        assert {*hello.shared} >= COMMON
        assert OF_TLS12.isdisjoint(inner.extensions)
        # Section 6.1, the rules of the inner hello
        assert inner.extensions[Ext.ENCRYPTED_CLIENT_HELLO] == INNER
        assert versions(inner) == {TLS13}
        suites = set(inner.cipher_suites) - GREASE_VALUES
        assert suites
        assert all(code >> 8 == 0x13 for code in suites)
        assert ext.read_server_name(inner.extensions[Ext.SERVER_NAME]) == SECRET
        # and those of the outer one
        assert TLS13 in versions(outer)
        assert outer.legacy_session_id == inner.legacy_session_id
        assert outer.random != inner.random
        assert ext.read_server_name(outer.extensions[Ext.SERVER_NAME]) == PUBLIC
        # Sections 6.1 and 10.4: it says which configuration it uses, and not a random number.
        hidden = read_encrypted_client_hello(outer.extensions[Ext.ENCRYPTED_CLIENT_HELLO])
        assert hidden is not None
        assert hidden.config_id == KEY.configs[0].config_id
        assert hidden.cipher_suite in KEY.configs[0].cipher_suites
    assert len({hello.outer.random for hello in found}) == 1
    assert len({hello.inner.random for hello in found}) == 1


@pytest.mark.parametrize("retry", [{}, RETRY])
def test_a_name_that_is_the_public_one_is_not_shared(
    client: ClientConfig, server: ServerConfig, retry: dict[str, Any]
) -> None:
    """Nobody else knows that they are the same, and the size would tell it."""
    sizes: list[int] = []
    for name in (PUBLIC, SECRET):
        pair = Pair(client, replace(server, **retry), name).run()
        assert pair.client.info.ech_accepted
        assert pair.server.info.server_name == name
        for hello in opened_hellos(pair):
            assert ext.read_server_name(hello.inner.extensions[Ext.SERVER_NAME]) == name
            assert Ext.SERVER_NAME not in hello.shared
        sizes.append(len(opened_hellos(pair)[0].encoded))
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("retry", [{}, RETRY])
@pytest.mark.parametrize("is_sent", [True, False])
def test_both_hellos_have_values_of_grease(
    client: ClientConfig, server: ServerConfig, retry: dict[str, Any], is_sent: bool
) -> None:
    """RFC 8701 section 3.1."""
    pair = Pair(replace(client, grease=is_sent), replace(server, **retry), SECRET).run()
    assert pair.client.info.ech_accepted
    for hello in opened_hellos(pair):
        for each in (hello.outer, hello.inner):
            extensions = each.extensions
            for values in (
                extensions,
                each.cipher_suites,
                ext.read_supported_versions(extensions[Ext.SUPPORTED_VERSIONS]),
                ext.read_supported_groups(extensions[Ext.SUPPORTED_GROUPS]),
            ):
                assert GREASE_VALUES.isdisjoint(values) is not is_sent


def assert_grease_psks(hello: Hello, *, secrets: tuple[bytes, ...]) -> None:
    """Check that the keys of the outer hello are random bytes in the form of the inner ones."""
    outer = ext.read_offered_psks(hello.outer.extensions[Ext.PRE_SHARED_KEY])
    inner = ext.read_offered_psks(hello.inner.extensions[Ext.PRE_SHARED_KEY])
    assert list(hello.outer.extensions)[-1] == Ext.PRE_SHARED_KEY
    assert list(hello.inner.extensions)[-1] == Ext.PRE_SHARED_KEY
    assert Ext.PRE_SHARED_KEY not in hello.shared
    assert len(outer.identities) == len(inner.identities)
    for ours, hidden in zip(outer.identities, inner.identities, strict=True):
        assert len(ours.identity) == len(hidden.identity)
        assert ours.identity != hidden.identity
    for binder, hidden_binder in zip(outer.binders, inner.binders, strict=True):
        assert len(binder) == len(hidden_binder)
        assert binder != hidden_binder
    modes = Ext.PSK_KEY_EXCHANGE_MODES
    assert hello.outer.extensions[modes] == hello.inner.extensions[modes]
    for secret in secrets:
        assert any(secret == each.identity for each in inner.identities)
        assert secret not in hello.outer.raw


@pytest.mark.parametrize("retry", [{}, RETRY])
def test_sessions_and_early_data_are_offered_inside_alone(
    client: ClientConfig, server: ServerConfig, retry: dict[str, Any]
) -> None:
    lines: list[str] = []
    client = replace(client, sessions=SessionStore(), allow_early_data=True)
    server = replace(server, max_early_data=1000)
    assert Pair(client, server, SECRET).run().client.info.ech_accepted
    pair = Pair(replace(client, keylog=lines.append), replace(server, **retry), SECRET)
    session = pair.client.connection._sessions.session  # type: ignore[union-attr]
    assert session is not None
    pair.client.connection.send_early_data(b"at once")  # type: ignore[union-attr]
    pair.run()
    assert pair.client.info.resumed
    assert pair.client.info.early_data_status == ("rejected" if retry else "accepted")
    found = opened_hellos(pair)
    for at, hello in enumerate(found):
        assert_grease_psks(hello, secrets=(session.ticket,))
        # Section 6.1, rule 7; no second hello has it (RFC 8446 section 4.1.2).
        assert (Ext.EARLY_DATA in hello.outer.extensions) == (at == 0)
        assert (Ext.EARLY_DATA in hello.inner.extensions) == (at == 0)
    # The early data are under the secret of the inner hello.
    [line] = [line for line in lines if line.startswith("CLIENT_EARLY_TRAFFIC_SECRET")]
    assert line.split()[1] == found[0].inner.random.hex()
    assert b"at once" not in pair.client.sent


@pytest.mark.parametrize("retry", [{}, RETRY])
def test_external_keys_are_offered_inside_alone(
    client: ClientConfig, server: ServerConfig, retry: dict[str, Any]
) -> None:
    second = PreSharedKey(b"another one", b"l" * 31 + b"x")
    client = replace(client, psks=[PSK, second], allow_psk_ke=True)
    pair = Pair(client, replace(server, psks=[second], **retry), SECRET).run()
    assert pair.client.info.psk_identity == second.identity
    for hello in opened_hellos(pair):
        assert_grease_psks(hello, secrets=(PSK.identity, second.identity))


def test_what_tells_of_the_hidden_server_stands_inside_alone(pki: Pki) -> None:
    """Its authorities, and that it may have a raw key (RFC 9849 section 10.5)."""
    own, key = raw_credentials("ecdsa-p256", 3)
    client = ClientConfig(trust=pki.trust, raw_public_keys=[key], send_authorities=True)
    client = replace(client, ech=CONFIGS)
    pair = Pair(client, ServerConfig(credentials=own, ech=[KEY]), SECRET).run()
    assert pair.client.info.ech_accepted
    [hello] = opened_hellos(pair)
    for kind in (Ext.CERTIFICATE_AUTHORITIES, Ext.SERVER_CERTIFICATE_TYPE):
        assert kind in hello.inner.extensions
        assert kind not in hello.outer.extensions


def shape(hello: ClientHello) -> list[tuple[str, int]]:
    """What everybody sees of a hello but for the length of its name, which is another one."""
    kinds = dict.fromkeys(GREASE_VALUES, "GREASE") | {int(kind): kind.name for kind in Ext}
    return [
        (kinds[kind], 0 if kind == Ext.SERVER_NAME else len(data))
        for kind, data in hello.extensions.items()
    ]


@pytest.mark.parametrize("resumes", [False, True])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"versions": ["TLSv1.3"]},
        {"alpn": ["h2", "http/1.1"]},
        {"allow_early_data": True},
        {"allow_psk_ke": True},
        {"allow_psk_ke": True, "allow_early_data": True},
        {"psks": [PSK]},
        {"psks": [PSK], "allow_psk_ke": True, "allow_early_data": True},
        {"psks": [PSK], "allow_psk_ke": True, "sessions": None},
        {"psks": [PSK], "sessions": None},
        {"record_size_limit": 2000, "allow_early_data": True},
        {"record_size_limit": 2000, "psks": [PSK], "sessions": None},
        {"post_handshake_auth": True},
        {"certificate_compression": []},
        {"middlebox_compatibility": False},
        {"cipher_suites": ["TLS_AES_128_GCM_SHA256"]},
    ],
    ids=lambda settings: "+".join(settings) or "default",
)
def test_a_hello_looks_like_one_with_grease(
    client: ClientConfig, server: ServerConfig, settings: dict[str, Any], resumes: bool
) -> None:
    """RFC 9849 section 10.10.4: the order and the size of the extensions, and what they offer."""
    server = replace(server, max_early_data=1000)
    seen: list[tuple[ClientHello, list[tuple[str, int]]]] = []
    for ech in (client.ech, None):
        own = replace(client, ech=ech, **{"sessions": SessionStore(), **settings})
        for _ in range(1 + resumes):
            pair = Pair(own, server, SECRET).run()
            assert pair.established
        assert pair.client.info.resumed is (resumes and own.sessions is not None)
        [hello] = outer_hellos(pair)
        seen.append((hello, shape(hello)))
    (real, real_shape), (grease, grease_shape) = seen
    assert real_shape == grease_shape
    modes = Ext.PSK_KEY_EXCHANGE_MODES
    assert real.extensions.get(modes) == grease.extensions.get(modes)


def test_grease_keys_are_others_each_time(client: ClientConfig, server: ServerConfig) -> None:
    client = replace(client, psks=[PSK])
    pairs = [Pair(client, replace(server, psks=[PSK]), SECRET).run() for _ in range(2)]
    made = [opened_hellos(pair)[0].outer.extensions[Ext.PRE_SHARED_KEY] for pair in pairs]
    first, second = map(ext.read_offered_psks, made)
    assert first.identities[0].identity != second.identities[0].identity
    assert first.binders[0] != second.binders[0]


def test_a_session_of_tls12_is_offered_in_neither_hello(
    client: ClientConfig, server: ServerConfig
) -> None:
    sessions = SessionStore()
    plain = replace(client, ech=None, sessions=sessions)
    for _ in range(2):
        pair = Pair(plain, replace(server, ech=(), versions=["TLSv1.2"]), SECRET).run()
    assert pair.client.info.resumed
    pair = Pair(plain, server, SECRET)
    session = pair.client.connection._sessions.session  # type: ignore[union-attr]
    assert session is not None
    assert session.ticket
    pair = Pair(replace(client, sessions=sessions), server, SECRET).run()
    assert not pair.client.info.resumed
    [hello] = opened_hellos(pair)
    assert Ext.SESSION_TICKET not in hello.inner.extensions
    assert Ext.PRE_SHARED_KEY not in hello.inner.extensions
    assert not hello.outer.extensions.get(Ext.SESSION_TICKET)
    assert session.ticket not in hello.outer.raw


class ById(SessionStore):
    """Keeps each session as a server without tickets would have given it."""

    def put(self, key: str, session: Session) -> None:
        super().put(key, replace(session, ticket=b"", session_id=SESSION_ID))


def test_a_session_of_tls12_without_a_ticket_is_offered_in_neither_hello(
    client: ClientConfig, server: ServerConfig
) -> None:
    client = replace(client, sessions=ById())
    plain = replace(client, ech=None)
    older = replace(server, ech=(), versions=["TLSv1.2"])
    assert Pair(plain, older, SECRET).run().established
    offering = Pair(plain, server, SECRET).run()
    assert [hello.legacy_session_id for hello in outer_hellos(offering)] == [SESSION_ID]
    assert Pair(plain, older, SECRET).run().established
    pair = Pair(client, server, SECRET)
    session = pair.client.connection._sessions.session  # type: ignore[union-attr]
    assert session is not None
    assert session.session_id == SESSION_ID
    pair.run()
    assert pair.client.info.ech_accepted
    assert not pair.client.info.resumed
    [hello] = opened_hellos(pair)
    assert SESSION_ID not in hello.outer.raw
    assert SESSION_ID not in hello.inner.raw


class Mistaken(SessionStore):
    """Makes a client believe that its ticket is for another protocol than it is."""

    def put(self, key: str, session: Session) -> None:
        super().put("any", replace(session, alpn="echo"))

    def take(self, key: str) -> Session | None:
        return super().take("any")


def test_early_data_for_another_protocol_are_refused(
    client: ClientConfig, server: ServerConfig
) -> None:
    both = ["h2", "echo"]
    client = replace(client, sessions=Mistaken(), allow_early_data=True, alpn=both)
    server = replace(server, max_early_data=1000, alpn=both)
    assert Pair(client, server, SECRET).run().client.info.alpn == "h2"
    pair = Pair(replace(client, alpn=["echo"]), server, SECRET)
    pair.client.connection.send_early_data(b"for echo")  # type: ignore[union-attr]
    pair.run()
    assert pair.server.info.ech_accepted
    assert pair.server.info.resumed
    assert pair.server.info.alpn == "echo"
    assert pair.server.info.early_data_status == "rejected"
    assert not pair.server.saw(EarlyDataReceived)
    assert pair.server.data == b""
