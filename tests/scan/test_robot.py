"""Malformed key exchanges of RSA: their forms, and servers that tell them apart or do not."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from itertools import count

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicNumbers
from tests.pki import Leaf, Pki, der_of, key_of_type
from tests.scan.model import HANDSHAKE_FAILURE, Model
from tests.scan.serving import listening, ours

from handclasp import Credentials, ServerConfig
from handclasp.iana import TLS12
from handclasp.scan import Fact, Report, ScanSettings, Target, scan
from handclasp.scan.hello import TLS10, Hello
from handclasp.scan.robot import FORMS, RANDOM_BYTES, read_reaction, write_second_flight
from handclasp.scan.steps import Ask, Provoke, RsaKey

BAD_RECORD_MAC = b"\x15\x03\x03\x00\x02\x02\x14"
RSA12 = (0x009C, 0x002F)


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


@pytest.fixture(scope="module")
def key() -> RSAPrivateKey:
    key = key_of_type("rsa-2048")
    assert isinstance(key, RSAPrivateKey)
    return key


@pytest.fixture(scope="module")
def chain(pki: Pki) -> tuple[bytes, ...]:
    return pki.server("localhost", key_type="rsa-2048").chain_der


def decrypted(key: RSAPrivateKey, encrypted: bytes) -> bytes:
    """The block in a ciphertext, however it is padded."""
    numbers = key.private_numbers()
    number = pow(int.from_bytes(encrypted, "big"), numbers.d, numbers.public_numbers.n)
    return number.to_bytes(len(encrypted), "big")


def well_padded(block: bytes) -> bool:
    return block[:2] == b"\0\2" and block.find(b"\0", 2) == len(block) - 49


@pytest.mark.parametrize("version", [TLS12, TLS10])
@pytest.mark.parametrize("form", FORMS)
def test_one_form_is_right_and_each_other_is_wrong_in_one_way(
    version: int, form: str, key: RSAPrivateKey
) -> None:
    numbers = key.public_key().public_numbers()
    provoke = Provoke(Hello(version, RSA12), RsaKey(numbers.n, numbers.e), form, complete=True)
    for random in (bytes(RANDOM_BYTES), os.urandom(RANDOM_BYTES)):
        flight = write_second_flight(provoke, random)
        assert flight[:5] == b"\x16" + version.to_bytes(2, "big") + (6 + 256).to_bytes(2, "big")
        assert flight[5:11] == b"\x10\0\1\2\1\0"
        assert flight[11 + 256 :][:6] == b"\x14" + version.to_bytes(2, "big") + b"\0\1\1"
        block = decrypted(key, flight[11 : 11 + 256])
        assert well_padded(block) is (form in ("well formed", "another version"))
        named = version.to_bytes(2, "big")
        assert block[-48:-46] == (b"\2\2" if form == "another version" else named)
        assert (block[:2] == b"\0\2") is (form != "no type 2")
        zero = {"no zero": -1, "a zero too early": 6}.get(form, len(block) - 49)
        assert block.find(b"\0", 2) == zero


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", ""),
        (BAD_RECORD_MAC[:6], ""),
        (BAD_RECORD_MAC, "alert bad_record_mac"),
        (b"\x16\x03\x03\x00\x10", "a record of type 22"),
    ],
)
def test_the_first_thing_that_a_server_says_is_read(data: bytes, says: str) -> None:
    assert read_reaction(data) == says


def examined(react: Callable[[Provoke], str], chain: tuple[bytes, ...]) -> tuple[Model, Report]:
    class Reacting(Model):
        def react(self, provoke: Provoke) -> str:
            return react(provoke)

    model = Reacting({TLS12: (0xC02F, *RSA12)}, chain=chain)
    return model, model.examine()


def test_a_server_with_one_answer_has_no_oracle(chain: tuple[bytes, ...]) -> None:
    model, report = examined(lambda provoke: "alert bad_record_mac", chain)
    assert report.features["rsa_oracle"] == Fact(
        False, "the same answer to 5 forms in TLSv1.2: alert bad_record_mac"
    )
    provoked = [each for each in model.asked if isinstance(each, Provoke)]
    assert len(provoked) == 2 * len(FORMS)
    assert {suite for each in provoked for suite in each.hello.suites} == set(RSA12)


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_any_difference_that_is_there_twice_is_an_oracle(
    form: str, complete: bool, chain: tuple[bytes, ...]
) -> None:
    def react(provoke: Provoke) -> str:
        differs = provoke.form == form and provoke.complete is complete
        return "alert decrypt_error" if differs else "nothing"

    fact = examined(react, chain)[1].features["rsa_oracle"]
    assert fact.value is True
    assert f"{form}: alert decrypt_error" in fact.says


def test_answers_that_vary_by_themselves_show_nothing(chain: tuple[bytes, ...]) -> None:
    numbers = count()
    fact = examined(lambda provoke: f"answer {next(numbers)}", chain)[1].features["rsa_oracle"]
    assert fact.value is None
    assert fact.says.startswith("its answers vary in TLSv1.2: well formed: answer 0; ")


@pytest.mark.parametrize("suites", [(0xC02F,), (0x008C,), (0x0003,)])
def test_without_the_exchange_nothing_is_sent(suites: tuple[int, ...], chain: tuple[bytes]) -> None:
    model = Model({TLS12: suites}, chain=chain)
    assert "rsa_oracle" not in model.examine().features
    assert not any(isinstance(each, Provoke) for each in model.asked)


def test_keys_that_are_no_rsa_are_left_alone(pki: Pki) -> None:
    for each in (pki.server("localhost").chain_der, (b"no certificate",), ()):
        assert "rsa_oracle" not in Model({TLS12: RSA12}, chain=each).examine().features


@pytest.mark.parametrize(("bits", "exponent"), [(9000, 65537), (2048, (1 << 40) + 1)])
def test_keys_that_cost_too_much_are_left_alone(pki: Pki, bits: int, exponent: int) -> None:
    numbers = RSAPublicNumbers(exponent, (1 << bits) - 1)
    leaf = pki.issue(Leaf(("localhost",)), numbers.public_key())
    model = Model({TLS12: RSA12}, chain=der_of(leaf))
    assert "rsa_oracle" not in model.examine().features
    assert not any(isinstance(each, Provoke) for each in model.asked)


def distinguishing(
    credentials: Credentials, key: RSAPrivateKey, answer: Callable[[bytes], bytes]
) -> Callable[[socket.socket], None]:
    """A server of TLS 1.2 that answers a key exchange by what it decrypts."""
    model = Model({TLS12: RSA12}, chain=credentials.chain_der)

    def serve(sock: socket.socket) -> None:
        sock.recv(65536)
        hello = Hello(TLS12, RSA12)
        sock.sendall(model.reply(Ask(hello, whole_flight=True)))
        flight = sock.recv(65536)
        if flight[:1] != b"\x16" or flight[5] != 16:
            return
        sock.sendall(answer(decrypted(key, flight[11 : 11 + 256])))
        sock.recv(65536)

    return serve


SERVERS: dict[str, tuple[Callable[[bytes], bytes], bool]] = {
    "by an alert": (lambda b: BAD_RECORD_MAC if well_padded(b) else HANDSHAKE_FAILURE, True),
    "by silence": (lambda b: b"" if well_padded(b) else BAD_RECORD_MAC, True),
    "by the version": (
        lambda b: HANDSHAKE_FAILURE if b[-48:-46] == b"\2\2" else BAD_RECORD_MAC,
        True,
    ),
    "not at all": (lambda b: BAD_RECORD_MAC, False),
}


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_that_tells_them_apart_is_found(kind: str, pki: Pki) -> None:
    answer, tells_apart = SERVERS[kind]
    key = key_of_type("rsa-2048")
    assert isinstance(key, RSAPrivateKey)
    credentials = pki.server("localhost", key_type="rsa-2048")
    with listening(distinguishing(credentials, key, answer)) as port:
        fact = scanned(port).features["rsa_oracle"]
    assert fact.value is tells_apart, fact


def scanned(port: int) -> Report:
    settings = ScanSettings(timeout=1)
    return asyncio.run(scan(Target("127.0.0.1", port, "localhost"), settings))


def test_our_own_server_answers_all_alike(pki: Pki) -> None:
    config = ServerConfig(
        credentials=pki.server("localhost", key_type="rsa-2048"),
        versions=["TLSv1.2"],
        cipher_suites=["TLS_RSA_WITH_AES_128_GCM_SHA256"],
        allow_rsa_key_transport=True,
    )
    with listening(ours(config)) as port:
        report = scanned(port)
    assert report.features["rsa_oracle"].value is False, report.features["rsa_oracle"]
