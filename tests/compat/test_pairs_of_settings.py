"""Every pair of settings: a setter refuses it, or the handshake does what that of `ssl` does.

The other end is a context of `ssl`. Nothing may be taken when it is set and then refuse each
connection.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.compat.pairs import CONTEXTS, SSL_TAKES_X448, Bios, Files
from tests.pki import Leaf, Pki

from handclasp import ConfigurationError, Recorder, SessionStore
from handclasp.compat import SSLContext

KEY = bytes(range(32))
HAS_KEYS = hasattr(ssl.SSLContext, "set_psk_client_callback")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

Setting = Callable[[Any, "World"], None]


class World(NamedTuple):
    """The files that settings load, and the kinds of settings that a context has."""

    authority: Path
    server: Path
    client: Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    files = Files(Pki(), tmp_path_factory.mktemp("world"))
    client = Leaf(("client.example",), purpose=None)
    return World(files.ca, files.leaf("server"), files.leaf("client", client))


def value(name: str, wanted: Any) -> Setting:
    return lambda context, _: setattr(context, name, wanted)


def option(wanted: ssl.Options) -> Setting:
    return lambda context, _: setattr(context, "options", context.options | wanted)


def flag(wanted: ssl.VerifyFlags) -> Setting:
    return lambda context, _: setattr(context, "verify_flags", context.verify_flags | wanted)


def more(name: str, wanted: Any) -> Setting:
    """A setting that `ssl` does not have, and which must not change who is let in."""

    def apply(context: Any, _: World) -> None:
        if isinstance(context, SSLContext):
            setattr(context, name, wanted)

    return apply


def accept_anybody(context: Any, _: World) -> None:
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE


def use_keys(context: Any, _: World) -> None:
    if not hasattr(context, "set_psk_client_callback"):
        return
    if context.protocol == ssl.PROTOCOL_TLS_SERVER:
        context.set_psk_server_callback(lambda name: KEY)
    else:
        context.set_psk_client_callback(lambda hint: ("sensor 7", KEY))


def use_x448(context: Any, _: World) -> None:
    """Use X448, or where `ssl` does not take it, another group that it treats no differently."""
    takes = SSL_TAKES_X448 or isinstance(context, SSLContext)
    context.set_ecdh_curve("X448" if takes else "secp521r1")


SHARED: Mapping[str, Setting] = {
    "keys": use_keys,
    "no tickets": option(ssl.OP_NO_TICKET),
    "no TLS 1.2": option(ssl.OP_NO_TLSv1_2),
    "no TLS 1.3": option(ssl.OP_NO_TLSv1_3),
    "at most TLS 1.2": value("maximum_version", ssl.TLSVersion.TLSv1_2),
    "at least TLS 1.3": value("minimum_version", ssl.TLSVersion.TLSv1_3),
    "optional": value("verify_mode", ssl.CERT_OPTIONAL),
    "ask later": value("post_handshake_auth", True),
    "alpn": lambda context, _: context.set_alpn_protocols(["http/1.1"]),
    "suites": lambda context, _: context.set_ciphers("ECDHE+AESGCM"),
    "P-384": lambda context, _: context.set_ecdh_curve("secp384r1"),
    "X448": use_x448,
    "strict": flag(ssl.VERIFY_X509_STRICT),
    "lists": flag(ssl.VERIFY_CRL_CHECK_LEAF),
    "trace": more("make_trace", Recorder),
}
OF_SERVER: Mapping[str, Setting] = {
    **SHARED,
    "certificate": lambda context, world: context.load_cert_chain(world.server),
    "required": value("verify_mode", ssl.CERT_REQUIRED),
    "ticket": value("num_tickets", 1),
    "zero tickets": value("num_tickets", 0),
    "early": more("max_early_data", 1000),
    "prefer": option(ssl.OP_CIPHER_SERVER_PREFERENCE),
    "sni": value("sni_callback", lambda *_: None),
}
OF_CLIENT: Mapping[str, Setting] = {
    **SHARED,
    "certificate": lambda context, world: context.load_cert_chain(world.client),
    "anybody": accept_anybody,
    "resume": more("resume", SessionStore()),
}

BETTER = {
    ("server", frozenset({"keys", "certificate"})),
    ("client", frozenset({"keys", "anybody"})),
}
"""OpenSSL prefers a suite of another hash to the key; here the key is used."""


class Outcome(NamedTuple):
    """How far a pair of settings gets: refused by a setter, by the handshake, or complete."""

    stage: str
    facts: tuple[object, ...] = ()


def made(kind: str, side: str, names: tuple[str, ...], world: World) -> Any:
    is_server = side == "server"
    protocol = ssl.PROTOCOL_TLS_SERVER if is_server else ssl.PROTOCOL_TLS_CLIENT
    context = CONTEXTS[kind](protocol)
    if kind == "ssl" and context.minimum_version < ssl.TLSVersion.TLSv1_2:
        # Debian's Python leaves the minimum to OpenSSL. Without TLS 1.2, that one then stops at
        # TLS 1.1, below the gap. handclasp has no version below TLS 1.2, and hence no gap.
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(world.authority)
    if is_server and "keys" not in names:  # Another one means both.
        context.load_cert_chain(world.server)
    for name in names:
        (OF_SERVER if is_server else OF_CLIENT)[name](context, world)
    return context


def the_other(side: str, names: tuple[str, ...], world: World) -> Any:
    """An end that can do everything."""
    uses_keys = "keys" in names
    kind = "ssl" if HAS_KEYS or not uses_keys else "handclasp"
    role = "client" if side == "server" else "server"
    context = CONTEXTS[kind](getattr(ssl, f"PROTOCOL_TLS_{role.upper()}"))
    context.load_verify_locations(world.authority)
    context.load_cert_chain(world.client if role == "client" else world.server)
    if uses_keys:
        use_keys(context, world)
    return context


def met(context: Any, other: Any, side: str) -> Outcome:
    try:
        pair = Bios(context, other) if side == "server" else Bios(other, context)
        pair.handshake()
    except ConfigurationError as error:
        return Outcome(f"each connection is refused: {error}")
    except ssl.SSLError:
        return Outcome("no handshake")
    server, client = pair.server, pair.client
    shows = bool(server.getpeercert(binary_form=True)), bool(client.getpeercert(binary_form=True))
    return Outcome(
        "complete", (server.version(), server.cipher(), client.selected_alpn_protocol(), *shows)
    )


def outcome(kind: str, side: str, names: tuple[str, ...], world: World) -> Outcome:
    try:
        context = made(kind, side, names, world)
    except (ssl.SSLError, ValueError):
        return Outcome("refused when set")
    return met(context, the_other(side, names, world), side)


def pairs_of(side: str) -> list[Any]:
    table = OF_SERVER if side == "server" else OF_CLIENT
    return [pytest.param(side, first, id=f"{side}-{first}") for first in table]


@pytest.mark.parametrize(("side", "first"), [*pairs_of("server"), *pairs_of("client")])
def test_each_pair(world: World, side: str, first: str) -> None:
    table = OF_SERVER if side == "server" else OF_CLIENT
    differs: list[object] = []
    for second in table:
        for names in ((first, second), (second, first)):
            ours = outcome("handclasp", side, names, world)
            if ours.stage == "refused when set":
                continue
            is_known = HAS_KEYS or "keys" not in names
            theirs = outcome("ssl", side, names, world) if is_known else ours
            is_better = (side, frozenset(names)) in BETTER and ours.stage == theirs.stage
            if "refused" in ours.stage or (ours != theirs and not is_better):
                differs.append((names, ours, theirs))
    assert not differs


# Contexts that have no version in common: what the callback raises is reported, as by `ssl`.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("first", OF_SERVER)
def test_each_pair_of_contexts(world: World, first: str) -> None:
    """A server's second context, which `sni_callback` sets: one setting in each of the two."""
    differs: list[object] = []
    for second in OF_SERVER:
        found: list[Outcome] = []
        for kind in ("handclasp", "ssl"):
            context = made(kind, "server", (first,), world)
            other = made(kind, "server", (second,), world)

            def switch(sock: Any, *_: object, other: Any = other) -> None:
                sock.context = other

            context.sni_callback = switch
            # The client has a key where the server can know it.
            names = ("keys",) if first == "keys" else ()
            found.append(met(context, the_other("server", names, world), "server"))
        ours, theirs = found
        is_known = HAS_KEYS or "keys" not in (first, second)
        if not is_known:
            theirs = ours if second == "keys" else Outcome("complete")
        if ours.stage != theirs.stage and not _is_stricter(first, second):
            differs.append((first, second, ours, theirs))
    assert not differs


