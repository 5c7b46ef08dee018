"""Where secrets are, how they are compared, that they do not show, and that they go."""

from __future__ import annotations

import ast
import base64
import copy
import gc
import hmac
import importlib
import inspect
import logging
import pickle
import pkgutil
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import pytest
from tests.fuzz import conversation
from tests.fuzz.conversation import CHANCE, Setup, carry, setups
from tests.pki import Pki

import handclasp
from handclasp import (
    ClientConfig,
    ClientConnection,
    ConfigurationError,
    Credentials,
    Fault,
    PreSharedKey,
    ProtocolError,
    Recorder,
    ServerConfig,
    ServerConnection,
    SessionStore,
    TicketKeys,
    TLSError,
    TrustStore,
)
from handclasp.capture.secrets import KeyLog
from handclasp.certificates.authority import IssuedCertificate
from handclasp.crypto.secret import Secret
from handclasp.crypto.suites import CIPHER_SUITES
from handclasp.handshake.tls13.psk import EXTERNAL, Psk
from handclasp.redis.shared_keys import SharedKey
from handclasp.sessions.ticket_keys import TicketKey
from handclasp.trace.events import KeyStep, MessageSeen, SecretDerived
from handclasp.trace.keylog import open_keylog

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "handclasp"
TOUCHES = (
    "crypto.secret import",
    "note_shared_secret(",
    ".exchange(",
    ".decapsulate(",
    ".decrypt(",
    ".aead.",
    "signer.sign",
    "private_key",
)
"""What a module that has secrets in its hands cannot do without."""


def test_every_place_is_listed() -> None:
    """The list in docs/security.md is that of the source: no more and no less."""
    touching = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if path.relative_to(SOURCE).parts[0] != "testing"  # Its secrets protect nothing.
        if any(words in path.read_text(encoding="utf-8") for words in TOUCHES)
    }
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    section = text.partition("## Where secrets pass through Python")[2].partition("\n## ")[0]
    listed = set(re.findall(r"`([a-z0-9_/]+\.py)`", section))
    assert listed == touching


# Comparing

PROOFS = re.compile(r"verify_data|binder|finished|\bmac\b|secret|\btag\b|\bkey\b", re.IGNORECASE)
WITHOUT_SECRETS = ("certificates", "cli", "serving", "trace", "adapters")
"""Where those words mean other things: keys in certificates, names of secrets, entity tags."""


def comparisons(path: Path) -> Iterator[str]:
    """What is compared by `==` and `!=` in a file, but for comparisons with a constant."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Compare) and any(
            isinstance(operator, ast.Eq | ast.NotEq) for operator in node.ops
        ):
            sides = [node.left, *node.comparators]
            if not any(_is_constant(side) for side in sides):
                yield ast.unparse(node)


def _is_constant(side: ast.expr) -> bool:
    """A literal, or a name in capitals, such as that of a type of message."""
    name = getattr(side, "attr", getattr(side, "id", ""))
    return isinstance(side, ast.Constant) or name.isupper()


def test_no_proof_is_compared_by_its_bytes() -> None:
    found = [
        text
        for path in SOURCE.rglob("*.py")
        if path.relative_to(SOURCE).parts[0] not in WITHOUT_SECRETS
        for text in comparisons(path)
        if PROOFS.search(text)
        and not re.search(
            r"len\(|hash_name|key_id|identity|ExtensionType|key_exchange|kind|\.keys\b", text
        )
    ]
    assert found == []


@pytest.mark.parametrize("setup", setups(), ids=lambda setup: setup.name)
def test_verify_data_are_compared_in_constant_time(
    monkeypatch: pytest.MonkeyPatch, setup: Setup
) -> None:
    """Each side's Finished goes through `hmac.compare_digest`, and binders do."""
    compared: list[bytes] = []
    real = hmac.compare_digest

    def spy(one: Any, other: Any) -> bool:
        compared.extend((bytes(one), bytes(other)))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    trace = Recorder()
    meet(setup, trace)
    messages = [e.raw for e in trace.events if isinstance(e, MessageSeen)]
    finished = [raw[4:] for raw in messages if raw[:1] == b"\x14"]
    assert len(finished) == 2
    for verify_data in finished:
        assert compared.count(verify_data) >= 2  # What came, and what was expected.


