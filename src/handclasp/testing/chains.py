"""The certificates of faulty peers: one good chain, and one for each fault of a certificate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from handclasp.certificates.credentials import Credentials, LocalSigner
from handclasp.testing.authority import (
    DAY,
    Authority,
    Leaf,
    RootAuthority,
    client_leaf,
    der_of,
    key_of_type,
    name_constraints,
    self_signed,
    signed_with_sha1,
)
from handclasp.values import dataclass, replace

WRONG_HOST = "wrong-host.example"


@dataclass(frozen=True, slots=True)
class Chain:
    """A peer's certificates and what its authority says about them.

    Attributes:
        staple: the OCSP response to send with the leaf; None for none.
        revoked: whether the leaf is in the authority's revocation list.
    """

    credentials: Credentials
    staple: bytes | None = None
    revoked: bool = False

    @property
    def leaf(self) -> x509.Certificate:
        """The peer's own certificate."""
        return x509.load_der_x509_certificate(self.credentials.chain_der[0])


_Make: TypeAlias = Callable[[RootAuthority, Leaf, str], Chain]

_ECDSA, _RSA = "ecdsa-p256", "rsa-2048"


def server_chain(
    fault: str, authority: RootAuthority, names: Sequence[str], key_type: str = _ECDSA
) -> Chain:
    """Return the chain of a server with these names; a good one for a fault of the protocol."""
    return _SERVERS.get(fault, _good)(authority, Leaf(tuple(names)), key_type)


def server_chains(fault: str, authority: RootAuthority, names: Sequence[str]) -> tuple[Chain, ...]:
    """Return the chains of a server, preferred first: for clients that verify ECDSA, and RSA."""
    types = (_ECDSA,) if fault == "weak-key" else (_ECDSA, _RSA)
    return tuple(server_chain(fault, authority, names, each) for each in types)


def client_chain(fault: str, authority: RootAuthority) -> Chain:
    """Return the chain of a client; a good one for a fault of the protocol."""
    return _CLIENTS.get(fault, _good)(authority, client_leaf("a client"), _ECDSA)


def _good(authority: RootAuthority, leaf: Leaf, key_type: str) -> Chain:
    return Chain(authority.credentials(leaf, key_type))


def _expired(authority: RootAuthority, leaf: Leaf, key_type: str) -> Chain:
    now = authority.now
    return _good(authority, replace(leaf, not_before=now - 9 * DAY, not_after=now - DAY), key_type)


def _not_yet_valid(authority: RootAuthority, leaf: Leaf, key_type: str) -> Chain:
    now = authority.now
    return _good(authority, replace(leaf, not_before=now + DAY, not_after=now + 9 * DAY), key_type)


def _wrong_host(authority: RootAuthority, leaf: Leaf, key_type: str) -> Chain:
    return _good(authority, replace(leaf, names=(WRONG_HOST,)), key_type)


def _self_signed(authority: RootAuthority, leaf: Leaf, key_type: str) -> Chain:
    # A certificate without a subject has no issuer either, which no parser takes.
    own = replace(leaf, common_name="self-signed")
    certificate, key = self_signed(own, key_type, now=authority.now)
    return Chain(Credentials.from_signer([certificate], LocalSigner(key)))


def _untrusted(authority: RootAuthority, leaf: Leaf, key_type: str) -> Chain:
    name = authority.certificate.subject.rdns[0]
    (attribute,) = name
    return _good(RootAuthority(str(attribute.value), now=authority.now), leaf, key_type)


def _missing_intermediate(authority: RootAuthority, leaf: Leaf, key_type: str) -> Chain:
    below = authority.intermediate("Example Issuing CA")
    return Chain(_without_path(below, leaf, key_type))


def _without_path(authority: Authority, leaf: Leaf, key_type: str) -> Credentials:
    key = key_of_type(key_type)
    certificate = authority.issue(leaf, key.public_key())
    return Credentials.from_signer([certificate], LocalSigner(key))


def _revoked_by_staple(authority: RootAuthority, leaf: Leaf, key_type: str) -> Chain:
    # curl looks for the issuer, which signs the response, in the chain, and a root is not in it.
    below = authority.intermediate("an intermediate that revokes")
    chain = Chain(below.credentials(leaf, key_type))
    return replace(chain, staple=below.ocsp_response(chain.leaf, "revoked"))


def _revoked_by_list(authority: RootAuthority, leaf: Leaf, key_type: str) -> Chain:
    return replace(_good(authority, leaf, key_type), revoked=True)


def _weak_key(authority: RootAuthority, leaf: Leaf, _: str) -> Chain:
    return Chain(authority.credentials(leaf, "rsa-1024"))


def _sha1(authority: RootAuthority, leaf: Leaf, key_type: str) -> Chain:
    below = authority.intermediate("an intermediate that signs with SHA-1", "rsa-2048")
    key = key_of_type(key_type)
    certificate = signed_with_sha1(below.issue(leaf, key.public_key()), below.key)
    # Loading them together checks the signature, and takes no SHA-1.
    alone = Credentials.from_signer([certificate], LocalSigner(key))
    return Chain(replace(alone, chain_der=(*alone.chain_der, *der_of(*below.path))))


def _wrong_eku_of_server(authority: RootAuthority, leaf: Leaf, key_type: str) -> Chain:
    return _good(authority, replace(leaf, purpose=ExtendedKeyUsageOID.CLIENT_AUTH), key_type)


def _wrong_eku_of_client(authority: RootAuthority, leaf: Leaf, key_type: str) -> Chain:
    return _good(authority, replace(leaf, purpose=ExtendedKeyUsageOID.SERVER_AUTH), key_type)


def _name_constraint(authority: RootAuthority, leaf: Leaf, key_type: str) -> Chain:
    limits = [name_constraints(permitted=["permitted.example"])]
    below = authority.intermediate("a constrained intermediate", extensions=limits)
    return Chain(below.credentials(leaf, key_type))


_SERVERS: dict[str, _Make] = {
    "expired": _expired,
    "not-yet-valid": _not_yet_valid,
    "wrong-host": _wrong_host,
    "self-signed": _self_signed,
    "untrusted": _untrusted,
    "missing-intermediate": _missing_intermediate,
    "revoked-staple": _revoked_by_staple,
    "revoked-crl": _revoked_by_list,
    "weak-key": _weak_key,
    "sha1": _sha1,
    "wrong-eku": _wrong_eku_of_server,
    "name-constraint": _name_constraint,
}

_CLIENTS: dict[str, _Make] = {
    "untrusted": _untrusted,
    "expired": _expired,
    "wrong-eku": _wrong_eku_of_client,
}
