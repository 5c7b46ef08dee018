"""A session is resumed only for the client that it was made for, whatever says who that is."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.adversarial.test_foreign_sessions import Careless, hello_of
from tests.end_to_end.pair import Pair
from tests.pki import Pki, key_of_type, key_pem, pem_of
from tests.security.test_forks import told_by_child

from handclasp import (
    DEFER,
    ChooseCredentials,
    ClientAuth,
    ClientConfig,
    ClientConnection,
    ConfigurationError,
    Credentials,
    Fault,
    PreSharedKey,
    ProtocolError,
    ServerConfig,
    Session,
    SessionStore,
)
from handclasp.crypto.secret import Secret
from handclasp.iana import ExtensionType
from handclasp.sessions.session import milliseconds

versions = pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])


class Wallet:
    """Says who this side is now: a callback whose answer changes."""

    def __init__(self, *answers: object) -> None:
        self.now: Any = answers[0] if answers else None
        self.asked: list[ChooseCredentials] = []

    def __call__(self, question: ChooseCredentials) -> Any:
        self.asked.append(question)
        return self.now() if callable(self.now) else self.now


class World:
    """A client that shows what its wallet says, and a server that asks for it."""

    def __init__(self, pki: Pki, version: str, auth: str = "optional", **client: Any) -> None:
        self.alice, self.bob = pki.client("alice"), pki.client("bob")
        self.wallet = Wallet(self.alice)
        settings: dict[str, Any] = {
            "trust": pki.trust,
            "versions": [version],
            "sessions": SessionStore(),
            "choose_credentials": self.wallet,
        }
        self.client = ClientConfig(**{**settings, **client})
        asks = ClientAuth(auth)
        self.server = ServerConfig(
            credentials=pki.server("localhost"),
            client_auth=asks,
            trust=pki.trust if asks is not ClientAuth.NONE else None,
            max_early_data=100,
        )

    def meet(self, shows: Credentials | None, config: ClientConfig | None = None) -> bool:
        """Connect as somebody; whether that resumed a session. The server sees nobody else."""
        if isinstance(self.wallet.now, Credentials | None):
            self.wallet.now = shows
        pair = Pair(config or self.client, self.server).run()
        assert pair.established, (pair.client.error, pair.server.error)
        chain = shows.chain_der if shows is not None else ()
        assert pair.server.info.peer_chain_der == chain
        assert pair.client.info.local_chain_der == chain
        return pair.client.info.resumed


# The answer of one callback changes


@versions
@pytest.mark.parametrize("auth", ["optional", "required"])
def test_the_next_one_who_connects_is_somebody_else(pki: Pki, version: str, auth: str) -> None:
    world = World(pki, version, auth)
    assert not world.meet(world.alice)
    assert not world.meet(world.bob)


@versions
def test_nobody_becomes_somebody_and_nobody_again(pki: Pki, version: str) -> None:
    world = World(pki, version)
    assert not world.meet(None)
    assert not world.meet(world.bob)
    assert world.meet(None)
    assert world.meet(world.bob)


@versions
def test_each_gets_their_own_sessions_back(pki: Pki, version: str) -> None:
    world = World(pki, version)
    for shows in (world.alice, world.bob):
        assert not world.meet(shows)
    for shows in (world.alice, world.bob, world.bob, world.alice):
        assert world.meet(shows)


@versions
def test_the_question_is_the_one_that_was_asked(pki: Pki, version: str) -> None:
    """So that a callback that goes by what the server takes answers as it did."""
    world = World(pki, version)
    world.meet(world.alice)
    world.meet(world.alice)
    first, again = world.wallet.asked
    assert first.authorities
    for name in ("server_name", "signature_schemes", "authorities", "certificate_types", "alpn"):
        assert getattr(again, name) == getattr(first, name)


@versions
def test_who_is_never_asked_for_anything_comes_back(pki: Pki, version: str) -> None:
    """Nothing was shown, and nothing would be: the callback is not asked either."""
    world = World(pki, version, "none")
    world.wallet.now = world.alice
    for resumed in (False, True):
        pair = Pair(world.client, world.server).run()
        assert pair.client.info.resumed is resumed
    assert world.wallet.asked == []


@versions
@pytest.mark.parametrize("how", ["awaitable", "deferred"])
def test_who_says_later_who_they_are_is_asked_each_time(pki: Pki, version: str, how: str) -> None:
    world = World(pki, version)

    async def later() -> Credentials:
        raise AssertionError("nobody waits for it")

    world.wallet.now = later if how == "awaitable" else (lambda: DEFER)
    for number, shows in enumerate((world.alice, world.bob), 1):
        pair = Pair(world.client, world.server)
        assert len(world.wallet.asked) == number - 1  # Not before the hello, which cannot wait.
        pair.run()
        pair.client.answer(shows)
        question = pair.client.question
        if question.pending is not None:
            question.pending.close()  # type: ignore[attr-defined]
        pair.run()
        assert pair.established
        assert not pair.client.info.resumed
        assert pair.server.info.peer_chain_der == shows.chain_der
    assert len(world.client.sessions) == 0  # type: ignore[arg-type]


@versions
@pytest.mark.parametrize("answer", ["awaitable", "deferred", "fails", "nonsense"])
def test_a_callback_that_no_longer_says_so_at_once(pki: Pki, version: str, answer: str) -> None:
    world = World(pki, version)
    assert not world.meet(world.alice)

    async def later() -> Credentials:
        return world.alice

    def fails() -> None:
        raise OSError("the wallet is locked")

    answers = {"awaitable": later, "deferred": lambda: DEFER, "fails": fails, "nonsense": int}
    world.wallet.now = answers[answer]
    connection = ClientConnection(world.client, server_name="localhost")
    extensions = hello_of(connection).extensions
    assert ExtensionType.PRE_SHARED_KEY not in extensions
    assert not extensions.get(ExtensionType.SESSION_TICKET)


@pytest.mark.parametrize("shows", ["alice", "bob", None])
def test_early_data_of_another_client(pki: Pki, shows: str | None) -> None:
    """They would be alice's request, whoever wrote them."""
    world = World(pki, "TLSv1.3", allow_early_data=True)
    world.meet(world.alice)
    world.wallet.now = {"alice": world.alice, "bob": world.bob, None: None}[shows]
    connection = ClientConnection(world.client, server_name="localhost")
    assert connection.early_data_limit == (100 if shows == "alice" else 0)