# Showing


def meet(setup: Setup, trace: Recorder | None = None) -> tuple[ClientConnection, ServerConnection]:
    CHANCE.start()
    client = ClientConnection(setup.client, server_name=setup.server_name, trace=trace)
    server = ServerConnection(setup.server)
    conversation._send_early(client, setup)
    carry(client, server)
    assert client.established
    assert server.established
    return client, server


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Secret]:
    """Every secret that is made."""
    made: list[Secret] = []

    def note(kind: type[Secret], *arguments: Any) -> Secret:
        secret = bytes.__new__(kind, *arguments)
        made.append(secret)
        return secret

    monkeypatch.setattr(Secret, "__new__", note)
    return made


def spellings(secret: bytes) -> list[str]:
    return [secret.hex(), base64.b64encode(secret).decode(), repr(bytes(secret))[2:-1]]


@pytest.mark.parametrize("setup", setups(), ids=lambda setup: setup.name)
def test_no_secret_shows_anywhere(
    made: list[Secret], caplog: pytest.LogCaptureFixture, setup: Setup
) -> None:
    """Not in reprs, events, traces, logs, errors, nor in a traceback with all its variables."""
    caplog.set_level(logging.DEBUG)
    trace = Recorder()
    client, server = meet(setup, trace)
    client.send_data(b"data")
    said: list[object] = [*server.receive_data(client.data_to_send())]
    with pytest.raises(TLSError) as caught:
        server.receive_data(b"\x17\3\3\0\x20" + bytes(32))
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    said += [client, server, client.info, server.info, setup.client, setup.server, trace]
    said += ["".join(told.format()), trace.to_json(), trace.to_html("localhost"), caplog.text]
    said += [client.config.sessions, server.config.ticket_keys, caught.value]
    text = "\n".join(each if isinstance(each, str) else repr(each) for each in said)
    assert len(made) > 8
    for secret in made:
        if len(secret) >= 16 and any(secret):
            for spelling in spellings(secret):
                assert spelling not in text


def test_the_search_would_find_one(made: list[Secret]) -> None:
    trace = Recorder(record_secrets=True)
    meet(setups()[0], trace)
    text = trace.to_json()
    assert any(secret.hex() in text for secret in made)


MARK = "TOPSECRET" * 6
PEM = f"-----BEGIN PRIVATE KEY-----\n{MARK}\n-----END PRIVATE KEY-----\n"
MISPLACED: dict[str, Any] = {
    "PEM": PEM,
    "PEM on one line": PEM.replace("\n", "\\n"),
    "a path of PEM": Path(PEM),
    "key log": f"CLIENT_RANDOM {MARK}\nCLIENT_RANDOM {MARK}\n",
    "bytes": MARK.encode(),
    "bytearray": bytearray(MARK.encode()),
    "a pair": (b"a", MARK.encode()),
    "pairs": [(b"a", MARK.encode())],
    "mapping": {"a": MARK},
    "hexadecimal": "facade" * 8,
    "hexadecimal with colons": ":".join(["fa", "ca", "de"] * 8),
    "Base64": "TOPSECRETkey0+/x" * 3,
    "Base64 with padding": "TOPSECRETKEY" * 2 + "AA==",
    "a path of Base64": Path("TOPSECRETkey0+/x" * 3),
}
"""Secrets, in place of what is expected."""

TAKERS: dict[str, Callable[..., Any]] = {
    "PreSharedKey": PreSharedKey,
    "PreSharedKey.imported": PreSharedKey.imported,
    "TicketKey": TicketKey,
    "TicketKeys": TicketKeys,
    "ClientConfig": ClientConfig,
    "ServerConfig": ServerConfig,
    "Credentials.load": Credentials.load,
    "Credentials.auto_reload": Credentials.auto_reload,
    "Credentials.from_pem": Credentials.from_pem,
    "Credentials.from_pkcs12": Credentials.from_pkcs12,
    "Credentials.raw_public_key": Credentials.raw_public_key,
    "TrustStore.from_pem": TrustStore.from_pem,
    "TrustStore.from_files": lambda path: TrustStore.from_files(path),
    "SessionStore": SessionStore,
    "SessionStore.file": SessionStore.file,
    "open_keylog": open_keylog,
    "ServerConnection": ServerConnection,
    "ClientConnection": lambda config: ClientConnection(config),
    "connect": lambda config: handclasp.connect("127.0.0.1", 9, config),
    "OcspStaple": lambda path: handclasp.OcspStaple.from_file(path),
}
"""What is called with secrets, or with the paths of files that hold them."""

