"""RSA key transport: a server must not tell a bad ciphertext from a good one (RFC 5246 7.4.7.1).

Bleichenbacher's attack asks a server about many ciphertexts, and needs from each answer one bit:
whether what came out began with 00 02. Here all kinds of bad ciphertexts are sent, made by raw RSA
so that everything in them is as the test wants; what the server does must be the same to the
byte, and the same in what it calls, until and in the alert that answers the client's Finished.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.adversarial.conftest import refused
from tests.adversarial.encounter import Encounter
from tests.pki import Pki, key_of_type

from handclasp import Fault, Recorder, ServerConfig, ServerConnection, TLSError
from handclasp.certificates.credentials import LocalSigner
from handclasp.crypto.secret import Secret
from handclasp.iana import AlertLevel, ContentType
from handclasp.testing.deviations import handshake_message
from handclasp.testing.scripted12 import CLOSING, KEY_TRANSPORT_SUITE, Record, ScriptedClient12
from handclasp.trace.events import QuestionPut
from handclasp.wire.messages12 import ClientKeyExchange, write_encrypted_secret

SIZE = 256
"""Bytes of the modulus."""

GOOD_SECRET = b"\x03\x03" + bytes(range(46))


def nonzero(count: int) -> bytes:
    """Padding as it should be: random and without zeros."""
    return bytes(1 + byte % 255 for byte in os.urandom(count))


def block(secret: bytes, *, start: bytes = b"\0\2", end: bytes = b"\0") -> bytes:
    """An encryption block of PKCS #1 v1.5 (RFC 8017 section 7.2.1), or what is none."""
    return start + nonzero(SIZE - len(start) - len(end) - len(secret)) + end + secret


def encrypted(content: bytes, key: rsa.RSAPublicKey) -> bytes:
    """RSA and nothing else."""
    numbers = key.public_numbers()
    return pow(int.from_bytes(content, "big"), numbers.e, numbers.n).to_bytes(SIZE, "big")


Make = Callable[[rsa.RSAPublicKey], tuple[bytes, bytes]]
"""A ciphertext, and the secret that a careless server would take from it."""


def of_block(make: Callable[[], bytes], secret: bytes = GOOD_SECRET) -> Make:
    return lambda key: (encrypted(make(), key), secret)


def of_secret(secret: bytes) -> Make:
    return of_block(lambda: block(secret), secret)


def good_ciphertext(key: rsa.RSAPublicKey) -> bytes:
    return encrypted(block(GOOD_SECRET), key)


def modulus_or_more(key: rsa.RSAPublicKey) -> tuple[bytes, bytes]:
    """A good ciphertext with the modulus added: the same number to RSA, and not valid."""
    limit, modulus = 1 << 8 * SIZE, key.public_numbers().n
    while True:
        number = int.from_bytes(good_ciphertext(key), "big") + modulus
        if number < limit:
            return number.to_bytes(SIZE, "big"), GOOD_SECRET


def early_zero(at: int) -> bytes:
    good = bytearray(block(GOOD_SECRET))
    good[at] = 0
    return bytes(good)


