"""What a refused chain is told to change, whose fault it is, and where it shows.

Each advice is possible and not done already, and goes to the end that can act.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.certificates.ocsp_responses import Response
from tests.certificates.test_transparency import EMBEDDED, Log, tlv, vector
from tests.pki import (
    Authority,
    Leaf,
    Pki,
    critical,
    der_of,
    key_of_type,
    name_constraints,
    self_signed,
)

from handclasp import CertificateError, Fault, TrustStore
from handclasp.certificates import explain
from handclasp.certificates.fields import field_in
from handclasp.certificates.verify import verify_server_chain
from handclasp.faults import Blame

NOW = datetime.now(UTC)
KEY = key_of_type("ecdsa-p256")
Chain = tuple[tuple[x509.Certificate, ...], TrustStore]
UNKNOWN_EXTENSION = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")


def issued(issuer: Authority, leaf: Leaf | None = None, *more: x509.Certificate) -> Chain:
    return (issuer.issue(leaf or Leaf(), KEY.public_key()), *more), issuer.trust


def under_root(leaf: Leaf) -> Callable[[], Chain]:
    return lambda: issued(Pki("Root"), leaf)


def root_with(**changes: object) -> Callable[[], Chain]:
    return lambda: issued(Pki("Root", **changes))  # type: ignore[arg-type]


def between(**changes: object) -> Callable[[], Chain]:
    def make() -> Chain:
        root = Pki("Root")
        issuer = root.intermediate("Between", **changes)  # type: ignore[arg-type]
        return issued(issuer, None, issuer.certificate)[0], root.trust

    return make


def renewed() -> Chain:
    """The right name, and the key of another year."""
    root = Pki("Root")
    old = root.intermediate("Between")
    new = root.intermediate("Between", "ecdsa-p384")
    return issued(old, None, new.certificate)[0], root.trust


def limited() -> Chain:
    root = Pki("Root", path_length=0)
    issuer = root.intermediate("Between")
    return issued(issuer, None, issuer.certificate)[0], root.trust


def alone() -> Chain:
    certificate, _ = self_signed(Leaf(common_name="x" * 64))
    return (certificate,), Pki("Root").trust


def same_name(**changes: object) -> Callable[[], Chain]:
    """A certificate that another one of the same name has issued."""

    def make() -> Chain:
        issuer = Pki("localhost", **changes)  # type: ignore[arg-type]
        leaf = issuer.issue(Leaf(common_name="localhost"), KEY.public_key())
        return (leaf,), Pki("Root").trust

    return make


@dataclass(frozen=True)
class Case:
    """A chain that is refused.

    Attributes:
        made: the chain and who is trusted.
        reason, condition, fix: words of what is told.
        blame: as in the error.
        place: where it shows.
        never: what must not be advised.
    """

    id: str
    made: Callable[[], Chain]
    blame: str
    reason: str
    condition: str
    fix: str
    place: tuple[int | None, str]
    never: tuple[str, ...] = ()
    name: str = "localhost"


ANCHOR = "CN=Root is one of the authorities that are trusted here"
OWN = "whose own authority it is"
PRIVATE = "unless its authority is a private one"
JUDGE = 'verify it by the rules for those (policy=CertificatePolicy(profile="private"))'

CASES = [
    Case(
        "an address as a DNS name",
        under_root(Leaf((x509.DNSName("127.0.0.1"),))),
        *("peer", "it has 127.0.0.1 as a DNS name", ""),
        *("in its subjectAltName, as an IP address", (0, "subjectAltName")),
        never=("Connect by",),
        name="127.0.0.1",
    ),
    Case(
        "a name that ends with a dot",
        under_root(Leaf((x509.DNSName("localhost."),))),
        *("peer", "localhost. ends with a dot", ""),
        *(
            "Get a certificate that covers the name localhost in its subjectAltName",
            (0, "subjectAltName"),
        ),
        never=("Connect by",),
    ),
    Case(
        "wildcards alone",
        under_root(Leaf(("*.example.test",))),
        *("peer", "it is for *.example.test, not for a.b.example.test", "by another name"),
        *("Connect by a name that *.example.test covers", (0, "subjectAltName")),
        name="a.b.example.test",
    ),
    Case(
        "an e-mail address alone",
        under_root(Leaf((x509.RFC822Name("a@b.test"),))),
        *("peer", "its subjectAltName names no host", ""),
        *("Get a certificate that covers the name localhost", (0, "subjectAltName")),
        never=("Connect by",),
    ),
    Case(
        "a common name alone",
        under_root(Leaf((), common_name="localhost")),
        *("peer", "its common name, localhost, does not count", ""),
        *("Get a certificate that covers the name localhost", (0, "subjectAltName")),
        never=("Connect by",),
    ),
    Case(
        "an underscore",
        under_root(Leaf(("a_b.test",))),
        *("local", "host names have no underscore", "which asked for a name"),
        *("Connect by a name of letters", (0, "subjectAltName")),
        never=("Get a certificate",),
        name="a_b.test",
    ),
    Case(
        "a common name that is none of its names",
        under_root(Leaf(common_name="www.else.test")),
        *("peer", "its common name www.else.test", PRIVATE, JUDGE, (0, "subject")),
    ),
    Case(
        "no extended key usage",
        under_root(Leaf(purpose=None)),
        *("peer", "no extended key usage", PRIVATE, JUDGE, (0, "extKeyUsage")),
    ),
    Case(
        "the purpose of clients",
        under_root(Leaf(purpose=ExtendedKeyUsageOID.CLIENT_AUTH)),
        *("peer", "does not allow TLS servers", "", "names TLS servers (serverAuth)"),
        (0, "extKeyUsage"),
        never=("private",),
    ),
    Case(
        "no digital signatures",
        under_root(Leaf(digital_signature=False)),
        *("peer", "does not allow digital signatures", "", "(digitalSignature)", (0, "keyUsage")),
    ),
    Case(
        "an authority's own certificate",
        under_root(Leaf(is_authority=True)),
        *("peer", "it is an authority's certificate", "", "issued to the server"),
        (0, "basicConstraints"),
    ),
    Case(
        "a key that is not named",
        under_root(Leaf(authority_identifier=False)),
        *("peer", "does not name its issuer's key", PRIVATE, "with an authorityKeyIdentifier"),
        (0, "authorityKeyIdentifier"),
    ),
    Case(
        "an intermediate without keyUsage",
        between(with_key_usage=False),
        *("peer", "CN=Between: an intermediate certificate has no keyUsage", PRIVATE, JUDGE),
        (1, "keyUsage"),
    ),
    Case(
        "an intermediate that has expired",
        between(not_after=NOW - timedelta(1)),
        *("peer", "CN=Between expired", "unless the clock of this machine is wrong"),
        *("Renew the certificate of CN=Between", (1, "notAfter")),
    ),
    Case(
        "an issuer that is no authority",
        between(is_authority=False),
        *("peer", "CN=Between issued it and is no authority", ""),
        *(
            "Replace the certificate by one of an authority, which CN=Between is not",
            (1, "basicConstraints"),
        ),
    ),
    Case(
        "an Ed25519 intermediate",
        between(key_type="ed25519"),
        *("unclear", "CN=Between: authorities with a key of this kind", "this end takes none"),
        *("Get a certificate from an authority with an RSA key", (0, "signatureValue")),
        never=("Use a certificate with an ECDSA P-256, Ed25519",),
    ),
    Case(
        "an intermediate of the right name with another key",
        renewed,
        *("peer", "was signed with another key of CN=Between than the one", ""),
        *(
            "Replace the certificate of CN=Between by the one whose key signed localhost",
            (0, "signatureValue"),
        ),
    ),
    Case(
        "self-signed, with a long name",
        alone,
        *("unclear", "is self-signed and not among the trusted authorities", "else the other end"),
        *("is yours, trust it", (0, "issuer")),
    ),
    Case(
        "a wildcard in the middle of a label",
        under_root(Leaf(("w*.example.com",))),
        *("peer", "its subjectAltName has w*.example.com, in which * is not the whole", ""),
        *("", (0, "subjectAltName")),
        never=("names no host",),
        name="www.example.com",
    ),
    Case(
        "self-issued, and not self-signed",
        same_name(),
        "unclear",
        "the issuer of CN=localhost, another certificate of the name CN=localhost",
        "this end, if CN=localhost is a root that it is meant to trust; else the other end",
        *("send the intermediate certificates too", (0, "issuer")),
        never=("self-signed", "trust this very certificate"),
    ),
    Case(
        "an anchor that has expired",
        root_with(not_before=NOW - timedelta(9), not_after=NOW - timedelta(1)),
        *("local", ANCHOR, OWN, "Trust the newer certificate of CN=Root", (None, "notAfter")),
        never=("Renew",),
    ),
    Case(
        "an anchor that is not valid yet",
        root_with(not_before=NOW + timedelta(1)),
        *("local", ANCHOR, OWN, "Check the clock of this machine", (None, "notBefore")),
        never=("On the other end",),
    ),
    Case(
        "an anchor with an extension that nobody knows",
        root_with(extensions=[critical(UNKNOWN_EXTENSION)]),
        *("local", ANCHOR, OWN, "Have CN=Root made anew", (None, "extensions")),
    ),
    Case(
        "an anchor that may not issue for this name",
        root_with(extensions=[name_constraints(["example.test"])]),
        *("unclear", ANCHOR, "the other end, if the authority is not to issue"),
        *(
            "Replace the certificate by one for names that CN=Root may issue for",
            (None, "nameConstraints"),
        ),
    ),
    Case(
        "an anchor with a constraint that begins with a dot",
        root_with(extensions=[name_constraints([".localhost"])]),
        *("local", "its constraint '.localhost' begins with a dot", OWN, "without that dot"),
        (None, "nameConstraints"),
        never=("On the other end",),
    ),
    Case(
        "an anchor that allows no authority below it",
        limited,
        *("unclear", ANCHOR, "else this end, which trusts it with such a limit"),
        *(
            "Replace the certificate by one with fewer authorities below CN=Root",
            (None, "basicConstraints"),
        ),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_is_told(case: Case) -> None:
    chain, trust = case.made()
    with pytest.raises(CertificateError) as caught:
        verify_server_chain(der_of(*chain), trust, case.name, NOW)
    error = caught.value
    assert case.reason in error.message
    assert error.blame == case.blame
    assert case.condition in error.condition
    assert bool(error.condition) is bool(case.condition)
    assert case.fix in error.fix
    assert not [word for word in case.never if word in error.fix]
    assert error.place == case.place


def test_what_is_excused_in_private_is_accepted_there() -> None:
    """Who follows the advice has what it promises."""
    from handclasp.certificates.policy import CertificatePolicy

    for case in CASES:
        chain, trust = case.made()
        with pytest.raises(CertificateError) as caught:
            verify_server_chain(der_of(*chain), trust, case.name, NOW)
        if "private" in caught.value.fix:
            private = CertificatePolicy(profile="private")
            verify_server_chain(der_of(*chain), trust, case.name, NOW, policy=private)


def test_a_clock_that_even_the_anchors_contradict() -> None:
    chain, trust = issued(Pki("Root"))
    for when in (NOW - timedelta(4000), NOW + timedelta(4000)):
        with pytest.raises(CertificateError) as caught:
            verify_server_chain(der_of(*chain), trust, "localhost", when)
        assert caught.value.blame == "local"
        assert "even CN=Root, which this end trusts" in caught.value.condition
        assert caught.value.fix.startswith("On this end: Check the clock")


LOG = Log()
LATER = NOW + timedelta(days=2)


def logged(root: Pki, *times: datetime) -> x509.Certificate:
    """A leaf that is valid from a day after now, with timestamps of a log."""
    stamps = b"".join(vector(2, LOG.sct(b"", time)) for time in times)
    extension = x509.UnrecognizedExtension(EMBEDDED, tlv(0x04, vector(2, stamps)))
    leaf = Leaf(not_before=NOW + timedelta(days=1), extensions=[extension])
    return root.issue(leaf, KEY.public_key())


def test_a_clock_that_is_behind_a_log() -> None:
    """The authority has signed the time of a log: the server's certificate is in order."""
    root = Pki("Root")
    leaf = logged(root, LATER, LATER + timedelta(hours=1))
    with pytest.raises(CertificateError) as caught:
        verify_server_chain(der_of(leaf), root.trust, "localhost", NOW)
    error = caught.value
    assert error.fault is Fault.CERTIFICATE_NOT_YET_VALID
    assert error.blame == "local"
    assert error.condition == (
        "whose clock is likely behind, as a transparency log has had the certificate since "
        f"{LATER:%Y-%m-%d %H:%M} UTC"
    )
    assert error.fix == "On this end: Check the clock of this machine."
    # What is asked about another time says nothing of the clock.
    told = explain([leaf], names=["localhost"], trust=root.trust, time=NOW, by_clock=False)
    assert told.advised is not None
    assert told.advised.verdict == (Blame.PEER, "")


