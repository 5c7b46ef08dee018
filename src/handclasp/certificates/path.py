"""From the leaf to an anchor: path building, which is cryptography's, under our two profiles.

cryptography.x509.verification checks each path as RFC 5280 section 6 and the profile of the web
ask: signatures, dates, names, basic constraints, key usage, name constraints, critical extensions.

Nothing is tried where no path can be: where no issuer's name leads to an anchor, or, if several of
the certificates have one name or one is large, no issuer's signature. The verifier would go from
each of those of one name to each other one, up to its own limits, which takes a hundred signatures
of the peer's choice; and it reads names and extensions, of which a large certificate may have
thousands, before it looks at a signature.

The first try is under its own policy, which runs without calling back. If it refuses, or a name is
so long that its error would take longer than a second try, there is that one, which allows for what
is unusual and no worse for it:

- A trust anchor may lack keyUsage: `openssl req -x509` leaves it out, and RFC 5280 section 6.1.1
  has the verifier take from an anchor its name and key only.
- A leaf that is an anchor itself, as somebody chose to trust this one certificate, may be an
  authority's, and may lack authorityKeyIdentifier.
- Under the profile "private", other authorities may lack keyUsage and the critical mark on
  basicConstraints, their key identifiers may be of any form, and a leaf may lack its issuer's. Its
  extended key usage and its names may be critical, as RFC 5280 allows (4.2.1.12, 4.2.1.6).

A client needs no subjectAltName in either: many are known by their subject.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache
from itertools import islice
from operator import itemgetter

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    VerificationError,
)

from handclasp.certificates.der import (
    extension_values,
    issuer_and_subject,
    key_info_in,
    public_key_info,
)
from handclasp.certificates.evidence import encoded
from handclasp.certificates.key_bounds import cost_problem
from handclasp.certificates.names import ANY_NAME, LONGEST_NAME, ip_address, subject_of
from handclasp.certificates.policy import CertificatePolicy, Profile
from handclasp.certificates.trust import TrustStore

_MOST_ISSUERS = 16
"""Keys of issuers of one name that are tried on a leaf that needs no path."""

_MOST_CHECKS = 128
"""The number of signatures to check before the verifier is called."""

_MOST_UNSIGNED = 2**13
"""Bytes of a certificate that the verifier may read before somebody's signature on it is checked.