# Credentials in the config, and a store that does not look at keys


@versions
@pytest.mark.parametrize("now", ["bob", "nobody", "several"])
def test_other_credentials_at_a_careless_store(pki: Pki, version: str, now: str) -> None:
    world = World(pki, version, choose_credentials=None, sessions=Careless())
    alice, bob = world.alice, world.bob
    assert not world.meet(alice, replace(world.client, credentials=alice))
    assert world.meet(alice, replace(world.client, credentials=[alice, bob]))
    credentials, shows = {
        "bob": (bob, bob),
        "nobody": (None, None),
        "several": ([bob, alice], bob),
    }[now]
    assert not world.meet(shows, replace(world.client, credentials=credentials))


@versions
def test_credentials_that_were_replaced_in_their_files(
    pki: Pki, version: str, tmp_path: Path
) -> None:
    now = 0.0
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"

    def write(credentials: Credentials) -> None:
        chain.write_bytes(pem_of(*pem_certificates(credentials)))

    key.write_bytes(key_pem(key_of_type("ecdsa-p256")))
    world = World(pki, version, choose_credentials=None)
    write(world.alice)
    watched = Credentials.auto_reload(chain, key, clock=lambda: now)
    for store in (SessionStore(), Careless()):
        write(world.alice)
        now += 10
        config = replace(world.client, credentials=watched, sessions=store)
        assert [world.meet(world.alice, config) for _ in range(2)] == [False, True]
        write(world.bob)
        now += 10
        assert not world.meet(world.bob, config)


def pem_certificates(credentials: Credentials) -> Any:
    from cryptography import x509

    return [x509.load_der_x509_certificate(der) for der in credentials.chain_der]


