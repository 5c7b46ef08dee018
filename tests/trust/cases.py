"""Servers as badssl.com has them: one mistake each, and what a client must say to it."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose
from tests.pki import (
    DAY,
    MUST_STAPLE,
    Authority,
    Leaf,
    Pki,
    critical,
    hash_for,
    key_of_type,
    key_usage,
    name_constraints,
    named,
    self_signed,
)

from handclasp.certificates.describe import spki_pin

ANOTHER_ROOT = Pki("another root")


@dataclass(frozen=True)
class Shown:
    """What the server shows; the first certificate is its own."""

    chain: Sequence[x509.Certificate]
    key: Any = field(default_factory=lambda: key_of_type("ecdsa-p256"))
    root: x509.Certificate | None = None  # whom the client trusts, if not the case's authority
    staple: bytes | None = None
    options: Sequence[str] = ()


@dataclass(frozen=True)
class Case:
    """A server, and what is to become of a connection to it.

    Attributes:
        make: gives what it shows, of this authority; the directory is for the client's files.
        fault: why the client refuses; empty where it must not.
        alert: what the server hears, as OpenSSL spells it.
        cause, fix: words that must be in the message, and in what is to be changed.
        name: the server's name as the client has it.
    """

    id: str
    make: Callable[[Pki, Path], Shown]
    fault: str = ""
    alert: str = ""
    cause: Sequence[str] = ()
    fix: Sequence[str] = ()
    name: str = "localhost"


def leaf(**changes: Any) -> Callable[[Pki, Path], Shown]:
    """A leaf of the root with these changes."""
    key_type = changes.pop("key_type", "ecdsa-p256")

    def make(pki: Pki, _: Path) -> Shown:
        key = key_of_type(key_type)
        return Shown([pki.issue(Leaf(**changes), key.public_key())], key)

    return make


def shown(build: Callable[[Pki], Shown]) -> Callable[[Pki, Path], Shown]:
    return lambda pki, _: build(pki)


def below(pki: Pki, made: Leaf | None = None, **changes: Any) -> Shown:
    """A leaf of an intermediate authority that has these changes."""
    authority = pki.intermediate(**changes)
    certificate = authority.issue(made or Leaf(), key_of_type("ecdsa-p256").public_key())
    return Shown([certificate, *authority.path])


def with_staple(
    status: str = "good", made: Leaf | None = None, **changes: Any
) -> Callable[[Pki, Path], Shown]:
    def make(pki: Pki, _: Path) -> Shown:
        given = below(pki, made)
        issuer = replace_key(pki, given)
        response = issuer.ocsp_response(given.chain[0], status, **changes)  # type: ignore[arg-type]
        return replace(given, staple=response)

    return make


def replace_key(pki: Pki, given: Shown) -> Authority:
    """The intermediate authority of `below`, which has the same key each time."""
    return Authority(given.chain[1], pki.intermediate().key, (), pki.now)


P256 = key_of_type("ecdsa-p256").public_key()
NOW = datetime.now(UTC)
LONG_AGO, YESTERDAY, TOMORROW = NOW - 90 * DAY, NOW - DAY, NOW + DAY


def _crl(pki: Pki, directory: Path, revoke: int | None, **changes: Any) -> Shown:
    """The lists of both authorities; `revoke` is which certificate of the chain is on its list."""
    given = below(pki)
    issuers: list[Authority] = [replace_key(pki, given), pki]
    options: list[str] = []
    for at, issuer in enumerate(issuers):
        listed = [given.chain[at]] if revoke == at else []
        path = directory / f"{at}.crl"
        path.write_bytes(issuer.crl(listed, **changes).public_bytes(Encoding.PEM))
        options += ["--crl", str(path)]
    return replace(given, options=options)


def _only_root_crl(pki: Pki, directory: Path) -> Shown:
    given = _crl(pki, directory, None)
    return replace(given, options=given.options[2:])


def _same_name(pki: Pki) -> Shown:
    return Shown([Pki("test root").issue(Leaf(), P256)], root=pki.certificate)


def _forged(pki: Pki) -> Shown:
    """An intermediate's certificate, and a leaf that another key signed in its name."""
    real = pki.intermediate()
    forger = Authority(real.certificate, key_of_type("ecdsa-p256", 33), (), pki.now)
    return Shown([forger.issue(Leaf(authority_identifier=False), P256), real.certificate])