Few real ones are larger: with ML-DSA-87 or a hundred names they are not. One signature is cheap
beside what the verifier does with ten times as many bytes, whatever field they are in.
"""

MOST_SIGNED = 9 * 2**17
"""Bytes that the issuers of one name may be tried on, by us or by the verifier, which writes and
digests a certificate anew for each of them. No chain that fits the default limits goes beyond it:
nine issuers, and a message of 128 KiB."""

_SUBJECT_KEY = b"\x06\x03\x55\x1d\x0e"
_ISSUER_KEY = b"\x06\x03\x55\x1d\x23"
"""The types of the two key identifiers in DER (RFC 5280 sections 4.2.1.2 and 4.2.1.1)."""

_OCTET_STRING, _SEQUENCE, _KEY_IDENTIFIER = b"\x04", b"\x30", b"\x80"

_Names = tuple[bytes, bytes]
"""Issuer and subject of a certificate, as they stand there."""


class IssuersLeftOutError(Exception):
    """No path was found, and not all issuers of one name were tried; it says how many."""


def build_path(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    trust: TrustStore,
    name: str | None,
    now: datetime,
    policy: CertificatePolicy,
    ders: Sequence[bytes] | None = None,
    leaf_names: tuple[bytes, bytes] | None = None,
) -> list[x509.Certificate]:
    """Return the verifier's own path, leaf first, anchor last.

    Args:
        ders: leaf and others as DER, if they are available.
        leaf_names: issuer and subject of the leaf as DER, if they are read already.
        name: the normal name of a server, `ANY_NAME`, or None for a client.

    Raises:
        IssuersLeftOutError: there is none among those that could be tried.
        Exception: there is none. Not only VerificationError: hostile DER shows late, as
            ValueError, TypeError and others, because keys and extensions are read when needed.
    """
    chain = (leaf, *others)
    ders = ders or [encoded(each) for each in chain]
    named = [leaf_names or issuer_and_subject(ders[0]), *map(issuer_and_subject, ders[1:])]
    if not _may_lead_to_anchor(chain, ders, named, trust):
        raise VerificationError("no path leads to an anchor")
    intermediates, left_out = _within_bounds(chain, ders, named)
    try:
        return _path_among(leaf, intermediates, named, trust, name, now, policy)
    except Exception as error:
        if left_out:
            raise IssuersLeftOutError(left_out) from error
        raise


def _path_among(
    leaf: x509.Certificate,
    intermediates: list[x509.Certificate],
    named: Sequence[_Names],
    trust: TrustStore,
    name: str | None,
    now: datetime,
    policy: CertificatePolicy,
) -> list[x509.Certificate]:
    """Return the path, in at most two tries, see above; raise what the verifier raises."""
    builder = trust.path_builder(policy.max_intermediates).time(now)
    if not _has_long_name(named):
        strict = builder if name else builder.extension_policies(**_without_name(name == ANY_NAME))
        with suppress(VerificationError):
            return _verified(strict, leaf, intermediates, name)
    authority = _relaxed_authority(trust.anchors, policy.profile)
    end_entity = _relaxed_leaf(trust.anchors, policy.profile, has_name=bool(name))
    if policy.profile == "private":
        allows = _allows_clients if name is None else _allows_servers
        authority = authority.may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, allows)
        end_entity = end_entity.may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, allows)
    elif name == ANY_NAME:
        authority, end_entity = _of_servers(authority), _of_servers(end_entity)
    relaxed = builder.extension_policies(ca_policy=authority, ee_policy=end_entity)
    return _verified(relaxed, leaf, intermediates, name)


def _has_long_name(named: Sequence[_Names]) -> bool:
    """Return whether the verifier's error, which contains names, would be long."""
    return max([max(len(issuer), len(subject)) for issuer, subject in named]) > LONGEST_NAME


def direct_path(
    leaf: x509.Certificate, others: Sequence[x509.Certificate], trust: TrustStore
) -> list[x509.Certificate]:
    """Return the path of a leaf that is itself an anchor, with its issuer if it is available.

    The issuer need not be trusted: its signature on the leaf says that it is the one that may speak
    of it. Where the leaf issued itself, or the issuer is unknown, it stands alone.
    """
    wanted, subject = issuer_and_subject(encoded(leaf))
    if wanted == subject:
        return [leaf]
    sent = [each for each in others if issuer_and_subject(encoded(each))[1] == wanted]
    key = [_issuer_key_of(leaf)]
    likely = sorted(sent, key=lambda issuer: _unlikeliness(_own_key_of(issuer), key))
    by_key: dict[bytes, x509.Certificate] = {}
    for issuer in (*trust.by_subject.get(wanted, ()), *likely):
        by_key.setdefault(public_key_info(issuer), issuer)
    for issuer in islice(by_key.values(), _MOST_ISSUERS):
        if not _cost_of(issuer) and is_signed_by(leaf, issuer):
            return [leaf, issuer]
    return [leaf]


def _cost_of(issuer: x509.Certificate) -> str:
    try:
        return cost_problem(issuer.public_key())
    except Exception:
        return "a key that cannot be read"