def test_raw_public_keys(pki: Pki) -> None:
    keys = [key_pem(key_of_type("ecdsa-p256", number)) for number in range(2)]
    alice, bob = [Credentials.raw_public_key(key) for key in keys]
    store = Careless()
    client = ClientConfig(trust=pki.trust, sessions=store, versions=["TLSv1.3"])
    server = ServerConfig(
        credentials=pki.server("localhost"),
        client_auth=ClientAuth.REQUIRED,
        raw_public_keys=[alice.chain_der[0], bob.chain_der[0]],
        versions=["TLSv1.3"],
    )
    for each in (alice, bob):
        pair = Pair(replace(client, credentials=each), server).run()
        assert pair.established
        assert pair.server.info.peer_chain_der == each.chain_der
        assert not pair.client.info.resumed


# Forked processes that share a file


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@versions
def test_siblings_with_callbacks_of_their_own(pki: Pki, version: str, tmp_path: Path) -> None:
    world = World(pki, version)
    assert world.server.ticket_keys is not None
    world.server.ticket_keys.keys()  # Each child's server opens the tickets of the others.
    file = tmp_path / "sessions"

    def child(shows: Credentials) -> Callable[[], bytes]:
        def work() -> bytes:
            config = replace(
                world.client,
                sessions=SessionStore.file(file),
                choose_credentials=lambda _: shows,
                confirm_peer=lambda _: True,
            )
            seen = [Pair(config, world.server).run() for _ in range(2)]
            assert [each.client.info.resumed for each in seen] == [False, True]
            return b"".join(each.server.info.peer_chain_der[0] for each in seen)

        return work

    for shows in (world.alice, world.bob):
        assert told_by_child(child(shows)) == shows.chain_der[0] * 2


# Pre-shared keys


def test_a_key_that_was_changed_under_the_same_name(pki: Pki) -> None:
    """What was agreed upon while the old key was good must not outlive it."""
    old, new = (PreSharedKey(b"the same name", bytes([number]) * 32) for number in (1, 2))
    store = SessionStore()
    client = ClientConfig(trust=pki.trust, sessions=store, psks=[old])
    server = ServerConfig(credentials=pki.server("localhost"))
    for psks, resumed in (([old], False), ([old], True), ([new], False), ([old], True)):
        pair = Pair(replace(client, psks=psks), server).run()
        assert pair.established
        assert pair.client.info.resumed is resumed


def proved_by(key: PreSharedKey | None) -> Session:
    """A session of a server that showed no certificate, as it says itself."""
    fingerprint = key.fingerprint if key is not None else b""
    now = milliseconds(datetime.now(UTC))
    return Session(
        "TLSv1.3",
        "TLS_AES_128_GCM_SHA256",
        Secret(bytes(32)),
        b"a ticket of whoever put it there",
        now,
        now,
        3600,
        psk_fingerprint=fingerprint,
    )


@pytest.mark.parametrize("who", ["nobody", "another key", "the key"])
def test_a_session_without_certificates_names_the_key_that_proved_its_server(
    pki: Pki, who: str
) -> None:
    """With the secret known to an impostor, it would be any server, and nothing would say so."""
    key, other = PreSharedKey(b"a", b"k" * 32), PreSharedKey(b"a", bytes(range(32)))
    store = Careless()
    store.session = proved_by({"nobody": None, "another key": other, "the key": key}[who])
    for psks in ([], [key]):
        config = ClientConfig(trust=pki.trust, sessions=store, psks=psks)
        offer = hello_of(ClientConnection(config, server_name="localhost"))
        data = offer.extensions.get(ExtensionType.PRE_SHARED_KEY, b"")
        assert (b"whoever put it there" in data) is (bool(psks) and who == "the key")


# A file that somebody else wrote


def impostor(pki: Pki) -> tuple[Session, ServerConfig]:
    """A server without a certificate that anybody trusts, and the session that lets it in.

    Its certificates are the true server's, which everybody can have; the secret is the impostor's.
    """
    theirs = ServerConfig(credentials=Pki().server("localhost"), max_early_data=100)
    careless = Careless()
    client = ClientConfig(verify_peer=False, sessions=careless, versions=["TLSv1.3"])
    assert Pair(client, theirs).run().established
    assert careless.session is not None
    return replace(careless.session, peer_chain_der=pki.server("localhost").chain_der), theirs