@pytest.mark.parametrize(
    "times",
    [
        [],
        [NOW],
        [NOW + timedelta(minutes=4)],
        [LATER, NOW - timedelta(days=1)],
    ],
    ids=["none", "now", "within the skew", "one of another time"],
)
def test_timestamps_that_do_not_contradict_the_clock(times: list[datetime]) -> None:
    root = Pki("Root")
    with pytest.raises(CertificateError) as caught:
        verify_server_chain(der_of(logged(root, *times)), root.trust, "localhost", NOW)
    assert caught.value.fault is Fault.CERTIFICATE_NOT_YET_VALID
    assert caught.value.blame == "peer"
    assert caught.value.condition == "unless the clock of this machine is wrong"


def test_a_timestamp_without_an_authority_shows_nothing() -> None:
    """Anybody can write one, and have this end look for a fault of its own."""
    stranger, root = Pki("Stranger"), Pki("Root")
    with pytest.raises(CertificateError) as caught:
        verify_server_chain(der_of(logged(stranger, LATER)), root.trust, "localhost", NOW)
    assert "clock is likely behind" not in caught.value.condition


def test_a_clock_that_is_behind_a_stapled_response() -> None:
    root = Pki("Root")
    leaf = root.issue(Leaf(), KEY.public_key())
    response = Response(this_update=timedelta(hours=3)).about(leaf, root)
    with pytest.raises(CertificateError) as caught:
        verify_server_chain(der_of(leaf), root.trust, "localhost", root.now, ocsp_response=response)
    error = caught.value
    assert (error.fault, error.blame) == (Fault.BAD_OCSP_RESPONSE, "local")
    assert error.condition.startswith(
        "whose clock is likely behind, as the certificate's authority"
    )
    assert error.fix == "On this end: Check the clock of this machine."
    forged = Response(this_update=timedelta(hours=3)).about(leaf, Pki("Root"))
    with pytest.raises(CertificateError) as caught:
        verify_server_chain(der_of(leaf), root.trust, "localhost", root.now, ocsp_response=forged)
    assert caught.value.blame == "peer"