def _within_bounds(
    chain: Sequence[x509.Certificate], ders: Sequence[bytes], named: Sequence[_Names]
) -> tuple[list[x509.Certificate], str]:
    """Return the certificates but the leaf; of very many with very long names, the likeliest.

    The text says what was left out, and is empty where nothing was.
    """
    if (len(chain) - 1) * sum(map(len, ders)) <= MOST_SIGNED:
        return list(chain[1:]), ""
    issued: dict[bytes, list[int]] = {}
    owners: dict[bytes, dict[bytes, int]] = {}
    for index, (der, (wanted, subject)) in enumerate(zip(ders, named, strict=True)):
        issued.setdefault(wanted, []).append(index)
        if index:
            owners.setdefault(subject, {}).setdefault(der, index)
    kept: set[int] = set()
    trials, left_out = _Trials(chain, ders), ""
    for subject, issuers in owners.items():
        candidates, below = list(issuers.values()), issued.get(subject, [])
        longest = max([len(ders[index]) for index in below], default=1)
        most = max(1, MOST_SIGNED // longest)
        if len(candidates) > most:
            count, candidates = len(candidates), trials.likely(candidates, below)
            if len(candidates) > most:
                about = subject_of(chain[candidates[0]], subject)
                left_out = (
                    f"the chain has {count} issuers of one name, {about}, and {most} of them were "
                    f"tried: what they may have issued has {longest} bytes, and no more than "
                    f"{MOST_SIGNED} bytes are verified for issuers of one name"
                )
        kept.update(candidates[:most])
    return [chain[index] for index in sorted(kept)], left_out


class _Trials:
    """Looks for those of many issuers of one name whose keys made the signatures.

    All trials together digest as much as the verifier may for one name.
    """

    def __init__(self, chain: Sequence[x509.Certificate], ders: Sequence[bytes]) -> None:
        self._chain, self._ders = chain, ders
        self._left = MOST_SIGNED

    def likely(self, issuers: Sequence[int], below: Sequence[int]) -> list[int]:
        """Return the issuers without those that signed nothing `below`, those that did first.

        Then come those whose keys were not tried, of each key one before the others.
        """
        wanted = [_issuer_key_of(self._chain[index]) for index in below]
        own = {index: _own_key_of(self._chain[index]) for index in issuers}
        by_key: dict[bytes, list[int]] = {}
        for index in sorted(issuers, key=lambda index: _unlikeliness(own[index], wanted)):
            by_key.setdefault(key_info_in(self._ders[index]), []).append(index)
        signed: list[int] = []
        untried: list[tuple[int, int]] = []
        for same_key in by_key.values():
            found = self._has_signed(same_key[0], below)
            if found:
                signed += same_key
            elif found is None:
                untried += enumerate(same_key)
        return [*signed, *[index for _, index in sorted(untried, key=itemgetter(0))]]

    def _has_signed(self, issuer: int, below: Sequence[int]) -> bool | None:
        """Return whether an issuer signed; None if finding out takes too much work."""
        for index in below:
            self._left -= len(self._ders[index])
            if self._left < 0:
                return None
            if is_signed_by(self._chain[index], self._chain[issuer]):
                return True
        return False


def _unlikeliness(own: bytes, wanted: Sequence[bytes]) -> int:
    """Return the sort key of issuers: first those named by key identifier, then those
    without one.
    """
    return 0 if own and own in wanted else 1 if not own or b"" in wanted else 2


def _own_key_of(certificate: x509.Certificate) -> bytes:
    """Return the subjectKeyIdentifier; empty if there is none of the usual form."""
    for value in extension_values(certificate, _SUBJECT_KEY):
        if value[:1] == _OCTET_STRING:
            return value[2:]
    return b""


def _issuer_key_of(certificate: x509.Certificate) -> bytes:
    """Return the authorityKeyIdentifier; empty if there is none of the usual form."""
    for value in extension_values(certificate, _ISSUER_KEY):
        if value[:1] == _SEQUENCE and value[2:3] == _KEY_IDENTIFIER:
            return value[4 : 4 + int.from_bytes(value[3:4])]
    return b""


def _may_lead_to_anchor(
    chain: Sequence[x509.Certificate],
    ders: Sequence[bytes],
    named: Sequence[_Names],
    trust: TrustStore,
) -> bool:
    """Return whether the names of issuers lead from the leaf to an anchor."""
    anchors = trust.by_subject
    (wanted, subject), *others = named
    if subject in anchors and chain[0] in trust.anchors:
        return True
    issuers_of: dict[bytes, list[bytes]] = {}
    for issuer, subject in others:
        issuers_of.setdefault(subject, []).append(issuer)
    reached, pending = {wanted}, [wanted]
    while pending:
        name = pending.pop()
        if name in anchors:
            if len(issuers_of) == len(others) and max(map(len, ders)) <= _MOST_UNSIGNED:
                return True
            return _is_certified(chain, ders, named, trust)
        further = [issuer for issuer in issuers_of.get(name, ()) if issuer not in reached]
        reached.update(further)
        pending.extend(further)
    return False


def _is_certified(
    chain: Sequence[x509.Certificate],
    ders: Sequence[bytes],
    named: Sequence[_Names],
    trust: TrustStore,
) -> bool:
    """Return whether signatures lead from an anchor to the leaf, each by a key that is certified.

    So the peer chooses none of the keys, unless an authority gave it one to issue with. Where
    there are too many signatures to look at, the verifier decides, which has a bound of its own.
    """
    issued: dict[bytes, list[int]] = {}
    for index, (wanted, _) in enumerate(named):
        issued.setdefault(wanted, []).append(index)
    # Each issuer with those of its name that are still to be tried, the one in hand at the end.
    trials = [
        (anchor, iter(indices))
        for name, indices in issued.items()
        for anchor in trust.by_subject.get(name, ())
    ]
    # Several certificates of one name may have one key: that is looked for, and tried, once.
    owners: dict[int, tuple[bytes, bytes]] = {}
    certified: set[tuple[bytes, bytes]] = set()
    checks = signed = 0
    while trials:
        issuer, indices = trials[-1]
        index = next(indices, -1)
        if index < 0:
            trials.pop()
        if index < 0 or (index and _owner(index, ders, named, owners) in certified):
            continue
        checks, signed = checks + 1, signed + len(ders[index])
        if checks > _MOST_CHECKS or signed > MOST_SIGNED:
            return True
        if not is_signed_by(chain[index], issuer):
            continue
        if index == 0:
            return True
        certified.add(_owner(index, ders, named, owners))
        trials.append((chain[index], iter(issued.get(named[index][1], ()))))
    return False


def _owner(
    index: int,
    ders: Sequence[bytes],
    named: Sequence[_Names],
    known: dict[int, tuple[bytes, bytes]],
) -> tuple[bytes, bytes]:
    """Return subject and key of a certificate, and keep them in `known`."""
    if index not in known:
        known[index] = named[index][1], key_info_in(ders[index])
    return known[index]


def is_signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Return whether an issuer's key made the signature, and the names agree."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:
        return False  # The keys and algorithms of a peer fail in many ways.
    return True


def _verified(
    builder: PolicyBuilder,
    leaf: x509.Certificate,
    intermediates: list[x509.Certificate],
    name: str | None,
) -> list[x509.Certificate]:
    if not name:
        return builder.build_client_verifier().verify(leaf, intermediates).chain
    return builder.build_server_verifier(_subject(name)).verify(leaf, intermediates)


def _subject(name: str) -> x509.DNSName | x509.IPAddress:
    address = ip_address(name)
    return x509.IPAddress(address) if address is not None else x509.DNSName(name)


@cache
def _without_name(is_server: bool) -> dict[str, ExtensionPolicy]:
    """Return the verifier's own policy, extended to leaves without subjectAltName."""
    leaf = _named_by_subject(ExtensionPolicy.webpki_defaults_ee())
    authority = ExtensionPolicy.webpki_defaults_ca()
    if is_server:
        leaf, authority = _of_servers(leaf), _of_servers(authority)
    return {"ca_policy": authority, "ee_policy": leaf}


def _of_servers(policy: ExtensionPolicy) -> ExtensionPolicy:
    """Return the policy for servers: cryptography verifies certificates without a name for clients.

    The rule is its own for servers, in which anyExtendedKeyUsage counts for authorities alone.
    """
    return policy.may_be_present(x509.ExtendedKeyUsage, Criticality.NON_CRITICAL, _allows_servers)


def _allows_clients(
    _: Policy, certificate: x509.Certificate, usage: x509.ExtendedKeyUsage | None
) -> None:
    if not _allows(ExtendedKeyUsageOID.CLIENT_AUTH, certificate, usage):
        raise ValueError("required EKU not found: it is not for TLS clients")


def _allows_servers(
    _: Policy, certificate: x509.Certificate, usage: x509.ExtendedKeyUsage | None
) -> None:
    if not _allows(ExtendedKeyUsageOID.SERVER_AUTH, certificate, usage):
        raise ValueError("required EKU not found: it is not for TLS servers")


def _allows(
    purpose: x509.ObjectIdentifier,
    certificate: x509.Certificate,
    usage: x509.ExtendedKeyUsage | None,
) -> bool:
    """Return whether a certificate is for a purpose; "for anything" is for authorities alone."""
    if usage is None or purpose in usage:
        return True
    return ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage and _is_authority(certificate)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _named_by_subject(leaf: ExtensionPolicy) -> ExtensionPolicy:
    return leaf.may_be_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)