def _bare_root(pki: Pki) -> Shown:
    key = key_of_type("ecdsa-p256", 34)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named("bare root"))
        .issuer_name(named("bare root"))
        .public_key(key.public_key())
        .serial_number(9)
        .not_valid_before(LONG_AGO)
        .not_valid_after(NOW + 9 * DAY)
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .add_extension(key_usage(key_cert_sign=True), critical=True)
    )
    root = builder.sign(key, hash_for(key))
    return Shown([Authority(root, key).issue(Leaf(), P256)], root=root)


def _deep(pki: Pki, depth: int) -> Shown:
    authority: Authority = pki
    for number in range(depth):
        authority = authority.intermediate(f"level {number}")
    return Shown([authority.issue(Leaf(), P256), *authority.path])


def _pinned(pki: Pki, pin: str) -> Shown:
    return Shown([pki.issue(Leaf(), P256)], options=["--pin", pin])


def _digest_of_leaf(_: Pki) -> Shown:
    info = P256.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    record = f"3 1 1 {hashlib.sha256(info).hexdigest()}"
    return Shown([ANOTHER_ROOT.issue(Leaf(("x.example",)), P256)], options=["--tlsa", record])


def _private(pki: Pki) -> Shown:
    given = _bare_root(pki)
    return replace(given, options=["--profile", "private"])


EXPIRED = ("CERTIFICATE_EXPIRED", "certificate expired")
UNTRUSTED = ("CERTIFICATE_UNTRUSTED", "unknown ca")
OTHER_NAME = ("CERTIFICATE_NAME_MISMATCH", "bad certificate")
BAD = ("BAD_CERTIFICATE", "bad certificate")
PURPOSE = ("CERTIFICATE_WRONG_PURPOSE", "unsupported certificate")
UNSUPPORTED = ("UNSUPPORTED_CERTIFICATE", "unsupported certificate")
REVOKED = ("CERTIFICATE_REVOKED", "certificate revoked")
STAPLE = ("BAD_OCSP_RESPONSE", "bad certificate status response")
NO_STAPLE = ("OCSP_RESPONSE_MISSING", "bad certificate status response")
UNKNOWN = "certificate unknown"

RENEW, COVER, SEND = ["Renew the certificate"], ["covers the name"], ["intermediate certificates"]
OTHER = ["another certificate of"]
REPLACE, USAGE, KEY = ["Replace the certificate"], ["right key usage"], ["ECDSA P-256"]