def test_an_explanation_blames_as_the_error_does() -> None:
    """A check of evidence may know more of the blame than the catalogue."""
    root = Pki("Root")
    leaf = root.issue(Leaf(), KEY.public_key())
    response = Response(this_update=timedelta(hours=3)).about(leaf, root)
    given: dict[str, Any] = {"names": ["localhost"], "trust": root.trust, "time": root.now}
    told = explain([leaf], **given, ocsp_response=response)
    assert told.advised is not None
    assert told.advised.verdict.blame is Blame.LOCAL
    assert told.advised.fix == "On this end: Check the clock of this machine."
    told = explain([leaf], **given, ocsp_response=response, by_clock=False)
    assert told.advised is not None
    assert told.advised.verdict == (Blame.PEER, "")


def test_fields_of_what_is_no_certificate() -> None:
    for data in (b"", b"\x30", bytes(100), b"\x30\x82\xff\xff" + bytes(50), b"\x30\x80"):
        assert field_in(data, "issuer") is None


def test_each_field_is_where_it_is_said_to_be() -> None:
    certificate = Pki("Root").issue(Leaf(common_name="leaf"), KEY.public_key())
    (der,) = der_of(certificate)
    wanted = {
        "issuer": certificate.issuer.public_bytes(),
        "subject": certificate.subject.public_bytes(),
        "signatureValue": certificate.signature,
        "notAfter": f"{certificate.not_valid_after_utc:%y%m%d%H%M%SZ}".encode(),
        "subjectAltName": b"localhost",
        "extKeyUsage": bytes.fromhex("2b06010505070301"),
    }
    for name, value in wanted.items():
        place = field_in(der, name)
        assert place is not None
        assert value in der[place[0] : place[1]]
    assert field_in(der, "nameConstraints") is None


def test_with_the_intermediate_sent_trust_in_the_root_is_advised_first() -> None:
    chain, _ = between()()
    told = explain(chain, names=["localhost"], trust=Pki("Another").trust, time=NOW)
    assert told.advised is not None
    assert told.advised.fix.startswith("On this end: If CN=Root is a root of yours, trust it")
    assert told.advised.verdict.blame is Blame.UNCLEAR
    alone = explain(chain[:1], names=["localhost"], trust=Pki("Another").trust, time=NOW)
    assert alone.advised is not None
    assert alone.advised.fix.startswith("On the other end: If CN=Between is an intermediate")
    assert alone.advised.verdict.blame is Blame.UNCLEAR
