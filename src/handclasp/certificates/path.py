"""From the leaf to an anchor: path building, which is cryptography's, under our two profiles.

cryptography.x509.verification checks each path as RFC 5280 section 6 and the profile of the web
ask: signatures, dates, names, basic constraints, key usage, name constraints, critical extensions.
Two of its rules for leaves are ours: keyUsage must allow signatures (RFC 8446 section 4.4.2.2),
and the web profile demands extendedKeyUsage.

The first try is as strict as it can be, and calls back only for these two. If it refuses, there
is a second, which allows for what is unusual and no worse for it:

- A trust anchor may lack keyUsage: `openssl req -x509` leaves it out, and RFC 5280 section 6.1.1
  has the verifier take from an anchor its name and key only.
- A leaf that is an anchor itself, as somebody chose to trust this one certificate, may be an
  authority's, and may lack authorityKeyIdentifier and extendedKeyUsage.
- Under the profile "private", other authorities may lack keyUsage and the critical mark on
  basicConstraints, their key identifiers may be of any form, and a leaf may lack its issuer's.

A client needs no subjectAltName in either: many are known by their subject.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache

from cryptography import x509
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    VerificationError,
)

from handclasp.certificates.names import ip_address
from handclasp.certificates.policy import CertificatePolicy, Profile
from handclasp.certificates.trust import TrustStore

_Policies = tuple[ExtensionPolicy, ExtensionPolicy]
"""For authorities and for leaves."""


def build_path(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    trust: TrustStore,
    name: str | None,
    now: datetime,
    policy: CertificatePolicy,
) -> list[x509.Certificate]:
    """The verifier's own path, leaf first, anchor last.

    Args:
        name: the normal name of a server, or None for a client.

    Raises:
        Exception: there is none. Not only VerificationError: hostile DER shows late, as
            ValueError, TypeError and others, because keys and extensions are read when needed.
    """
    builder = PolicyBuilder().store(trust.store).time(now).max_chain_depth(policy.max_intermediates)
    intermediates = list(others)
    is_client = name is None
    try:
        strict = _strict(policy.profile, is_client)
        return _verified(builder, strict, leaf, intermediates, name)
    except VerificationError:
        relaxed = _relaxed(trust.anchors, policy.profile, is_client)
        return _verified(builder, relaxed, leaf, intermediates, name)


def _verified(
    builder: PolicyBuilder,
    policies: _Policies,
    leaf: x509.Certificate,
    intermediates: list[x509.Certificate],
    name: str | None,
) -> list[x509.Certificate]:
    builder = builder.extension_policies(ca_policy=policies[0], ee_policy=policies[1])
    if name is None:
        return builder.build_client_verifier().verify(leaf, intermediates).chain
    return builder.build_server_verifier(_subject(name)).verify(leaf, intermediates)


def _subject(name: str) -> x509.DNSName | x509.IPAddress:
    address = ip_address(name)
    return x509.IPAddress(address) if address is not None else x509.DNSName(name)


@cache
def _strict(profile: Profile, is_client: bool) -> _Policies:
    """The verifier's own policy and our two rules for leaves."""

    def usage_allowed(_: Policy, __: x509.Certificate, usage: x509.KeyUsage | None) -> None:
        _check_key_usage(usage)
        if usage is not None and usage.key_cert_sign:
            raise ValueError("keyUsage allows the leaf to sign certificates")

    def purpose_named(
        policy: Policy, _: x509.Certificate, purposes: x509.ExtendedKeyUsage | None
    ) -> None:
        _check_purpose(policy, purposes, may_lack=profile == "private")

    leaf = (
        ExtensionPolicy.webpki_defaults_ee()
        .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, usage_allowed)
        .may_be_present(x509.ExtendedKeyUsage, Criticality.NON_CRITICAL, purpose_named)
    )
    return ExtensionPolicy.webpki_defaults_ca(), _named_by_subject(leaf) if is_client else leaf


def _relaxed(anchors: frozenset[x509.Certificate], profile: Profile, is_client: bool) -> _Policies:
    """What the second try goes by."""
    leaf = _relaxed_leaf(anchors, profile)
    return _relaxed_authority(anchors, profile), _named_by_subject(leaf) if is_client else leaf


def _named_by_subject(leaf: ExtensionPolicy) -> ExtensionPolicy:
    return leaf.may_be_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)


def _check_key_usage(usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.digital_signature:
        # RFC 8446 4.4.2.2: the bit MUST be set if the extension is present.
        raise ValueError("keyUsage lacks digitalSignature")


def _check_purpose(
    policy: Policy, purposes: x509.ExtendedKeyUsage | None, *, may_lack: bool
) -> None:
    if purposes is None:
        if not may_lack:
            raise ValueError("the leaf has no extendedKeyUsage")
    elif policy.extended_key_usage not in purposes:
        raise ValueError("extendedKeyUsage does not allow this use")


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


def _relaxed_leaf(anchors: frozenset[x509.Certificate], profile: Profile) -> ExtensionPolicy:
    def key_usage(_: Policy, certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
        _check_key_usage(usage)
        if usage is not None and usage.key_cert_sign and certificate not in anchors:
            raise ValueError("keyUsage allows the leaf to sign certificates")

    def purposes(
        policy: Policy, certificate: x509.Certificate, given: x509.ExtendedKeyUsage | None
    ) -> None:
        _check_purpose(policy, given, may_lack=profile == "private" or certificate in anchors)

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

    return (
        ExtensionPolicy.webpki_defaults_ee()
        .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, key_usage)
        .may_be_present(x509.ExtendedKeyUsage, Criticality.NON_CRITICAL, purposes)
        .may_be_present(x509.BasicConstraints, Criticality.AGNOSTIC, basic_constraints)
        .may_be_present(x509.AuthorityKeyIdentifier, Criticality.NON_CRITICAL, issuer_key)
    )