BAD: dict[str, Make] = {
    "starts with 00 01": of_block(lambda: block(GOOD_SECRET, start=b"\0\1")),
    "starts with 01 02": of_block(lambda: block(GOOD_SECRET, start=b"\1\2")),
    "starts with 00 00": of_block(lambda: block(GOOD_SECRET, start=b"\0\0")),
    "no padding at all": of_block(lambda: bytes(SIZE - 48) + GOOD_SECRET),
    "no zero after the padding": of_block(lambda: block(b"", end=b"\1")),
    "zero in the first 8 bytes": of_block(lambda: early_zero(4)),
    "zero as the first byte": of_block(lambda: early_zero(2)),
    "zero too early": of_block(lambda: early_zero(100)),
    "zero one too early": of_block(lambda: early_zero(SIZE - 50)),
    "secret of 47 bytes": of_secret(GOOD_SECRET[:47]),
    "secret of 49 bytes": of_secret(GOOD_SECRET + b"x"),
    "secret of 1 byte": of_secret(b"\3"),
    "secret of 0 bytes": of_secret(b""),
    "secret of 245 bytes": of_secret(b"\3\3" + bytes(243)),
    "SSL 3.0": of_secret(b"\3\0" + GOOD_SECRET[2:]),
    "TLS 1.0": of_secret(b"\3\1" + GOOD_SECRET[2:]),
    "TLS 1.1": of_secret(b"\3\2" + GOOD_SECRET[2:]),
    "TLS 1.3": of_secret(b"\3\4" + GOOD_SECRET[2:]),
    "version 0": of_secret(b"\0\0" + GOOD_SECRET[2:]),
    "random": lambda key: (b"\0" + os.urandom(SIZE - 1), GOOD_SECRET),
    "number 0": lambda key: (bytes(SIZE), GOOD_SECRET),
    "number 1": lambda key: (bytes(SIZE - 1) + b"\1", GOOD_SECRET),
    "modulus": lambda key: (key.public_numbers().n.to_bytes(SIZE, "big"), GOOD_SECRET),
    "more than the modulus": modulus_or_more,
    "all bits set": lambda key: (b"\xff" * SIZE, GOOD_SECRET),
    "shorter than the modulus": lambda key: (good_ciphertext(key)[:-1], GOOD_SECRET),
    "longer than the modulus": lambda key: (b"\0" + good_ciphertext(key), GOOD_SECRET),
    "far longer": lambda key: (os.urandom(4096), GOOD_SECRET),
    "one byte": lambda key: (b"\1", GOOD_SECRET),
    "empty": lambda key: (b"", GOOD_SECRET),
    # What a server might take instead, if it does not draw it.
    "guess of zeros": of_block(lambda: block(GOOD_SECRET, start=b"\0\1"), bytes(48)),
    "guess of a version and zeros": of_block(lambda: bytes(SIZE), b"\3\3" + bytes(46)),
}

GOOD = of_secret(GOOD_SECRET)


class Probe(ScriptedClient12):
    """A client that sends this ciphertext, and goes on with this secret."""

    def __init__(self, make: Make, key: rsa.RSAPublicKey, **script: Any) -> None:
        self.ciphertext, secret = make(key)
        super().__init__(KEY_TRANSPORT_SUITE, order=(), **script)
        self.pre_master_secret = Secret(secret)

    def client_key_exchange(self) -> Any:
        return ClientKeyExchange(write_encrypted_secret(self.ciphertext))


class Server:
    """A server of ours that notes what it draws, and each time it is asked to decrypt."""

    def __init__(self, pki: Pki) -> None:
        credentials = pki.server("localhost", key_type="rsa-2048")
        leaf = x509.load_der_x509_certificate(credentials.chain_der[0])
        key = leaf.public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        self.key = key
        self.drawn: list[int] = []
        self.config = ServerConfig(
            credentials=credentials, allow_rsa_key_transport=True, entropy=self._draw
        )

    def meet(self, make: Make, trace: Recorder | None = None, **script: Any) -> Encounter:
        """Up to the ServerHelloDone."""
        peer = Probe(make, self.key, **script)
        encounter = Encounter(ServerConnection(self.config, trace=trace), peer)
        assert encounter.error is None
        self.drawn.clear()
        return encounter

    def _draw(self, count: int) -> bytes:
        self.drawn.append(count)
        return os.urandom(count)


@pytest.fixture(scope="module")
def server(pki: Pki) -> Server:
    assert key_of_type("rsa-2048").key_size == 8 * SIZE
    return Server(pki)


def reactions(encounter: Encounter, steps: tuple[str, ...]) -> list[bytes]:
    """What the server says after each of these steps."""
    said: list[bytes] = []
    for step in steps:
        encounter.peer.act([step])
        with_it = encounter.peer.take()
        if encounter.connection.failure is None:
            encounter._receive(with_it)
        said.append(bytes(encounter.connection.data_to_send()))
    return said


STEPS = ("client_key_exchange", *CLOSING)
ALERT = b"\x15\x03\x03\x00\x02\x02\x14"
"""bad_record_mac, fatal, in the clear."""


def test_a_good_one(server: Server) -> None:
    """The probe is a good client where the ciphertext is a good one."""
    encounter = server.meet(GOOD)
    said = reactions(encounter, STEPS)
    assert encounter.connection.established
    assert said[:2] == [b"", b""]
    assert said[2].startswith(b"\x14\x03\x03\x00\x01\x01\x16")