_VERSIONS_OF = {
    "no TLS 1.2": "1.3",
    "at least TLS 1.3": "1.3",
    "no TLS 1.3": "1.2",
    "at most TLS 1.2": "1.2",
}


def _is_stricter(first: str, second: str) -> bool:
    """Whether the second context is stricter in what `ssl` takes from the first alone."""
    both = {first, second}
    versions = {_VERSIONS_OF[each] for each in both & _VERSIONS_OF.keys()}
    # One asks for certificates, and the other one for lists of revoked ones, which are missing.
    return len(versions) > 1 or ("lists" in both and bool(both & {"optional", "required"}))


def test_a_client_that_could_rely_on_nothing_is_refused_when_it_is_set_up(world: World) -> None:
    context: Any = made("handclasp", "client", ("keys", "anybody"), world)
    mode, options, newest = context.verify_mode, context.options, context.maximum_version
    with pytest.raises(ConfigurationError, match=r"needs TLS 1\.3, which this context") as caught:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert isinstance(caught.value, ssl.SSLError)
    with pytest.raises(ConfigurationError, match="needs TLS 1"):
        context.options |= ssl.OP_NO_TLSv1_3
    assert (context.verify_mode, context.options, context.maximum_version) == (
        mode,
        options,
        newest,
    )
    context = made("handclasp", "client", ("keys", "at most TLS 1.2"), world)
    context.check_hostname = False
    with pytest.raises(ConfigurationError, match="needs TLS 1"):
        context.verify_mode = ssl.CERT_NONE
    assert context.verify_mode == ssl.CERT_REQUIRED
    context = made("handclasp", "client", ("anybody", "at most TLS 1.2"), world)
    with pytest.raises(ConfigurationError, match="needs TLS 1"):
        use_keys(context, world)
    accepted = met(context, the_other("client", (), world), "client")
    assert accepted.facts[:1] == ("TLSv1.2",)  # As if nothing had been set.
