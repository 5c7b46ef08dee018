"""Cipher suites under OpenSSL's names: the real context reads the cipher strings.

OpenSSL's language for cipher strings is large and changes with its versions, so it is OpenSSL that
reads them. A context is asked for what it selected, and the suites that this library has are used,
in OpenSSL's order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from handclasp.crypto.suites import CIPHER_SUITES, CIPHER_SUITES12, RSA_KEY_TRANSPORT_SUITES
from handclasp.wording import listed

_LONGEST_REASON = 100
"""Characters of a suite with what rules it out."""

_MOST_NAMED = 4


def _openssl_name(name: str) -> str:
    """Return OpenSSL's name of a suite of TLS 1.2."""
    means, cipher = name.removeprefix("TLS_").split("_WITH_")
    cipher = cipher.removesuffix("_SHA256") if "CHACHA20" in cipher else cipher
    cipher = cipher.replace("AES_128", "AES128").replace("AES_256", "AES256")
    parts = [] if means == "RSA" else [means.replace("_", "-")]
    return "-".join([*parts, cipher.replace("_", "-")])


OPENSSL_NAMES: Mapping[str, str] = {
    **{name: name for name in CIPHER_SUITES},
    **{name: _openssl_name(name) for name in CIPHER_SUITES12},
}
"""OpenSSL's names of the suites, by those of IANA."""

_BY_OPENSSL_NAME = {
    theirs: ours for ours, theirs in OPENSSL_NAMES.items() if ours not in RSA_KEY_TRANSPORT_SUITES
}


def suites_of(selected: Iterable[Mapping[str, object]]) -> tuple[str, ...]:
    """Return the suites among `SSLContext.get_ciphers()` that can be used here, in its order.

    Suites without forward secrecy are left out, whatever the cipher string says of them.
    """
    names = [_BY_OPENSSL_NAME.get(str(each["name"])) for each in selected]
    return tuple([name for name in names if name is not None])


def why_none(selected: Iterable[Mapping[str, object]]) -> str:
    """Return why none of the suites that OpenSSL selected for TLS 1.2 can be used, in sentences."""
    named = [f"{each['name']} ({_what_rules_out(each)})" for each in selected]
    told = listed(named, _MOST_NAMED, longest=_LONGEST_REASON, room=_MOST_NAMED * _LONGEST_REASON)
    there = [name for name, ours in _BY_OPENSSL_NAME.items() if ours in CIPHER_SUITES12]
    return (
        f"handclasp has none of the suites of TLS 1.2 that were asked for: "
        f"{told}. It has {', '.join(there)}."
    )


def _what_rules_out(suite: Mapping[str, object]) -> str:
    exchange, cipher = str(suite["kea"]), str(suite["symmetric"])
    if suite["auth"] == "auth-null" or "null" in cipher:
        return "not secure"
    if exchange == "kx-rsa":
        return "no forward secrecy"
    if exchange != "kx-ecdhe":
        return f"{exchange.removeprefix('kx-').upper()}, not ECDHE with a certificate"
    if not suite["aead"]:
        return "CBC, not an AEAD" if "cbc" in cipher else "not an AEAD"
    return "an AEAD that is not supported"


def of_version(suites: Sequence[str], version: str) -> tuple[str, ...]:
    """Return the suites that a version can use."""
    table: Mapping[str, object] = CIPHER_SUITES if version == "TLSv1.3" else CIPHER_SUITES12
    return tuple([name for name in suites if name in table])


def described(name: str) -> tuple[str, str, int]:
    """Return what `SSLSocket.cipher()` says of a suite: name, version and bits of the key."""
    suite = CIPHER_SUITES.get(name) or CIPHER_SUITES12[name]
    version = "TLSv1.3" if name in CIPHER_SUITES else "TLSv1.2"
    return OPENSSL_NAMES[name], version, suite.key_size * 8


def known(offered: Iterable[str]) -> tuple[str, ...]:
    """Return the suites of a hello that are known here, in its order."""
    return tuple([name for name in offered if name in OPENSSL_NAMES])
