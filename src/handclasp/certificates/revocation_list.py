"""One certificate revocation list: read, indexed, and asked for whom it speaks (RFC 5280).

`crl` says which rules are kept, and asks the lists.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from handclasp.certificates.der import public_key_info
from handclasp.certificates.key_bounds import key_problem
from handclasp.certificates.names import subject_of
from handclasp.certificates.reading import keep_warnings_out
from handclasp.certificates.signature_bounds import signature_problem
from handclasp.deferred import DeferredModule
from handclasp.errors import CertificateError, ConfigurationError, path_errors
from handclasp.faults import Fault
from handclasp.input_files import read_input
from handclasp.values import dataclass, field
from handclasp.wording import printable

if TYPE_CHECKING:
    from cryptography import x509
else:
    x509 = DeferredModule("cryptography.x509")

CLOCK_SKEW = timedelta(minutes=5)
"""The time that thisUpdate may lie in the future: authorities sign with the time of their own
clock.
"""

Profile = Literal["web", "private"]
"""As in `CertificatePolicy`, which is built of these lists."""

_MAX_TRIED = 16
"""Issuers' keys whose signature on a list is remembered; a peer may know more of them."""

_CRITICAL = b"\x01\x01\xff\x04"
"""TRUE, and then an OCTET STRING: how each critical extension looks in DER, from its flag on."""

_BEGIN = b"-----BEGIN X509 CRL-----"
_END = b"-----END X509 CRL-----"

_Value = TypeVar("_Value", bound="x509.ExtensionType")


class Answer(NamedTuple):
    """A list's statement about a certificate.

    Attributes:
        problem: why it says nothing, or nothing.
        revocation: when and why the certificate was revoked; empty where it was not.
    """

    problem: str
    revocation: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class RevocationList:
    """A list with the facts that each look-up needs.

    Attributes:
        serials: the serial numbers on it, as cryptography would read it from its start each time.
        flaw: why it covers no certificate at all, or an empty string.
        form: why the web profile does not accept it as proof of validity, or an empty string.
        point: its issuingDistributionPoint, which limits the certificates that it covers.
        tried: the issuers' keys that were tried on its signature (by their SHA-256), with the
            defect or an empty string. Threads may write here at once: at worst one signature is
            checked twice.
    """

    crl: x509.CertificateRevocationList
    der: bytes
    issuer: x509.Name
    this_update: datetime
    next_update: datetime
    serials: frozenset[int]
    flaw: str
    form: str
    point: x509.IssuingDistributionPoint | None
    tried: dict[bytes, str] = field(default_factory=dict[bytes, str])

    def answer(
        self,
        certificate: x509.Certificate,
        issuer: x509.Certificate | None,
        now: datetime,
        *,
        is_verified: bool,
        profile: Profile = "private",
    ) -> Answer:
        """Return what the list says of a certificate; cheap checks come first.

        What the peer says of its issuer can keep a list from excusing a certificate, and never from
        revoking it. So a revocation counts although the issuer's keyUsage has no cRLSign: an
        authority may have several certificates, of which the peer picks one, and around a key that
        is known by itself the peer may write what it likes.

        Args:
            issuer: the certificate of the issuer, if there is one.
            is_verified: whether the issuer's key is known to be the one that issued the
                certificate. If it is not, a revocation counts for any signer of the list.
            profile: that of the policy.
        """
        if self.flaw:
            return Answer(self.flaw)
        if self.this_update > now + CLOCK_SKEW:
            return Answer(f"one was made at {minute(self.this_update)}, which is in the future")
        if self.point is not None and not _in_scope(self.point, certificate):
            return Answer("one is for other certificates of this issuer")
        revocation = self._revocation_of(certificate)
        if revocation and not is_verified:
            return Answer("", revocation)
        if profile == "web" and self.form and not revocation:
            return Answer(self.form)
        if issuer is None:
            return Answer("the issuer was not sent, so nothing can check its list")
        problem = self._signature_problem(issuer)
        if not problem and not revocation:
            problem = _usage_problem(issuer)
        return Answer(problem) if problem else Answer("", revocation)

    def _revocation_of(self, certificate: x509.Certificate) -> str:
        """Return when and why the certificate was revoked; empty if it was not."""
        from cryptography import x509

        serial = certificate.serial_number
        if serial not in self.serials:
            return ""
        try:
            entry = self.crl.get_revoked_certificate_by_serial_number(serial)
            if entry is None:
                return ""
            code = _extension(entry.extensions, x509.CRLReason)
            if code is not None and code.reason is x509.ReasonFlags.remove_from_crl:
                return ""  # It was on hold, and is not any more (RFC 5280 section 5.3.1).
            reason = code.reason.value if code is not None else "none given"
            return f"on {minute(entry.revocation_date_utc)}; reason: {reason}"
        except Exception:
            # The rest of an entry is read late, and fails with ValueError, TypeError and others.
            return "in an entry that cannot be read in full"

    def _signature_problem(self, issuer: x509.Certificate) -> str:
        # By the key alone: a peer can make as many certificates around it as it likes.
        digest = hashlib.sha256(public_key_info(issuer)).digest()
        known = self.tried.get(digest)
        if known is None:
            known = _signature_problem(self.crl, issuer)
            if len(self.tried) < _MAX_TRIED:
                self.tried[digest] = known
        return known


