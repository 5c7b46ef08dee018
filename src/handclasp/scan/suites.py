"""The cipher suites to ask for, and why some of them are weak.

IANA's registry is the source. Suites are asked for in lists of at most `MOST_AT_ONCE`, because old
servers stumble over longer ones; those that servers really have come first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from handclasp.iana import TLS12, cipher_suite_name
from handclasp.iana.suite_names import CIPHER_SUITES_OF_OTHERS

MOST_AT_ONCE = 120

SUITES13: tuple[int, ...] = (0x1301, 0x1302, 0x1303, 0x1304, 0x1305, 0x1306, 0x1307)
"""Of TLS 1.3, all but those with SM4."""

_SM4 = (0x00C6, 0x00C7)
_OURS12 = (0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0x009C, 0x009D)
_USUAL = ("ECDHE_RSA", "ECDHE_ECDSA", "DHE_RSA", "RSA", "DHE_DSS", "RSA_EXPORT", "DHE_RSA_EXPORT")
_NEW_IN_TLS12 = ("GCM", "CCM", "POLY1305", "SHA256", "SHA384", "SHA512")
_NO_FORWARD_SECRECY = "no forward secrecy: anybody who obtains the key opens all recordings"
_WEAKNESSES = (
    ("_anon_", "no authentication: anybody in between can pose as the server"),
    ("WITH_NULL", "no encryption"),
    ("EXPORT", "export grade: 40 to 56 bits (FREAK, Logjam)"),
    ("RC4", "RC4 leaks plaintext (RFC 7465 forbids it)"),
    ("RC2", "RC2 is obsolete"),
    ("DES40", "40 bits"),
    ("WITH_DES_", "DES has 56 bits"),
    ("3DES", "blocks of 64 bits: Sweet32 (RFC 9325 section 4.1)"),
    ("IDEA", "blocks of 64 bits (RFC 5469)"),
)
"""By a part of the name, worst first."""


_SHORT_BLOCKS = ("3DES", "IDEA")
"""Ciphers that are weak, and not broken: Sweet32 takes hundreds of gigabytes of one connection."""


def exchange_of(suite: int) -> str:
    """Return the key exchange and the authentication of a suite before TLS 1.3: "ECDHE_RSA"."""
    return _exchange_in(cipher_suite_name(suite))


def _exchange_in(name: str) -> str:
    return name.removeprefix("TLS_").partition("_WITH_")[0]


def _suites_of(version: int) -> tuple[int, ...]:
    others = [
        code
        for code in CIPHER_SUITES_OF_OTHERS
        if code and code not in SUITES13 and code not in _SM4 and _is_of(version, code)
    ]
    ours = [code for code in _OURS12 if _is_of(version, code)]
    usual = [code for code in others if exchange_of(code) in _USUAL]
    rest = [code for code in others if exchange_of(code) not in _USUAL]
    return (*ours, *usual, *rest)


def _is_of(version: int, code: int) -> bool:
    cipher = cipher_suite_name(code).partition("_WITH_")[2]
    return version >= TLS12 or not any(part in cipher for part in _NEW_IN_TLS12)


_OLD, _NEW = _suites_of(TLS12 - 1), _suites_of(TLS12)


def suites_of(version: int) -> tuple[int, ...]:
    """Return the suites that may be offered in a version before TLS 1.3, the usual ones first."""
    return _NEW if version >= TLS12 else _OLD


def chunks(suites: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Return the suites in lists of at most `MOST_AT_ONCE`."""
    for at in range(0, len(suites), MOST_AT_ONCE):
        yield tuple(suites[at : at + MOST_AT_ONCE])


def is_broken(name: str) -> bool:
    """Return whether a suite authenticates nobody, or its encryption can be broken in practice.

    >>> from handclasp.scan.suites import is_broken
    >>> is_broken("TLS_RSA_WITH_RC4_128_SHA"), is_broken("TLS_RSA_WITH_3DES_EDE_CBC_SHA")
    (True, False)
    """
    return any(part in name for part, _ in _WEAKNESSES if part not in _SHORT_BLOCKS)


def weakness(name: str) -> str:
    """Return why a suite is weak, in words, worst first; empty where nothing is known against it.

    >>> from handclasp.scan.suites import weakness
    >>> weakness("TLS_RSA_WITH_RC4_128_SHA")
    'RC4 leaks plaintext (RFC 7465 forbids it)'
    >>> weakness("TLS_AES_128_GCM_SHA256")
    ''
    """
    for part, why in _WEAKNESSES:
        if part in name:
            return why
    if "_WITH_" in name and not _exchange_in(name).startswith(("ECDHE", "DHE")):
        return _NO_FORWARD_SECRECY
    if "_CBC_" in name:
        return "CBC: padding oracles (Lucky Thirteen), except with encrypt-then-MAC (RFC 7366)"
    return ""