def planted(pki: Pki, file: Path) -> tuple[ClientConfig, ServerConfig]:
    """The victim's config, and the impostor for whom its file of sessions vouches."""
    session, theirs = impostor(pki)
    keys: list[str] = []

    class Noting(Careless):
        def take(self, key: str) -> None:
            keys.append(key)

    client = ClientConfig(trust=pki.trust, sessions=Noting(), allow_early_data=True)
    ClientConnection(client, server_name="localhost")
    SessionStore.file(file).put(keys[0], session)
    return client, theirs


def shared(file: Path) -> None:
    file.chmod(0o666)


def readable(file: Path) -> None:
    file.chmod(0o640)


def linked(file: Path) -> None:
    file.rename(file.with_suffix(".theirs"))
    file.symlink_to(file.with_suffix(".theirs"))


def linked_twice(file: Path) -> None:
    os.link(file, file.with_suffix(".theirs"))


def of_somebody_else(file: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give a file away")
    os.chown(file, 12345, -1)


def in_an_open_directory(file: Path) -> None:
    file.parent.chmod(0o777)


def in_a_directory_of_somebody_else(file: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give a directory away")
    os.chown(file.parent, 12345, -1)


def below_an_open_directory(file: Path) -> None:
    file.parent.parent.chmod(0o777)


def below_a_directory_of_somebody_else(file: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give a directory away")
    os.chown(file.parent.parent, 12345, -1)


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
@pytest.mark.parametrize(
    "change",
    [
        shared,
        readable,
        linked,
        linked_twice,
        of_somebody_else,
        in_an_open_directory,
        in_a_directory_of_somebody_else,
        below_an_open_directory,
        below_a_directory_of_somebody_else,
    ],
)
@pytest.mark.parametrize("opened", ["before", "after"])
def test_a_planted_file(
    pki: Pki, tmp_path: Path, change: Callable[[Path], None], opened: str
) -> None:
    """No session comes out of it, no early data goes to the impostor, and it is not touched."""
    place = tmp_path / "above" / "place"
    place.parent.mkdir(mode=0o700)
    place.mkdir(mode=0o700)
    file = place / "sessions"
    client, theirs = planted(pki, file)
    content = file.read_bytes()
    if opened == "after":
        change(file)
        with pytest.raises(ConfigurationError, match="Cannot use the session file"):
            SessionStore.file(file)
    else:
        store = SessionStore.file(file)
        change(file)
        config = replace(client, sessions=store)
        assert ClientConnection(config, server_name="localhost").early_data_limit == 0
        pair = Pair(config, theirs).run()
        assert isinstance(pair.client.error, ProtocolError)
        assert pair.client.error.fault is Fault.CERTIFICATE_UNTRUSTED
        assert Pair(config, ServerConfig(credentials=pki.server("localhost"))).run().established
        assert sorted(each.name for each in place.iterdir() if each.name[0] == ".") == []
    assert file.read_bytes() == content


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
@pytest.mark.parametrize("opened", ["before", "after"])
def test_a_directory_that_was_swapped(pki: Pki, tmp_path: Path, opened: str) -> None:
    """The file is this user's own and private, and so is its directory: it is another one, though.

    Whoever can write one level up has put a link to it in the place of the one that was meant.
    """
    above, meant, downloads = tmp_path / "above", tmp_path / "above" / "app", tmp_path / "downloads"
    for directory in (above, meant, downloads):
        directory.mkdir(mode=0o700)
    client, theirs = planted(pki, downloads / "sessions")
    store = SessionStore.file(meant / "sessions")
    above.chmod(0o777)
    meant.rename(above / "app.old")
    meant.symlink_to(downloads)
    if opened == "after":
        with pytest.raises(ConfigurationError, match=f"others can write to the directory {above} "):
            SessionStore.file(meant / "sessions")
        return
    config = replace(client, sessions=store)
    assert ClientConnection(config, server_name="localhost").early_data_limit == 0
    error = Pair(config, theirs).run().client.error
    assert isinstance(error, ProtocolError)
    assert error.fault is Fault.CERTIFICATE_UNTRUSTED


def test_what_it_would_have_done(pki: Pki, tmp_path: Path) -> None:
    """The file of one's own is believed: who can write it can do more than that already."""
    client, theirs = planted(pki, tmp_path / "sessions")
    pair = Pair(replace(client, sessions=SessionStore.file(tmp_path / "sessions")), theirs).run()
    assert pair.client.info.peer_verified