def lists_at(path: Path) -> Iterator[RevocationList]:
    """Yield the lists in a file, or in all files of a directory.

    Raises:
        ConfigurationError: there is none in the file, or one that cannot be read.
    """
    with path_errors(f"read the lists in {path}"):
        is_directory = path.is_dir()
        entries = sorted(path.iterdir()) if is_directory else []
    if not is_directory:
        yield from lists_in(_read(path), str(path))
        return
    for entry in entries:
        if entry.is_file() and not entry.name.startswith("."):
            data = _read(entry)
            if _BEGIN in data or b"-----BEGIN " not in data:
                yield from lists_in(data, str(entry))


def _read(path: Path) -> bytes:
    with path_errors(f"read the revocation list {path}"):
        try:
            return read_input(path)
        except FileNotFoundError:
            raise ConfigurationError(
                f"There is no revocation list at {path}: check the path."
            ) from None


def lists_in(data: bytes, source: str) -> Iterator[RevocationList]:
    """Yield the lists in the content of a file: PEM, one or several, or one as DER.

    Raises:
        ConfigurationError: there is none, or one that cannot be read.
    """
    from cryptography import x509

    if b"-----BEGIN " not in data:
        yield _indexed(x509.load_der_x509_crl, data, source)
        return
    blocks = data.split(_BEGIN)[1:]
    if not blocks:
        raise ConfigurationError(
            f'There is no revocation list ("{_BEGIN.decode()}") in {source}: it holds other PEM.'
        )
    for block in blocks:
        pem = _BEGIN + block.partition(_END)[0] + _END + b"\n"
        yield _indexed(x509.load_pem_x509_crl, pem, source)


def _indexed(
    load: Callable[[bytes], x509.CertificateRevocationList], data: bytes, source: str
) -> RevocationList:
    from cryptography.hazmat.primitives.serialization import Encoding

    keep_warnings_out()
    try:
        crl = load(data)
        return RevocationList(
            crl=crl,
            der=crl.public_bytes(Encoding.DER),
            issuer=crl.issuer,
            this_update=crl.last_update_utc,
            next_update=crl.next_update_utc or crl.last_update_utc,
            serials=frozenset(entry.serial_number for entry in crl),
            flaw=_flaw_of(crl),
            form=_form_of(crl),
            point=_point_of(crl),
        )
    except Exception as error:
        # Entries and extensions are read late, and fail with ValueError, TypeError and others.
        raise ConfigurationError(
            f"The revocation list in {source} cannot be read ({printable(str(error), 80)}): fetch "
            "it again, as PEM or DER."
        ) from None


def _flaw_of(crl: x509.CertificateRevocationList) -> str:
    from cryptography import x509

    if crl.next_update_utc is None:
        return "one does not say when it is to be renewed (nextUpdate)"
    understood = (
        x509.IssuingDistributionPoint,
        x509.AuthorityKeyIdentifier,
        x509.CRLNumber,
        x509.FreshestCRL,
    )
    critical = [extension for extension in crl.extensions if extension.critical]
    for extension in crl.extensions:
        if isinstance(extension.value, x509.DeltaCRLIndicator):
            return "one tells of changes only (a delta CRL)"
        if extension.critical and not isinstance(extension.value, understood):
            oid = extension.oid.dotted_string
            return f"one has a critical extension that is not understood ({oid})"
    point = _point_of(crl)
    if point is not None and (point.indirect_crl or point.only_some_reasons):
        kind = "is of several issuers (an indirect CRL)" if point.indirect_crl else "is partial"
        return f"one {kind}"
    # Reading the extensions of all entries is slow, and hardly ever is one of them critical.
    if crl.tbs_certlist_bytes.count(_CRITICAL) > len(critical) and _has_critical_entry(crl):
        return "one has an entry with a critical extension that is not understood"
    return ""


