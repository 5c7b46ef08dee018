"""External pre-shared keys, and those imported from them (RFC 9258)."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from handclasp.crypto.hkdf import hkdf_expand_label, hkdf_extract
from handclasp.crypto.secret import Secret
from handclasp.errors import ConfigurationError
from handclasp.sessions.psk import PreSharedKey, check_keys

SECRET = bytes(range(32))


@pytest.mark.parametrize(
    "arguments",
    [
        (b"", SECRET),
        (bytes(2**16), SECRET),
        ("name", SECRET),
        (b"name", bytes(15)),
        (b"name", "secret" * 10),
        (b"name", SECRET, "sha512"),
        (b"name", SECRET, "SHA256"),
    ],
)
def test_what_is_no_key(arguments: Any) -> None:
    with pytest.raises(ConfigurationError):
        PreSharedKey(*arguments)


def test_no_key_of_zeros() -> None:
    with pytest.raises(ConfigurationError, match="all zeros"):
        PreSharedKey(b"name", bytes(32))
    with pytest.raises(ConfigurationError, match="all zeros"):
        PreSharedKey.imported(b"name", bytes(32))


def test_imported_as_rfc_9258_section_4_says() -> None:
    short, long = PreSharedKey.imported(b"id", SECRET, context=b"context")
    assert (short.hash_name, long.hash_name) == ("sha256", "sha384")
    for key, kdf, size in ((short, 1, 32), (long, 2, 48)):
        identity = b"\0\x02id\0\x07context\x03\x04" + kdf.to_bytes(2, "big")
        assert key.identity == identity
        extracted = hkdf_extract("sha256", b"", SECRET)
        digest = hashlib.sha256(identity).digest()
        expected = hkdf_expand_label("sha256", extracted, "derived psk", digest, size)
        assert key.key == expected
        assert key.is_imported


def test_everything_makes_another_key() -> None:
    made = [
        PreSharedKey.imported(b"id", SECRET),
        PreSharedKey.imported(b"ie", SECRET),
        PreSharedKey.imported(b"id", SECRET[::-1]),
        PreSharedKey.imported(b"id", SECRET, context=b"c"),
        PreSharedKey.imported(b"id", SECRET, client=b"A", server=b"B"),
        PreSharedKey.imported(b"id", SECRET, client=b"B", server=b"A"),
        PreSharedKey.imported(b"id", SECRET, client=b"AB", server=b"C"),
        PreSharedKey.imported(b"id", SECRET, client=b"A", server=b"BC"),
        PreSharedKey.imported(b"id", SECRET, hash_name="sha384"),
    ]
    assert len({bytes(key.key) for keys in made for key in keys}) == 18


def test_names_or_a_context() -> None:
    with pytest.raises(ConfigurationError, match="not both"):
        PreSharedKey.imported(b"id", SECRET, client=b"A", context=b"c")
    with pytest.raises(ConfigurationError, match="255"):
        PreSharedKey.imported(b"id", SECRET, client=bytes(256), server=b"B")


@pytest.mark.parametrize(
    "names", [{"client": b"A"}, {"server": b"A"}, {"client": b"A", "server": b"A"}]
)
def test_names_are_two_and_differ(names: Any) -> None:
    """Both directions would have the same key, which is what names are to prevent."""
    with pytest.raises(ConfigurationError, match="two names"):
        PreSharedKey.imported(b"id", SECRET, **names)


@pytest.mark.parametrize("name", ["client", "server", "context"])
def test_names_are_bytes(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be bytes, not str"):
        PreSharedKey.imported(b"id", SECRET, **{name: "A"})  # type: ignore[arg-type]


def test_a_text_is_told_from_too_short_a_key() -> None:
    wrong: Any = "dev"
    with pytest.raises(ConfigurationError, match=r"identity .* must be bytes, not str"):
        PreSharedKey(wrong, SECRET)
    wrong = SECRET.hex()
    with pytest.raises(ConfigurationError, match=r"must be bytes, not str: bytes\.fromhex"):
        PreSharedKey(b"dev", wrong)


def test_a_list_of_keys() -> None:
    one, two = PreSharedKey(b"1", SECRET), PreSharedKey(b"2", SECRET)
    assert check_keys([one, two]) == (one, two)
    for wrong in (one, [b"key"], None, [one, PreSharedKey(b"1", b"k" * 32)]):
        with pytest.raises(ConfigurationError):
            check_keys(wrong)


def test_keys_do_not_show() -> None:
    key = PreSharedKey(b"name", SECRET)
    assert isinstance(key.key, Secret)
    assert SECRET.hex() not in repr(key)
    assert repr(SECRET) not in repr(key)


def test_a_fingerprint_is_of_the_key_and_not_of_its_name() -> None:
    keys = [
        PreSharedKey(b"a", b"k" * 32),
        PreSharedKey(b"b", b"k" * 32),
        PreSharedKey(b"a", bytes(31) + b"1"),
        PreSharedKey(b"a", b"k" * 33),
        PreSharedKey(b"a", b"k" * 32, "sha384"),
        PreSharedKey(b"a", b"k" * 32, is_imported=True),
    ]
    assert len({key.fingerprint for key in keys}) == len(keys)
    assert {len(key.fingerprint) for key in keys} == {32}
    assert keys[0].fingerprint == PreSharedKey(b"a", b"k" * 32).fingerprint
