"""A config whose ClientHello has no room for its settings is refused when it is built.

The hellos here are the largest that connections of a config send: a long server name, a session
with as long a ticket as the config takes, and after a retry the longest cookie.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.end_to_end.ech import PUBLIC, RETRY
from tests.end_to_end.pair import Pair
from tests.pki import Leaf, Pki, self_signed

from handclasp import (
    ClientConfig,
    ConfigurationError,
    EchConfigList,
    EchKey,
    PreSharedKey,
    ServerConfig,
    SessionStore,
    TrustStore,
)
from handclasp.config.hello_size import ROOM_FOR_SETTINGS, SMALL_TICKET, fits_hello, room_in_hello
from handclasp.faults import Fault
from handclasp.handshake.tls13 import retry as retry13
from handclasp.iana import ExtensionType as Ext
from handclasp.sessions.session import Session
from handclasp.wire import extensions as ext
from handclasp.wire.messages import ServerHello

LONG_NAME = ".".join(["a" * 63] * 3 + ["b" * 61])
LONGEST_COOKIE = 2**13
pki = Pki()
ech_key = EchKey.generate(PUBLIC, maximum_name_length=255, kem="P-256")
ECH = EchConfigList(ech_key.configs)
server = ServerConfig(credentials=pki.server(LONG_NAME, PUBLIC), ech=[ech_key])
many = TrustStore.from_certificates(
    [
        pki.certificate,
        *(
            self_signed(Leaf(common_name=f"{number:064}", is_authority=True, purpose=None))[0]
            for number in range(2**14 // 77 - 1)
        ),
    ]
)
"""As many authorities as a hello may name."""


def protocols(size: int) -> list[str]:
    """Application protocols, all different, which take this many bytes with their lengths."""
    names = [f"{number:0250}" for number in range(size // 251)]
    rest = size % 251
    return names + (["x" * (rest - 1)] if rest > 1 else [])


def key(size: int, number: int = 0) -> PreSharedKey:
    return PreSharedKey(number.to_bytes(2, "big").rjust(size, b"i"), b"k" * 32, "sha384")


class Tickets(SessionStore):
    """Keeps each session as if its ticket had this length."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length

    def put(self, key: str, session: Session) -> None:
        super().put(key, replace(session, ticket=bytes(self.length)))


def with_cookie(confirmed: Any) -> Any:
    """A HelloRetryRequest with the longest cookie that clients take."""

    def request(hs: Any, request: ServerHello, hash_name: str) -> ServerHello:
        cookie = ext.write_cookie(bytes(LONGEST_COOKIE))
        extensions = {**request.extensions, Ext.COOKIE: cookie}
        made: ServerHello = confirmed(hs, replace(request, extensions=extensions), hash_name)
        return made

    return patch.object(retry13, "with_confirmation", request)


def check_largest_hellos(config: ClientConfig) -> int:
    """Make the largest hellos of a config; return the bytes of both."""
    assert Pair(config, server, LONG_NAME, traced=False).run().established
    with with_cookie(vars(retry13)["with_confirmation"]):
        pair = Pair(config, replace(server, **RETRY), LONG_NAME, traced=False).run()
    # The server did not make this cookie. That it says so means that it got the second hello.
    assert pair.server.error is not None
    assert pair.server.error.fault is Fault.BAD_COOKIE, pair.client.error
    return len(pair.client.sent)


VARIANTS: list[dict[str, Any]] = [
    {"ech": ECH, "trust": trust, "send_authorities": authorities}
    for trust, authorities in ((pki.trust, False), (many, True))
]
VARIANTS += [{**each, "ech": None} for each in VARIANTS]
VARIANTS += [{**each, "grease_ech": False} for each in VARIANTS[2:]]


@settings(max_examples=60, deadline=None)
@given(
    variant=st.sampled_from(VARIANTS),
    identities=st.lists(st.integers(2, 22_000), max_size=3),
    alpn=st.integers(0, ROOM_FOR_SETTINGS + 100),
    ticket=st.integers(1, 2**14),
)
def test_what_can_be_built_can_be_sent(
    variant: dict[str, Any], identities: list[int], alpn: int, ticket: int
) -> None:
    keys = [key(size, number) for number, size in enumerate(identities)]
    variant = {**variant, "alpn": protocols(alpn), "psks": keys, "sessions": Tickets(ticket)}
    try:
        config = ClientConfig(**variant)
    except ConfigurationError:
        return  # The border is the matter of the next test.
    check_largest_hellos(config)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_border(variant: dict[str, Any]) -> None:
    """Right below it everything is sent, and one byte more is refused, with what to do."""
    room = room_in_hello(ClientConfig(**variant))
    check_largest_hellos(
        ClientConfig(**variant, alpn=protocols(room), sessions=Tickets(SMALL_TICKET))
    )
    with pytest.raises(ConfigurationError, match=f"keeps {room} bytes .*alpn takes {room + 1}"):
        ClientConfig(**variant, alpn=protocols(room + 1))
    twice = variant.get("grease_ech", True)
    most = room // (2 if twice else 1) - 55
    check_largest_hellos(ClientConfig(**variant, psks=[key(most)], sessions=Tickets(SMALL_TICKET)))
    advice = "grease_ech=False" if twice and not variant["ech"] else "Leave some of them out.$"
    with pytest.raises(ConfigurationError, match=rf"keeps {room} bytes .*psks take .*{advice}"):
        ClientConfig(**variant, psks=[key(most + 1)])


def test_grease_is_not_blamed_for_what_does_not_fit_without_it() -> None:
    with pytest.raises(ConfigurationError, match=r"131180 bytes \(twice .*\)\. Leave .* out\.$"):
        ClientConfig(psks=[key(65_535)])


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_ticket_that_settings_leave_no_room_for_is_not_offered(variant: dict[str, Any]) -> None:
    config = ClientConfig(**variant, alpn=protocols(4000), sessions=Tickets(2**14))
    check_largest_hellos(config)
    fits = not variant["send_authorities"]
    assert fits_hello(config, bytes(2**14)) is fits
    # Nothing is left to resume for the second one.
    pairs = [Pair(config, server, LONG_NAME, traced=False) for _ in range(2)]
    sizes = [len(pair.client.take()) for pair in pairs]
    assert (sizes[0] - sizes[1] > 2**14) is fits


def test_without_tls13_psks_and_encrypted_hellos_take_nothing() -> None:
    ClientConfig(versions=["TLSv1.2"], alpn=protocols(ROOM_FOR_SETTINGS))


def test_servers_send_no_list_of_protocols() -> None:
    replace(server, alpn=protocols(2**17))


@pytest.mark.parametrize(("identity", "context"), [(65_528, 0), (65_527, 1), (1, 65_527)])
def test_an_imported_identity_has_a_context(identity: int, context: int) -> None:
    with pytest.raises(ConfigurationError, match=f"{context} bytes, .* and 8 bytes more"):
        PreSharedKey.imported(bytes(identity), b"k" * 32, context=bytes(context))
    for imported in PreSharedKey.imported(bytes(65_500), b"k" * 32, context=bytes(27)):
        assert len(imported.identity) == 65_535
