"""The rules of negotiation as pure functions (docs/negotiation.md states them)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pki import Pki, key_of_type, key_pem

from handclasp import Credentials, Fault, ProtocolError
from handclasp.handshake.negotiation import (
    choose_application_protocol,
    choose_cipher_suite,
    choose_client_credentials,
    choose_group,
    choose_server_credentials,
    choose_signature_scheme,
    first_shared,
)
from handclasp.iana import cipher_suite_names, group_names
from handclasp.questions import ChooseCredentials

names = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=6)


@given(offered=names, acceptable=names, prefer_offered=st.booleans())
def test_first_shared(
    offered: Sequence[str], acceptable: Sequence[str], prefer_offered: bool
) -> None:
    chosen = first_shared(offered, acceptable, prefer_offered=prefer_offered)
    shared = set(offered) & set(acceptable)
    assert (chosen is None) is (not shared)
    if chosen is not None:
        deciding = offered if prefer_offered else acceptable
        assert chosen == min(shared, key=deciding.index)


@given(offered=names, acceptable=names, prefer=st.booleans(), data=st.data())
def test_group(
    offered: Sequence[str], acceptable: Sequence[str], prefer: bool, data: st.DataObject
) -> None:
    """A group with a share is taken before any other, then the order decides."""
    at_once = [name for name in offered if data.draw(st.booleans())]
    shared = set(offered) & set(acceptable)
    if not shared:
        with pytest.raises(ProtocolError) as caught:
            choose_group(offered, at_once, acceptable, prefer_client_order=prefer)
        assert caught.value.fault is Fault.NO_SHARED_GROUP
        return
    chosen = choose_group(offered, at_once, acceptable, prefer_client_order=prefer)
    candidates = shared & set(at_once) or shared
    assert chosen == min(candidates, key=(offered if prefer else acceptable).index)


@pytest.mark.parametrize("prefer", [True, False])
def test_cipher_suite(prefer: bool) -> None:
    chosen = choose_cipher_suite(["a", "b"], ["b", "a"], prefer_client_order=prefer)
    assert chosen == ("a" if prefer else "b")
    with pytest.raises(ProtocolError, match="offered: nothing; accepted here: a") as caught:
        choose_cipher_suite([], ["a"], prefer_client_order=prefer)
    assert caught.value.fault is Fault.NO_SHARED_CIPHER_SUITE


@pytest.mark.parametrize(
    ("offered", "spoken", "chosen"),
    [
        ([], [], None),
        ([b"h2"], [], None),
        ([], ["h2"], None),
        ([b"h2", b"http/1.1"], ["http/1.1", "h2"], "http/1.1"),
        ([b"\xff", b"h2"], ["h2"], "h2"),
    ],
)
def test_application_protocol(offered: list[bytes], spoken: list[str], chosen: str | None) -> None:
    assert choose_application_protocol(offered, spoken) == chosen


def test_no_application_protocol_shows_what_was_offered() -> None:
    with pytest.raises(ProtocolError) as caught:
        choose_application_protocol([b"\xff\n", b"H2"], ["h2"])
    assert caught.value.fault is Fault.NO_SHARED_APPLICATION_PROTOCOL
    assert str(caught.value).isascii()
    assert "\n" not in str(caught.value)


def test_long_offers_are_cut_short() -> None:
    with pytest.raises(ProtocolError) as caught:
        choose_cipher_suite([f"0x{n:04x}" for n in range(30_000)], ["a"], prefer_client_order=True)
    assert len(str(caught.value)) < 1000


def test_signature_scheme_in_the_order_of_the_credentials(pki: Pki) -> None:
    rsa = pki.server(key_type="rsa-2048")
    both = ["rsa_pss_rsae_sha512", "rsa_pss_rsae_sha256"]
    assert choose_signature_scheme(rsa, both, both) == "rsa_pss_rsae_sha256"
    assert choose_signature_scheme(rsa, both, both[:1]) == "rsa_pss_rsae_sha512"
    assert choose_signature_scheme(rsa, both[:1], both[1:]) is None


@pytest.mark.parametrize(
    ("name", "schemes", "strict", "expected"),
    [
        ("one.example", ["ecdsa_secp256r1_sha256", "ed25519"], False, 0),
        ("two.example", ["ecdsa_secp256r1_sha256", "ed25519"], False, 1),
        ("two.example", ["ecdsa_secp256r1_sha256"], False, 0),
        ("two.example", ["ecdsa_secp256r1_sha256"], True, Fault.NO_SHARED_SIGNATURE_SCHEME),
        ("six.example", ["ed25519"], False, 1),
        ("six.example", ["ed25519"], True, Fault.UNRECOGNIZED_NAME),
        (None, ["ed25519"], True, 1),
        (None, ["rsa_pss_rsae_sha256"], False, Fault.NO_SHARED_SIGNATURE_SCHEME),
        ("..", ["ed25519"], True, Fault.UNRECOGNIZED_NAME),
    ],
)
def test_server_credentials(
    pki: Pki, name: str | None, schemes: list[str], strict: bool, expected: int | Fault
) -> None:
    candidates = [pki.server("one.example"), pki.server("two.example", key_type="ed25519")]
    accepted = ["ecdsa_secp256r1_sha256", "ed25519", "rsa_pss_rsae_sha256"]
    question = ChooseCredentials(name, tuple(schemes))
    if isinstance(expected, Fault):
        with pytest.raises(ProtocolError) as caught:
            choose_server_credentials(question, candidates, accepted, strict_server_name=strict)
        assert caught.value.fault is expected
    else:
        chosen = choose_server_credentials(
            question, candidates, accepted, strict_server_name=strict
        )
        assert chosen is candidates[expected]


def test_client_credentials(pki: Pki) -> None:
    candidates = [pki.client(), pki.client(key_type="ed25519")]
    accepted = ["ecdsa_secp256r1_sha256", "ed25519"]
    for schemes, expected in (
        (("ed25519", "ecdsa_secp256r1_sha256"), candidates[0]),
        (("ed25519",), candidates[1]),
        (("ed448",), None),
        ((), None),
    ):
        question = ChooseCredentials(None, schemes)
        assert choose_client_credentials(question, candidates, accepted) is expected
    assert choose_client_credentials(ChooseCredentials(None, ("ed25519",)), [], accepted) is None


def test_authorities_decide_after_the_name(pki: Pki) -> None:
    other = Pki("another root")
    here, there = pki.server("one.example"), other.server("one.example")
    elsewhere = other.server("two.example")
    candidates = [here, there, elsewhere]
    accepted = ["ecdsa_secp256r1_sha256"]
    for name, authorities, expected in (
        ("one.example", (), here),
        ("one.example", other.trust.subjects(), there),
        ("one.example", (*other.trust.subjects(), *pki.trust.subjects()), here),
        ("one.example", (b"nobody",), here),
        ("two.example", pki.trust.subjects(), elsewhere),
        (None, other.trust.subjects(), there),
        ("six.example", other.trust.subjects(), there),
    ):
        question = ChooseCredentials(name, tuple(accepted), authorities=authorities)
        chosen = choose_server_credentials(question, candidates, accepted, strict_server_name=False)
        assert chosen is expected, name
        if name is None:
            assert choose_client_credentials(question, candidates, accepted) is expected


def test_a_client_shows_what_nobody_named_rather_than_nothing(pki: Pki) -> None:
    question = ChooseCredentials(None, ("ecdsa_secp256r1_sha256",), authorities=(b"nobody",))
    client = pki.client()
    assert choose_client_credentials(question, [client], ["ecdsa_secp256r1_sha256"]) is client


def test_only_types_that_the_peer_takes(pki: Pki) -> None:
    certificate = pki.server("one.example")
    raw = Credentials.raw_public_key(key_pem(key_of_type("ecdsa-p256")))
    accepted = ["ecdsa_secp256r1_sha256"]
    for types, expected in (
        (("X509",), certificate),
        (("RawPublicKey",), raw),
        (("X509", "RawPublicKey"), raw),
    ):
        question = ChooseCredentials(None, tuple(accepted), certificate_types=types)
        both = [raw, certificate]
        chosen = choose_server_credentials(question, both, accepted, strict_server_name=False)
        assert chosen is expected
        assert choose_client_credentials(question, both, accepted) is expected
    question = ChooseCredentials(None, tuple(accepted), certificate_types=("certificate type 1",))
    assert choose_client_credentials(question, [certificate], accepted) is None
    with pytest.raises(ProtocolError, match="accepted here: X509") as caught:
        choose_server_credentials(question, [certificate], accepted, strict_server_name=False)
    assert caught.value.fault is Fault.NO_SHARED_CERTIFICATE_TYPE


def test_what_offers_nothing_is_not_told_as_offered() -> None:
    """Signals and GREASE (RFC 5746, RFC 7507, RFC 8701) are no suites that could be taken."""
    offered = cipher_suite_names([0x2A2A, 0x009C, 0x00FF, 0x5600])
    with pytest.raises(ProtocolError) as caught:
        choose_cipher_suite(offered, ["TLS_AES_128_GCM_SHA256"], prefer_client_order=False)
    assert "(offered: TLS_RSA_WITH_AES_128_GCM_SHA256; accepted" in str(caught.value)


def test_groups_that_are_not_spoken_here_have_names() -> None:
    with pytest.raises(ProtocolError) as caught:
        offered = group_names([0x0A0A, 0x001A, 0x0104, 0x0016, 0x0200, 0x0029])
        choose_group(offered, (), ["X25519"], prefer_client_order=False)
    names = "brainpoolP256r1, ffdhe8192, secp256k1, MLKEM512, curveSM2"
    assert f"offered: {names}; accepted" in str(caught.value)
