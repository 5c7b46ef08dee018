"""HKDF against RFC 5869, RFC 8448 and the implementation in `cryptography`."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.keys.independent import expand_label
from tests.vectors.rfc8448_traces import TRACE_NAMES, load

from handclasp.crypto.hkdf import hkdf_expand_label, hkdf_extract
from handclasp.crypto.secret import Secret


@pytest.mark.parametrize(
    ("ikm", "salt", "prk"),
    [
        (  # RFC 5869 A.1
            b"\x0b" * 22,
            bytes(range(13)),
            "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
        ),
        (  # A.2
            bytes(range(80)),
            bytes(range(0x60, 0xB0)),
            "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
        ),
        (  # A.3
            b"\x0b" * 22,
            b"",
            "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
        ),
    ],
)
def test_extract_of_rfc_5869(ikm: bytes, salt: bytes, prk: str) -> None:
    secret = hkdf_extract("sha256", salt, ikm)
    assert secret == bytes.fromhex(prk)
    assert isinstance(secret, Secret)


@pytest.mark.parametrize("trace_name", TRACE_NAMES)
def test_every_derivation_of_rfc_8448(trace_name: str) -> None:
    trace = load(trace_name)
    for extraction in trace.extractions.values():
        assert hkdf_extract("sha256", extraction.salt, extraction.ikm) == extraction.secret
    for step in trace.derivations.values():
        size = len(step.secret)
        secret = hkdf_expand_label("sha256", step.prk, step.label, step.context, size)
        assert secret == step.secret
        assert isinstance(secret, Secret)
        # The info that the RFC prints is the HkdfLabel that the independent copy makes.
        assert expand_label("sha256", step.prk, step.label, step.context, size) == step.secret


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["sha256", "sha384"]),
    st.binary(min_size=1, max_size=48),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20),
    st.binary(max_size=255),
    st.integers(1, 300),
)
def test_any_label_and_length(
    hash_name: str, secret: bytes, label: str, context: bytes, length: int
) -> None:
    expanded = hkdf_expand_label(hash_name, secret, label, context, length)
    assert len(expanded) == length
    assert expanded == expand_label(hash_name, secret, label, context, length)


@pytest.mark.parametrize(("hash_name", "size"), [("sha256", 32), ("sha384", 48)])
@pytest.mark.parametrize("difference", [-1, 0, 1])
def test_lengths_around_a_block(hash_name: str, size: int, difference: int) -> None:
    for blocks in (1, 2, 3, 255):
        length = blocks * size + difference
        if length > 255 * size:
            with pytest.raises(ValueError, match="cannot give more"):
                hkdf_expand_label(hash_name, b"secret", "label", b"", length)
        else:
            expected = expand_label(hash_name, b"secret", "label", b"", length)
            assert hkdf_expand_label(hash_name, b"secret", "label", b"", length) == expected


def test_a_label_too_long_for_its_field_is_a_defect_of_the_caller() -> None:
    hkdf_expand_label("sha256", b"s", "l" * 249, b"", 32)
    with pytest.raises(OverflowError):
        hkdf_expand_label("sha256", b"s", "l" * 250, b"", 32)