@pytest.mark.parametrize("make", BAD.values(), ids=list(BAD))
def test_every_bad_one(server: Server, make: Make) -> None:
    """Nothing comes before the client's Finished, and then always the same seven bytes."""
    encounter = server.meet(make)
    assert reactions(encounter, STEPS) == [b"", b"", ALERT]
    assert encounter.error is not None
    assert encounter.error.fault is Fault.BAD_RECORD_MAC
    assert not encounter.connection.established
    assert str(encounter.error) == str(reference_error(server))


def reference_error(server: Server) -> object:
    """What the application is told of any other bad one: it may end up in front of the client."""
    encounter = server.meet(BAD["random"])
    reactions(encounter, STEPS)
    return encounter.error


GARBAGE = Record(ContentType.HANDSHAKE, bytes(8) + b"no Finished under any keys at all")

OTHER_ENDINGS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "no change_cipher_spec": (("client_key_exchange", "finished"), {}),
    "no ciphertext": (STEPS, {"finished": GARBAGE}),
    "short record": (STEPS, {"finished": Record(ContentType.HANDSHAKE, b"x")}),
    "alert": (STEPS, {"finished": Record(ContentType.ALERT, b"\2\x28")}),
    "data": (STEPS, {"finished": Record(ContentType.APPLICATION_DATA, bytes(40))}),
    "again": (("client_key_exchange", "client_key_exchange"), {}),
    "early alert": (STEPS, {"change_cipher_spec": Record(ContentType.ALERT, b"\2\x28")}),
    "certificate": (STEPS, {"change_cipher_spec": Record(ContentType.HANDSHAKE, b"\x0b\0\0\0")}),
}


class Keyless(Probe):
    """Never encrypts: what it sends does not depend on any secret."""

    def derive_keys(self) -> None:
        pass


@pytest.mark.parametrize("ending", OTHER_ENDINGS)
def test_every_other_ending(server: Server, ending: str) -> None:
    """A client that does not know the secret learns nothing however it goes on: good and bad."""
    steps, script = OTHER_ENDINGS[ending]
    seen = set[tuple[tuple[bytes, ...], str]]()
    for make in (GOOD, *BAD.values()):
        connection = ServerConnection(server.config)
        encounter = Encounter(connection, Keyless(make, server.key, **script))
        said = reactions(encounter, steps)
        seen.add((tuple(said), str(encounter.error)))
    ((said_by_all, _),) = seen
    assert said_by_all[0] == b""


def test_nothing_at_all_follows(server: Server) -> None:
    """Neither does the end of the transport show a difference."""
    seen = set[str]()
    for make in (GOOD, *BAD.values()):
        encounter = server.meet(make)
        assert reactions(encounter, STEPS[:2]) == [b"", b""]
        with pytest.raises(Exception, match="closed") as caught:
            encounter.connection.receive_eof()
        seen.add(str(caught.value))
        assert encounter.connection.data_to_send() == b""
    assert len(seen) == 1


# The same work


@pytest.mark.parametrize("make", [GOOD, *BAD.values()], ids=["good", *BAD])
def test_one_draw_and_one_decryption(server: Server, make: Make) -> None:
    """The secret to take instead is drawn for good ciphertexts, too, and before the decryption."""
    trace = Recorder()
    encounter = server.meet(make, trace)
    already = len(trace.events)
    reactions(encounter, STEPS[:1])
    assert server.drawn == [48]
    asked = [each for each in trace.events[already:] if isinstance(each, QuestionPut)]
    assert [each.question for each in asked] == ["Decrypt"]
    kinds = [type(each).__name__ for each in trace.events[already:]]
    reference = Recorder()
    encounter = server.meet(GOOD, reference)
    already = len(reference.events)
    reactions(encounter, STEPS[:1])
    assert kinds == [type(each).__name__ for each in reference.events[already:]]


RSA_OPERATION = "RSAPrivateKey.decrypt"