def _form_of(crl: x509.CertificateRevocationList) -> str:
    """Check for cRLNumber, which must be present and not critical (RFC 5280 section 5.2.3)."""
    from cryptography import x509

    numbers = [each for each in crl.extensions if isinstance(each.value, x509.CRLNumber)]
    if not numbers:
        return 'one has no number (cRLNumber), which the profile "web" asks for (RFC 5280 5.2.3)'
    if numbers[0].critical:
        return 'one has a critical cRLNumber, which the profile "web" refuses (RFC 5280 5.2.3)'
    return ""


def _has_critical_entry(crl: x509.CertificateRevocationList) -> bool:
    """Return whether an entry has a critical extension, such as that of indirect CRLs.

    Only reason codes and dates are understood.
    """
    from cryptography import x509

    understood = (x509.CRLReason, x509.InvalidityDate)
    return any(
        extension.critical and not isinstance(extension.value, understood)
        for entry in crl
        for extension in entry.extensions
    )


def _point_of(crl: x509.CertificateRevocationList) -> x509.IssuingDistributionPoint | None:
    from cryptography import x509

    return _extension(crl.extensions, x509.IssuingDistributionPoint)


def _in_scope(point: x509.IssuingDistributionPoint, certificate: x509.Certificate) -> bool:
    """Return whether a list for `point` covers the certificate (RFC 5280 section 6.3.3 (b) (2))."""
    from cryptography import x509

    constraints = _extension(_extensions_of(certificate), x509.BasicConstraints)
    is_authority = constraints is not None and constraints.ca
    if point.only_contains_attribute_certs:
        return False
    if (point.only_contains_ca_certs and not is_authority) or (
        point.only_contains_user_certs and is_authority
    ):
        return False
    if point.relative_name is not None:
        return False  # Nobody publishes these any more.
    if point.full_name is None:
        return True
    return not _points_of(certificate).isdisjoint(point.full_name)


def _points_of(certificate: x509.Certificate) -> set[x509.GeneralName]:
    """Return the names by which the certificate refers to complete lists of its issuer."""
    from cryptography import x509

    names: set[x509.GeneralName] = {x509.DirectoryName(certificate.issuer)}
    points = _extension(_extensions_of(certificate), x509.CRLDistributionPoints)
    for point in points or ():
        if point.full_name and not point.reasons and not point.crl_issuer:
            names.update(point.full_name)
    return names


def _usage_problem(issuer: x509.Certificate) -> str:
    from cryptography import x509

    usage = _extension(_extensions_of(issuer), x509.KeyUsage)
    if usage is not None and not usage.crl_sign:
        return f"the keyUsage of {subject_of(issuer)} does not allow it to sign lists (cRLSign)"
    return ""


def _signature_problem(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> str:
    weak = signature_problem(crl)
    if weak:
        return f"one is {weak}"
    try:
        key = issuer.public_key()
        weak_key = key_problem(key)
        if weak_key:
            return f"{subject_of(issuer)} has {weak_key}"
        # The key is of a kind that authorities sign with: `key_problem` takes no others.
        signed = crl.is_signature_valid(key)  # type: ignore[arg-type]
    except Exception:
        signed = False  # An algorithm that does not go with the key raises one thing or another.
    return "" if signed else f"the signature on one is not that of {subject_of(issuer)}"


def _extensions_of(certificate: x509.Certificate) -> x509.Extensions:
    try:
        return certificate.extensions
    except Exception as error:
        # A peer wrote them, and cryptography reads them late.
        detail = f"the extensions of {subject_of(certificate)} cannot be read"
        raise CertificateError(Fault.BAD_CERTIFICATE, detail) from error


def _extension(extensions: x509.Extensions, kind: type[_Value]) -> _Value | None:
    from cryptography import x509

    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def minute(time: datetime) -> str:
    """Return a time for people, to the minute."""
    return f"{time:%Y-%m-%d %H:%M} UTC"
