"""Strategies of hypothesis that draw certificates, good and bad. They need hypothesis.

>>> from hypothesis import given
>>> from handclasp.testing import RootAuthority
>>> from handclasp.testing.strategies import certificates, leaves
>>> @given(certificates(RootAuthority()))
... def test_my_parser(certificate):
...     assert certificate.version.name == "v3"
>>> test_my_parser()
>>> leaves()
leaves()
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import strategies as st

from handclasp.testing.authority import DAY, MUST_STAPLE, Authority, Leaf, key_of_type

_SERVER, _CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH

_NAMES = (
    "localhost",
    "a.example.com",
    "*.example.com",
    "xn--bcher-kva.example",
    "LOCALHOST",
    "a_b.test",
    "127.0.0.1",
    "::1",
)

_PERIODS = (
    (-DAY, 30 * DAY),
    (-9 * DAY, -DAY),
    (DAY, 9 * DAY),
    (-DAY, 3000 * DAY),
    (timedelta(0), timedelta(seconds=1)),
)
"""Begin and end, from now on: valid, expired, not yet valid, for too long, and for a moment."""

_KEY_TYPES = ("ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-1024", "rsa-2048", "secp256k1")
"""The first one is good."""


@st.composite
def leaves(draw: st.DrawFn, *, now: datetime | None = None, good: bool = False) -> Leaf:
    """Draw the content of an end-entity certificate.

    See `handclasp.testing.strategies` for an example.

    Args:
        now: the time that the dates are around; the real one if None.
        good: whether every one is such that a client of localhost accepts it.
    """
    names = draw(st.lists(st.sampled_from(_NAMES), max_size=4, unique=True))
    if good:
        return Leaf(tuple(dict.fromkeys(["localhost", *names])))
    now = now or datetime.now(UTC)
    begin, end = draw(st.sampled_from(_PERIODS))
    purposes = (_SERVER, _CLIENT, (_SERVER, _CLIENT), None)
    return Leaf(
        tuple(names),
        common_name=draw(st.sampled_from([None, "localhost", "somebody"])),
        purpose=draw(st.sampled_from(purposes)),
        not_before=now + begin,
        not_after=now + end,
        is_authority=draw(st.booleans()),
        digital_signature=draw(st.sampled_from([True, False, None])),
        basic_constraints=draw(st.booleans()),
        authority_identifier=draw(st.booleans()),
        serial_number=draw(st.integers(1, 2**159 - 1)),
        extensions=draw(st.sampled_from([(), (MUST_STAPLE,)])),
    )


def certificates(
    authority: Authority, *, good: bool = False
) -> st.SearchStrategy[x509.Certificate]:
    """Draw a certificate that an authority has issued.

    See `handclasp.testing.strategies` for an example.

    Args:
        authority: the issuer.
        good: as for `leaves`; the key is then an ECDSA key on P-256.
    """
    # Made here, as hypothesis would call a strategy slow that makes RSA keys while it draws.
    keys = [key_of_type(each).public_key() for each in (_KEY_TYPES[:1] if good else _KEY_TYPES)]
    return st.builds(authority.issue, leaves(now=authority.now, good=good), st.sampled_from(keys))