def refused() -> Iterator[Case]:
    # Dates
    old: dict[str, Any] = {"not_before": LONG_AGO, "not_after": YESTERDAY}
    new = {"not_before": TOMORROW, "not_after": NOW + 9 * DAY}
    yield Case("expired", leaf(**old), *EXPIRED, ["localhost expired at"], RENEW)
    not_yet = ("CERTIFICATE_NOT_YET_VALID", "certificate expired")
    yield Case("not-yet-valid", leaf(**new), *not_yet, ["is valid from"], ["dates", "clock"])
    make = shown(lambda pki: below(pki, **old))
    yield Case("expired-intermediate", make, *EXPIRED, ["CN=intermediate expired"], RENEW)
    make = shown(lambda _: Shown([OLD_ROOT.issue(Leaf(), P256)], root=OLD_ROOT.certificate))
    yield Case("expired-root", make, *EXPIRED, ["CN=old root expired"], ["Trust the newer"])
    # Names
    yield Case(
        "wrong-host",
        leaf(names=("other.example",)),
        *OTHER_NAME,
        ["it is for other.example, not for localhost"],
        COVER,
    )
    make = leaf(names=("other.example",), common_name="localhost")
    yield Case("wrong-host-in-common-name", make, *OTHER_NAME, ["not for localhost"], COVER)
    make = leaf(names=(), common_name="localhost")
    yield Case("no-alternative-name", make, *OTHER_NAME, ["no subjectAltName"], COVER)
    make = leaf(names=("10.1.2.3",))
    yield Case("other-address", make, *OTHER_NAME, ["not for 127.0.0.1"], COVER, "127.0.0.1")
    make = leaf(names=(x509.DNSName("127.0.0.1"),))
    yield Case("address-as-dns-name", make, *OTHER_NAME, ["as a DNS name"], COVER, "127.0.0.1")
    make = leaf(names=("xn--bcher-kva.example",))
    yield Case("other-idn", make, *OTHER_NAME, ["not for xn--kse-qla"], COVER, "käse.example")
    for id_, pattern, name in (
        ("wildcard-two-labels", "*.example.org", "a.b.example.org"),
        ("wildcard-bare-domain", "*.example.org", "example.org"),
        ("wildcard-in-the-middle", "a.*.example.org", "a.b.example.org"),
        ("wildcard-partial", "w*.example.org", "www.example.org"),
    ):
        is_partial = "*" in pattern[1:] or pattern[0] != "*"
        words = ["not the whole first label" if is_partial else f"not for {name}"]
        yield Case(id_, leaf(names=(pattern,)), *OTHER_NAME, words, COVER, name)
    make = leaf(names=("*.org",))
    yield Case("wildcard-top-level", make, *OTHER_NAME, ["many owners"], COVER, "example.org")
    make = leaf(names=("*.co.uk",))
    yield Case("wildcard-public-suffix", make, *OTHER_NAME, ["many owners"], COVER, "example.co.uk")
    make = leaf(common_name="other.example")
    yield Case("common-name-of-another", make, *BAD, ["other.example is not among"], REPLACE)
    # The way up
    make = shown(lambda _: Shown([self_signed(Leaf(common_name="localhost"))[0]]))
    yield Case("self-signed", make, *UNTRUSTED, ["self-signed"], ["trusted authority"])
    make = shown(lambda _: Shown([self_signed()[0]]))
    yield Case("self-signed-authority", make, *UNTRUSTED, ["self-signed"], ["trusted authority"])
    make = shown(lambda _: Shown([ANOTHER_ROOT.issue(Leaf(), P256)]))
    yield Case("untrusted-root", make, *UNTRUSTED, ["CN=another root, is not trusted"], SEND)
    yield Case("root-of-the-same-name", shown(_same_name), *UNTRUSTED, ["did not sign it"], OTHER)
    make = shown(lambda pki: Shown(below(pki).chain[:1]))
    yield Case(
        "missing-intermediate", make, *UNTRUSTED, ["no intermediate certificate was sent"], SEND
    )
    yield Case("forged-signature", shown(_forged), *BAD, ["is wrong"], REPLACE)
    make = shown(lambda pki: below(pki, is_authority=False))
    yield Case("issuer-is-no-authority", make, *BAD, ["is no authority"], REPLACE)
    make = shown(lambda pki: below(pki, with_key_usage=False))
    yield Case("issuer-without-key-usage", make, *BAD, ["no keyUsage"], REPLACE)
    make = shown(lambda pki: _path_length(pki))
    yield Case("path-length", make, *BAD, ["allows 0 authorities below"], REPLACE)
    make = shown(lambda pki: _deep(pki, 9))
    yield Case("too-many-intermediates", make, *UNTRUSTED, ["more than 8 certificates"], SEND)
    make = shown(lambda pki: _deep(pki, 11))
    many = ("TOO_MANY_CERTIFICATES", "bad certificate")
    yield Case("too-many-certificates", make, *many, ["12 certificates"], ["Send only the chain"])
    yield Case("bare-root", shown(_bare_root), *BAD, ["no subjectKeyIdentifier"], REPLACE)
    # What it is for
    words = ["does not allow TLS servers"]
    yield Case("wrong-purpose", leaf(purpose=Purpose.CLIENT_AUTH), *PURPOSE, words, USAGE)
    make = leaf(purpose=Purpose.ANY_EXTENDED_KEY_USAGE)
    yield Case("any-purpose", make, *PURPOSE, ["anyExtendedKeyUsage does not count"], USAGE)
    yield Case("no-purpose", leaf(purpose=None), *PURPOSE, ["no extended key usage"], USAGE)
    make = leaf(digital_signature=False)
    yield Case("no-signatures", make, *PURPOSE, ["not allow digital signatures"], USAGE)
    make = leaf(is_authority=True)
    yield Case("authority-as-leaf", make, *PURPOSE, ["an authority's certificate"], USAGE)
    # Keys and algorithms
    yield Case("weak-key", leaf(key_type="rsa-1024"), *UNSUPPORTED, ["RSA key of 1024"], KEY)
    # OpenSSL shows no chain whose signatures the client did not offer (SHA-1, EdDSA authorities).
    # Constraints and extensions
    for id_, constraint in (
        ("name-excluded", name_constraints(excluded=["localhost"])),
        ("name-not-permitted", name_constraints(permitted=["example.org"])),
    ):
        make = shown(partial(below, extensions=[constraint]))
        yield Case(id_, make, *BAD, ["may not issue for these names: localhost"], REPLACE)
    constraint = name_constraints(permitted=["10.0.0.0/8"])
    make = shown(lambda pki: below(pki, Leaf(("127.0.0.1",)), extensions=[constraint]))
    yield Case("address-not-permitted", make, *BAD, ["127.0.0.1 is none of"], REPLACE, "127.0.0.1")
    unknown = critical(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0"))
    make = leaf(extensions=[unknown])
    yield Case("unknown-critical-extension", make, *BAD, ["1.2.3.4 is not understood"], REPLACE)
    # Revocation
    yield Case("revoked-by-staple", with_staple("revoked"), *REVOKED, ["revoked"], REPLACE)
    make = with_staple(this_update=LONG_AGO)
    yield Case("old-staple", make, *STAPLE, [f"{LONG_AGO + 7 * DAY:%Y-%m-%d}"], ["Renew the stap"])
    make = with_staple(responder=ANOTHER_ROOT)
    yield Case("staple-of-a-stranger", make, *STAPLE, ["another root"], ["signed"])
    yield Case("staple-says-unknown", with_staple("unknown"), *STAPLE, ["unknown"], ["stapled"])
    make = leaf(extensions=[MUST_STAPLE])
    words = ["localhost", "its own TLS feature extension demands one"]
    yield Case("must-staple", make, *NO_STAPLE, words, ["Enable OCSP stapling"])
    make = shown(lambda pki: replace(below(pki), options=["--require-ocsp"]))
    fixes = ["Enable OCSP stapling", "leave out --require-ocsp"]
    yield Case("staple-required", make, *NO_STAPLE, ["this end requires one"], fixes)
    for at, id_ in enumerate(("revoked-by-crl", "issuer-revoked-by-crl")):
        yield Case(id_, partial(_crl, revoke=at), *REVOKED, ["list"], REPLACE)
    unclear = ("REVOCATION_UNKNOWN", UNKNOWN)
    stale = {"last_update": LONG_AGO}
    make = lambda pki, path: _crl(pki, path, None, **stale)  # noqa: E731
    yield Case("old-crl", make, *unclear, ["renewed by"], ["Fetch the issuer's current CRL"])
    yield Case("no-crl", _only_root_crl, *unclear, ["no list of this issuer"], ["Fetch the"])
    # Pins and records
    pin = spki_pin(key_of_type("ecdsa-p384").public_key())
    make = shown(lambda pki: _pinned(pki, pin))
    yield Case("other-pin", make, "PIN_MISMATCH", UNKNOWN, [spki_pin(P256)], ["update the pins"])
    make = shown(lambda pki: replace(below(pki), options=["--tlsa", "3 1 1 " + "00" * 32]))
    record = b64decode(spki_pin(P256)).hex()
    yield Case("other-tlsa", make, "TLSA_MISMATCH", UNKNOWN, [record], ["TLSA records"])


def _path_length(pki: Pki) -> Shown:
    lower = pki.intermediate("upper", path_length=0).intermediate("lower")
    return Shown([lower.issue(Leaf(), P256), *lower.path])


OLD_ROOT = Pki("old root", not_before=LONG_AGO, not_after=YESTERDAY)


def accepted() -> Iterator[Case]:
    for key_type in ("ecdsa-p256", "ecdsa-p384", "rsa-2048", "ed25519"):
        yield Case(f"good-{key_type}", leaf(key_type=key_type))
    yield Case("good-intermediate", shown(below))
    yield Case("good-wildcard", leaf(names=("*.example.org",)), name="www.example.org")
    yield Case("good-address", leaf(names=("127.0.0.1",)), name="127.0.0.1")
    yield Case("good-idn", leaf(names=("xn--kse-qla.example",)), name="käse.example")
    yield Case("good-trailing-dot", leaf(names=("www.example.org",)), name="www.example.org.")
    yield Case("good-staple", with_staple(made=Leaf(extensions=[MUST_STAPLE])))
    yield Case("good-crl", lambda pki, path: _crl(pki, path, None))
    pin = spki_pin(P256)
    yield Case("good-pin", shown(lambda pki: _pinned(pki, pin)))
    yield Case("good-tlsa", shown(_digest_of_leaf))
    yield Case("good-bare-root-privately", shown(_private))
    constraint = name_constraints(permitted=["localhost"])
    yield Case("good-name-constraint", shown(lambda pki: below(pki, extensions=[constraint])))
    yield Case("good-depth", shown(lambda pki: _deep(pki, 8)))