def _relaxed_authority(anchors: frozenset[x509.Certificate], profile: Profile) -> ExtensionPolicy:
    def key_usage(_: Policy, certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
        if usage is None:
            if profile == "web" and certificate not in anchors:
                raise ValueError("an intermediate certificate has no keyUsage")
        elif not usage.key_cert_sign:
            raise ValueError("an issuer's keyUsage does not allow it to sign certificates")

    def basic_constraints(
        _: Policy, __: x509.Certificate, constraints: x509.BasicConstraints
    ) -> None:
        if not constraints.ca:
            raise ValueError("an issuer is no authority")

    authority = ExtensionPolicy.webpki_defaults_ca().may_be_present(
        x509.KeyUsage, Criticality.AGNOSTIC, key_usage
    )
    if profile == "web":
        return authority
    return authority.require_present(
        x509.BasicConstraints, Criticality.AGNOSTIC, basic_constraints
    ).may_be_present(x509.AuthorityKeyIdentifier, Criticality.NON_CRITICAL, None)


def _relaxed_leaf(
    anchors: frozenset[x509.Certificate], profile: Profile, *, has_name: bool
) -> ExtensionPolicy:
    def key_usage(_: Policy, certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
        if usage is not None and usage.key_cert_sign and certificate not in anchors:
            raise ValueError("keyUsage allows the leaf to sign certificates")

    def basic_constraints(
        _: Policy, certificate: x509.Certificate, constraints: x509.BasicConstraints | None
    ) -> None:
        if constraints is not None and constraints.ca and certificate not in anchors:
            raise ValueError("the leaf is an authority's certificate")

    def issuer_key(
        _: Policy, certificate: x509.Certificate, identifier: x509.AuthorityKeyIdentifier | None
    ) -> None:
        if identifier is None and profile == "web" and certificate not in anchors:
            raise ValueError("the leaf has no authorityKeyIdentifier")

    leaf = (
        ExtensionPolicy.webpki_defaults_ee()
        .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, key_usage)
        .may_be_present(x509.BasicConstraints, Criticality.AGNOSTIC, basic_constraints)
        .may_be_present(x509.AuthorityKeyIdentifier, Criticality.NON_CRITICAL, issuer_key)
    )
    if not has_name:
        return _named_by_subject(leaf)
    if profile == "web":
        return leaf
    # That one of the names is the server's is checked in any case, by the verifier itself.
    return leaf.require_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, _names_are_seen)


def _names_are_seen(_: Policy, certificate: x509.Certificate, __: object) -> None:
    """Refuse names that a verifier may skip, if there is no subject (RFC 5280 4.2.1.6)."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    if not certificate.subject.rdns and not names.critical:
        raise ValueError("subjectAltName is not critical, although there is no subject")