def calls(server: Server, make: Make) -> list[str]:
    """All functions that the server calls, of Python and of C, over the ClientKeyExchange.

    What the RSA operation itself calls is left out: it looks at the ciphertext's length first,
    which is no secret, and at what is inside only in OpenSSL.
    """
    encounter = server.meet(make)
    encounter.peer.act(STEPS[:1])
    data = encounter.peer.take()
    seen: list[str] = []

    in_rsa = False

    def note(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal in_rsa
        name = (
            frame.f_code.co_qualname if event == "call" else getattr(argument, "__qualname__", "")
        )
        if in_rsa:
            in_rsa = not (event in ("c_return", "c_exception") and name == RSA_OPERATION)
        elif event in ("call", "c_call"):
            seen.append(name)
            in_rsa = name == RSA_OPERATION

    before = sys.getprofile()
    gc.disable()  # or it closes the handshakes of former calls in the middle of this one
    sys.setprofile(note)
    try:
        encounter.connection.receive_data(data)
    finally:
        sys.setprofile(before)
        gc.enable()
    return seen


def test_the_same_calls(server: Server) -> None:
    """Not constant time, which Python cannot give; but no way through that only one kind takes."""
    calls(server, GOOD)  # which imports and caches what is needed once
    reference = calls(server, GOOD)
    assert reference.count(RSA_OPERATION) == 1
    for name, make in BAD.items():
        assert calls(server, make) == reference, name


# Keys that are elsewhere


class Remote:
    """A key that signs and decrypts in its own way, and may say more than it should."""

    def __init__(self, local: LocalSigner, decrypt: Callable[[bytes], object]) -> None:
        self.schemes = local.schemes
        self.sign = local.sign
        self.decrypt = decrypt


def raises(_: bytes) -> bytes:
    raise ValueError("padding check failed")


async def raises_later(_: bytes) -> bytes:
    raise ValueError("padding check failed")


async def gives_later(_: bytes) -> object:
    return None


FAILURES: list[Callable[[bytes], object]] = [
    raises,
    raises_later,
    gives_later,
    lambda _: None,
    lambda _: b"",
    lambda _: False,
    lambda _: "an error",
    lambda _: bytearray(GOOD_SECRET),
    lambda _: TLSError,
]


@pytest.mark.parametrize("decrypt", FAILURES)
def test_every_failure_of_a_signer(server: Server, decrypt: Callable[[bytes], object]) -> None:
    """However a remote key says no, the client hears the same, and as late."""
    (credentials,) = server.config.credential_list
    assert isinstance(credentials.signer, LocalSigner)
    remote = replace(credentials, signer=Remote(credentials.signer, decrypt))
    connection = ServerConnection(replace(server.config, credentials=remote))
    encounter = Encounter(connection, Probe(GOOD, server.key))
    said: list[bytes] = []
    for step in STEPS:
        said += reactions(encounter, (step,))
        answer_later(connection)
    assert said == [b"", b"", ALERT]
    assert str(encounter.error) == str(reference_error(server))


def answer_later(connection: ServerConnection) -> None:
    """As the adapters do: what an awaitable gives is the answer, and what it raises a refusal."""
    question = connection.question
    if question is None:
        return
    pending: Any = question.pending
    try:
        pending.send(None)
    except StopIteration as done:
        connection.answer(question, done.value)
    except ValueError as error:
        connection.refuse(question, error)


# What is wrong in the open


@pytest.mark.parametrize(
    "body", [b"", b"\0", b"\0\2x", b"\0\1xy", b"\xff\xff" + bytes(256)], ids=repr
)
def test_no_ciphertext_at_all(server: Server, body: bytes) -> None:
    """The length around the ciphertext is public, and so is that it is wrong."""
    peer = Probe(GOOD, server.key, client_key_exchange=ClientKeyExchange(body))
    encounter = Encounter(ServerConnection(server.config), peer)
    peer.act(STEPS[:1])
    refused(encounter.run(), Fault.DECODE_ERROR)
    assert peer.alerts == [(AlertLevel.FATAL, Fault.DECODE_ERROR.alert)]


def test_wrong_finished_under_the_right_keys(server: Server) -> None:
    """Only who knows the secret gets this far."""
    finished = Record(ContentType.HANDSHAKE, handshake_message(20, bytes(12)))
    encounter = server.meet(GOOD, finished=finished)
    reactions(encounter, STEPS)
    assert encounter.error is not None
    assert encounter.error.fault_name == "BAD_FINISHED"
