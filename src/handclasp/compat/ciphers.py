"""Cipher suites under OpenSSL's names: the real context reads the cipher strings.

OpenSSL's language for cipher strings is large and changes with its versions, so it is OpenSSL that
reads them. A context is asked for what it selected, and the suites that this library has are used,
in OpenSSL's order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from handclasp.crypto.suites import CIPHER_SUITES, CIPHER_SUITES12, RSA_KEY_TRANSPORT_SUITES


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