NEEDED: dict[str, Any] = {
    "identity": b"a",
    "key": bytes(range(100, 132)),
    "key_id": b"its name",
    "seals_from": 0,
    "opens_until": 1,
    "chain_path": "chain.pem",
    "key_path": "key.pem",
    "chain_bytes": b"",
    "key_bytes": b"",
    "path": "nowhere/file",
}
NOT_SECRET = {
    "identity",
    "key_id",
    "alpn",
    "versions",
    "cipher_suites",
    "groups",
    "signature_schemes",
    "key_shares",
}
NOT_SECRET |= {"server_certificate_types", "client_certificate_types", "certificate_compression"}
"""Lists of names, which are told so that a wrong one is found, and what is sent in the clear."""


@pytest.mark.parametrize("kind", MISPLACED)
@pytest.mark.parametrize("taker", TAKERS)
def test_no_error_repeats_a_misplaced_secret(
    taker: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key where its path belongs, or in another argument, is in no message and no traceback."""
    monkeypatch.chdir(tmp_path)
    for name, parameter in inspect.signature(TAKERS[taker]).parameters.items():
        if name in NOT_SECRET or parameter.kind is parameter.VAR_KEYWORD:
            continue
        needed = {
            other: NEEDED[other]
            for other, each in inspect.signature(TAKERS[taker]).parameters.items()
            if each.default is each.empty and other in NEEDED
        }
        said = ""
        try:
            made = TAKERS[taker](**(needed | {name: MISPLACED[kind]}))
            said = repr(made) if not isinstance(made, tuple) else ""
        except (ValueError, TypeError, OSError) as error:
            said = "".join(traceback.format_exception(error)) + repr(error)
        assert not re.search("TOPSECRET|facade|fa:ca:de", said), name


def test_a_key_in_place_of_its_path_is_told_where_it_belongs() -> None:
    for call in (Credentials.load, Credentials.auto_reload):
        with pytest.raises(ConfigurationError, match=r"PEM text, not a path: use .*from_pem\("):
            call("chain.pem", PEM)
    with pytest.raises(ConfigurationError, match="PEM text, not a path: use its content as bytes"):
        TrustStore.from_pem(PEM)


def test_what_may_be_a_key_is_a_path_where_something_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "facade" * 8
    with pytest.raises(ConfigurationError, match=r"may be a key .* in place of a path"):
        TrustStore.from_pem(name)
    for path in (f"./{name}", tmp_path / name):
        with pytest.raises(ConfigurationError, match=f"no file for the CA file .*{name}"):
            TrustStore.from_pem(path)
    (tmp_path / name).write_bytes(Pki().pem)
    assert name in repr(TrustStore.from_pem(name))


# Holding: which values have a secret inside, found by looking at every class and every object

NAMES = re.compile(r"secret|key|psk|password|private|master|exporter", re.IGNORECASE)
"""What a field with a secret in it is called."""

NO_SECRETS = {
    "_Static.psk_modes": "the data of psk_key_exchange_modes, which go over the wire in the clear",
    "Answer._issuer_key_hash": "the hash of a public key (RFC 6960)",
    "CtLog.public_key": "of a log, for all to know",
    "EchConfig.public_key": "of a server, published for all its clients",
    "SharedConfig.raw_public_keys": "public keys",
    "Certificate12.raw_public_key": "a public key",
    "ClientConfig.raw_public_keys": "the same",
    "ServerConfig.raw_public_keys": "the same",
    "ConnectionInfo.psk_identity": "goes over the wire in the clear",
    "Session.psk_fingerprint": "a hash over a key of at least 128 random bits; names it only",
    "TicketKey.key_id": "stands in front of each ticket",
    "KeyShareEntry.key_exchange": "a public value",
    "ClientKeyExchange.exchange_keys": "a public value, or a ciphertext",
    "_Identity.spki": "a public key",
    "Identity.key_pem": "made for a benchmark, and handed to other stacks as it is",
}

MATERIAL = bytes(range(100, 132))
LOG = b"CLIENT_TRAFFIC_SECRET_0 " + b"00" * 32 + b" " + MATERIAL.hex().encode()


def read_log() -> KeyLog:
    log = KeyLog()
    log.add(LOG)
    return log


def recorded() -> Recorder:
    recorder = Recorder(record_secrets=True)
    recorder.secret("EXPORTER_SECRET", MATERIAL)
    recorder.key_step("HMAC", "x", (), "", b"", len(MATERIAL), MATERIAL)
    return recorder


TICKET_KEY = TicketKey(b"its name", MATERIAL, 0, 1)
SUITE = CIPHER_SUITES["TLS_AES_128_GCM_SHA256"]
HOLDERS: dict[str, Callable[[], Any]] = {
    "TicketKey.key": lambda: TicketKey(b"its name", MATERIAL, 0, 1),
    "PreSharedKey.key": lambda: PreSharedKey(b"a client", MATERIAL),
    "IssuedCertificate.key_pem": lambda: IssuedCertificate(b"", MATERIAL),
    "Psk.key": lambda: Psk(b"", 0, PreSharedKey(b"x", MATERIAL).key, SUITE, EXTERNAL),
}
"""Fields that say bytes and hold a secret, for each a value with `MATERIAL` in it."""

INSIDE: dict[str, Callable[[], Any]] = {
    **HOLDERS,
    "SecretDerived": lambda: SecretDerived(0, "EXPORTER_SECRET", MATERIAL),
    "KeyStep": lambda: KeyStep(0, "HMAC", "x", (), "", b"", len(MATERIAL), MATERIAL),
    "Recorder": lambda: recorded(),
    "a recorder that was read": lambda: Recorder.from_json(recorded().to_json()),
    "SharedKey": lambda: SharedKey(TICKET_KEY, 0, 1, 1),
    "KeyLog": read_log,
    "DerivedKeyAead": lambda: TICKET_KEY.aead,
    "imported": lambda: PreSharedKey.imported(b"a client", MATERIAL),
}


def classes() -> Iterator[type]:
    """Every class of the package."""
    for found in pkgutil.walk_packages(handclasp.__path__, "handclasp."):
        if not found.name.endswith("__main__"):
            module = importlib.import_module(found.name)
            for _, kind in inspect.getmembers(module, inspect.isclass):
                if kind.__module__ == found.name:
                    yield kind


def fields_of_bytes() -> set[str]:
    """Those of all classes that are called like a secret, and say that they are plain bytes."""
    return {
        f"{kind.__name__}.{name}"
        for kind in classes()
        for name, annotation in inspect.get_annotations(kind).items()
        if NAMES.search(name) and "bytes" in str(annotation)
    }


def test_every_field_that_may_hold_a_secret_is_known() -> None:
    """A new one is a `Secret`, or makes itself one (`HOLDERS`), or is none (`NO_SECRETS`)."""
    found = fields_of_bytes()
    assert found >= set(HOLDERS)
    assert found - set(HOLDERS) - set(NO_SECRETS) == set()


@pytest.mark.parametrize("name", HOLDERS)
def test_what_says_bytes_holds_a_secret(name: str) -> None:
    holder = HOLDERS[name]()
    assert type(getattr(holder, name.partition(".")[2])) is Secret


def given_away(holder: Any) -> str:
    """All that can be made of a value by printing, copying and pickling it."""
    said = [repr(holder), str(holder), f"{holder}"]
    ways: list[Callable[[Any], object]] = [asdict, copy.deepcopy, copy.copy, vars]
    for way in (*ways, *[_pickled(number) for number in range(6)]):
        try:
            made = way(holder)
        except TypeError:
            continue
        said.append(repr(made))
    return "\n".join(said)


def _pickled(protocol: int) -> Callable[[Any], bytes]:
    return lambda holder: pickle.dumps(holder, protocol)


@pytest.mark.parametrize("name", INSIDE)
def test_it_is_given_away_by_no_means(name: str) -> None:
    text = given_away(INSIDE[name]())
    for spelling in (*spellings(MATERIAL), repr(MATERIAL), str(list(MATERIAL))):
        assert spelling not in text


NOT_LOOKED_INTO = (ModuleType, type, FunctionType, BuiltinFunctionType, CodeType)


def reachable(*roots: object) -> dict[int, tuple[Any, Any]]:
    """All objects below these, variables of handshakes included, each with what refers to it."""
    seen: dict[int, tuple[Any, Any]] = {}
    waiting: list[tuple[Any, Any]] = [(root, None) for root in roots]
    while waiting:
        found, parent = waiting.pop()
        if id(found) not in seen and not isinstance(found, NOT_LOOKED_INTO):
            seen[id(found)] = found, parent
            waiting += [(each, found) for each in gc.get_referents(found)]
    return seen


def names_of(found: Any) -> Iterator[tuple[str, Any]]:
    """The attributes of an object of ours."""
    slots = [name for kind in type(found).__mro__ for name in getattr(kind, "__slots__", ())]
    for name in {*slots, *getattr(found, "__dict__", {})}:
        yield name, getattr(found, name, None)


def plain_secrets(seen: dict[int, tuple[Any, Any]], made: list[Secret]) -> set[str]:
    """Where a secret lies as plain bytes, or an attribute is called like one and is no `Secret`."""
    secrets = {bytes(secret) for secret in made if len(secret) >= 16 and any(secret)}
    told: set[str] = set()
    for found, parent in seen.values():
        if isinstance(found, bytes | bytearray) and type(found) is not Secret:
            if bytes(found) in secrets:
                told.add(f"{len(found)} bytes in {type(parent).__name__}")
        elif type(found).__module__.startswith("handclasp"):
            for name, value in names_of(found):
                if type(value) is bytes and value and NAMES.search(name):
                    told.add(f"{type(found).__name__}.{name}")
    return told - set(NO_SECRETS)


@pytest.mark.parametrize("setup", setups(), ids=lambda setup: setup.name)
def test_nothing_reachable_holds_a_secret_as_plain_bytes(made: list[Secret], setup: Setup) -> None:
    """At every pause of both handshakes, and when they are complete."""
    CHANCE.start()
    client = ClientConnection(setup.client, server_name=setup.server_name)
    server = ServerConnection(setup.server)
    conversation._send_early(client, setup)
    moved, kinds = True, dict[str, Any]()
    while moved:
        moved = False
        for sender, receiver in ((client, server), (server, client)):
            seen = reachable(client, server)
            assert plain_secrets(seen, made) == set()
            kinds |= {
                type(found).__name__: found
                for found, _ in seen.values()
                if type(found).__module__.startswith("handclasp")
            }
            if data := bytes(sender.data_to_send()):
                receiver.receive_data(data)
                moved = True
    assert client.established
    assert server.established
    assert len(kinds) > 25
    for found in kinds.values():
        text = given_away_by_pickling(found)
        for secret in made:
            if len(secret) >= 16 and any(secret):
                assert bytes(secret) not in text


def given_away_by_pickling(found: object) -> bytes:
    try:
        return pickle.dumps(found)
    except Exception:  # What cannot be pickled says so in many ways.
        return b""


def test_the_walk_would_find_one(made: list[Secret]) -> None:
    class Careless:
        def __init__(self) -> None:
            self.note = bytes(Secret(MATERIAL))

    (told,) = plain_secrets(reachable(Careless()), made)
    assert told.startswith("32 bytes in ")


# Going


@pytest.mark.parametrize("setup", setups(), ids=lambda setup: setup.name)
def test_what_is_done_with_is_gone(made: list[Secret], setup: Setup) -> None:
    """Of an established connection there remain the secrets that it still has a use for."""
    client, server = meet(setup)
    gone = sys.getrefcount(bytes(17))  # One that nothing else refers to.
    alive = [secret for secret in made if secret and sys.getrefcount(secret) > gone + 2]
    # In TLS 1.3 for each side: two of traffic, one to export, one for tickets, one they come from;
    # and what a store keeps of the session that was resumed.
    assert 2 <= len(alive) <= 12
    assert len(alive) < len(made) / 2
    assert client.established
    assert server.established


def test_a_failed_connection_opens_and_seals_no_more() -> None:
    client, server = meet(setups()[0])
    with pytest.raises(ProtocolError) as caught:
        server.receive_data(b"\x17\3\3\0\x20" + bytes(32))
    assert caught.value.fault is Fault.BAD_RECORD_MAC
    assert server._records.read_key is None
    assert server._post is None
    assert server._handshake is None
    with pytest.raises(ProtocolError):
        server.send_data(b"more")
    assert client.established


# Failing: an exception on the way of a secret to the disk, told with all variables


def told(error: BaseException) -> str:
    """A traceback as reporters of errors make it, without the variables of this test."""
    found = traceback.TracebackException.from_exception(error, capture_locals=True)
    pending: list[Any] = [found]
    lines: list[str] = []
    while pending:
        each = pending.pop()
        behind = (each.__cause__, each.__context__, *(each.exceptions or ()))
        pending += [one for one in behind if one is not None]
        lines += each.format_exception_only()
        for frame in each.stack:
            if not frame.name.startswith("test_"):
                lines += [frame.name, *(frame.locals or {}).values()]
    return "\n".join(lines)


class OwnSink:
    """A sink of an application's own, which raises one exception out of another."""

    def __call__(self, line: str) -> None:
        try:
            self.fail(line)
        except ValueError as error:
            raise RuntimeError("the log is gone") from error

    def fail(self, line: str) -> None:
        raise ExceptionGroup("several", [self.failed(line)])

    def failed(self, line: str) -> Exception:
        try:
            raise OSError("no space")
        except OSError as error:
            return error


class Grouped(OwnSink):
    def __call__(self, line: str) -> None:
        self.fail(line)


def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write", full)
    monkeypatch.setattr("os.fsync", full)


@pytest.mark.parametrize("sink", ["a file", OwnSink(), Grouped()])
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_a_key_log_that_fails_shows_no_secret(
    made: list[Secret], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sink: Any, version: Any
) -> None:
    setup = setups()[0]
    keylog = tmp_path / "keys.log" if sink == "a file" else sink
    client_config = replace(setup.client, versions=(version,), keylog=keylog)
    server_config = replace(setup.server, versions=("TLSv1.3", "TLSv1.2"))
    full_disk(monkeypatch)
    CHANCE.start()
    client = ClientConnection(client_config, server_name=setup.server_name)
    server = ServerConnection(server_config)
    with pytest.raises(ProtocolError) as caught:
        carry(client, server)
    fault = "KEY_LOG_FAILED" if sink == "a file" else "CALLBACK_FAILED"
    assert caught.value.fault_name == fault
    assert caught.value.__cause__ is not None  # What went wrong is still told.
    text = told(caught.value)
    assert "_raise_failure" in text
    for secret in made:
        if len(secret) >= 16 and any(secret):
            for spelling in spellings(secret):
                assert spelling not in text


def test_a_key_log_that_is_called_by_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write = open_keylog(tmp_path / "keys.log")
    full_disk(monkeypatch)
    with pytest.raises(OSError, match="No space") as caught:
        write(LOG.decode())
    assert MATERIAL.hex() not in told(caught.value)


@pytest.mark.parametrize("kind", ["save", "save_pcapng"])
def test_a_trace_that_cannot_be_written_shows_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    recorder = Recorder(record_secrets=True, record_wire=True)
    recorder.message("sent", "plaintext", 1, b"\1\0\0\x22\3\3" + bytes(32))
    recorder.secret("EXPORTER_SECRET", MATERIAL)
    full_disk(monkeypatch)
    with pytest.raises(OSError, match="No space") as caught:
        getattr(recorder, kind)(tmp_path / "trace")
    assert MATERIAL.hex() not in told(caught.value)
    assert list(tmp_path.iterdir()) == []
