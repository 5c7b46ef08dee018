"""Limits are positive, and generous enough for honest peers."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace

import pytest

from handclasp.errors import ConfigurationError
from handclasp.limits import Limits

NAMES = [field.name for field in fields(Limits)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0, -1])
def test_no_limit_is_nothing(name: str, value: int) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be at least"):
        replace(Limits(), **{name: value})


@pytest.mark.parametrize("name", NAMES)
def test_the_least_value_is_taken(name: str) -> None:
    least = 8 if name == "max_records_per_key" else 1
    assert getattr(replace(Limits(), **{name: least}), name) == least
    if name == "max_records_per_key":
        with pytest.raises(ConfigurationError, match="at least 8, not 7"):
            Limits(max_records_per_key=7)


def test_the_defaults_let_honest_handshakes_through() -> None:
    limits = Limits()
    # A ClientHello may be 2^16 bytes of extensions and a little more in front of them.
    assert limits.max_hello_bytes >= 2**16
    assert limits.max_certificate_bytes >= 2**16
    assert (
        limits.max_handshake_bytes
        >= limits.max_hello_bytes + limits.max_certificate_bytes + limits.max_other_message_bytes
    )
    assert limits.max_records_per_key is None


def test_limits_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Limits().max_hello_bytes = 1  # type: ignore[misc]


def test_every_limit_is_described() -> None:
    assert Limits.__doc__ is not None
    for name in NAMES:
        assert f"{name}:" in Limits.__doc__
