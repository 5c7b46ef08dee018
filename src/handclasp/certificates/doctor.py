"""The chain that should be sent, out of the certificates that are: in order, and without others.

Nothing here decides about trust. `mend` looks for the issuer of each certificate among the others
by name and signature, from the leaf up; the last one names its issuer, and the place
where its certificate is (RFC 5280 section 4.2.2.1).

>>> from handclasp.certificates.doctor import Dropped, MendedChain, Missing, mend
>>> from handclasp.certificates.reading import certificates_of
>>> with open("chain.pem", "rb") as file:
...     chain = certificates_of(file.read())
>>> mended: MendedChain = mend([*chain, *chain], TrustStore.from_pem("ca.pem"))
>>> len(mended.chain), mended.missing
(1, None)
>>> [dropped.why for dropped in mended.dropped]
['it is there twice']
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509

from handclasp.certificates.der import issuer_and_subject
from handclasp.certificates.describe import described
from handclasp.certificates.evidence import encoded
from handclasp.certificates.names import issuer_of, subject_of
from handclasp.certificates.path import is_signed_by
from handclasp.certificates.trust import TrustStore
from handclasp.faults import Role
from handclasp.values import dataclass

MOST_CERTIFICATES = 64
"""Certificates that are considered; a chain has two to four."""
MOST_SIGNATURE_CHECKS = 128
"""All signatures that are checked, whatever the certificates name each other."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A certificate that the chain does not need.

    See `handclasp.certificates.doctor` for an example.
    """

    certificate: x509.Certificate
    why: str


@dataclass(frozen=True, slots=True)
class Missing:
    """An issuer whose certificate the chain lacks.

    See `handclasp.certificates.doctor` for an example.

    Attributes:
        subject: its name.
        below: the name of the certificate that it has issued.
        urls: the places where the certificate is, as that one names them.
    """

    subject: str
    below: str
    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MendedChain:
    """The result of `mend`.

    See `handclasp.certificates.doctor` for an example.

    Attributes:
        chain: the certificates to send, the leaf first.
        dropped: those that are left out, in the order in which they came.
        missing: the issuer of the last one, unless it is a trusted authority or was left out as a
            root; None if nothing is missing.
        is_reordered: whether those that are kept came in another order.
        leaf_came_as: the place of the first one among those that came, from 0.
        has_leaf: whether the first one can be a leaf, the certificate of a server or client
            itself: it is no authority's, or it is a root that names hosts, as a server makes one
            for itself.
    """

    chain: tuple[x509.Certificate, ...]
    dropped: tuple[Dropped, ...]
    missing: Missing | None
    is_reordered: bool
    has_leaf: bool
    leaf_came_as: int

    @property
    def is_root_alone(self) -> bool:
        """Whether it is no chain, but the certificate of a root, which others are to trust."""
        return not self.has_leaf and len(self.chain) == 1 and issues(self.chain[0], self.chain[0])

    @property
    def is_complete(self) -> bool:
        """Whether it can be sent: the leaf is there, and no issuer is missing."""
        return self.has_leaf and self.missing is None

    @property
    def is_leaf_misplaced(self) -> bool:
        """Whether the leaf came, and another one came first."""
        return self.has_leaf and self.leaf_came_as > 0

    @property
    def is_changed(self) -> bool:
        """Whether the chain is another one than that which came."""
        return self.is_reordered or bool(self.dropped)

    def findings(self, verifier: str = "", *, role: Role | None = None) -> list[str]:
        """Return what was wrong with the chain, a sentence for each defect.

        See `handclasp.certificates.doctor` for an example.

        Args:
            verifier: what to call the end that verifies the chain: by default "the client", or
                "the server" if `role` is "client".
            role: of the end that sends the chain. By default, "client" if the first certificate is
                for clients and not for servers (RFC 5280 section 4.2.1.12), else "server".
        """
        end = role or _role_of(self.chain[0])
        verifier = verifier or ("the server" if end == "client" else "the client")
        found: list[str] = []
        if not self.has_leaf:
            found.append(
                f"The {end}'s own certificate is not there: "
                f"{_named(self.chain[0])} is that of an authority (CA:TRUE)."
            )
        if self.is_reordered or self.is_leaf_misplaced:
            where = ""
            if self.is_leaf_misplaced:
                where = f", {_named(self.chain[0])}, which is number {self.leaf_came_as + 1},"
            found.append(
                f"The certificates are not in order: the {end}'s own one{where} comes first, and "
                "after each the one that has issued it (RFC 8446 section 4.4.2)."
            )
        found += [f"{_named(each.certificate)} is not needed: {each.why}." for each in self.dropped]
        if self.missing is not None:
            at = f" It is at {self.missing.urls[0]}." if self.missing.urls else ""
            found.append(
                f"The certificate of {self.missing.subject}, which issued {self.missing.below}, is "
                "not among these: it is missing if that is an intermediate authority, and not if "
                f"it is a root, which {verifier} has to have itself.{at}"
            )
        return found


def mend(certificates: Sequence[x509.Certificate], trust: TrustStore | None = None) -> MendedChain:
    """Return the chain that should be sent.

    See `handclasp.certificates.doctor` for an example.

    Args:
        certificates: those that are sent, at least one; beyond `MOST_CERTIFICATES`, they are
            dropped.
        trust: the authorities that end a chain; without any, only a root among the certificates
            does.
    """
    search = _Search(certificates[:MOST_CERTIFICATES], trust)
    chain = search.upward(search.leaf())
    root = chain.pop() if len(chain) > 1 and search.is_root(chain[-1]) else None
    top = chain[-1]
    is_ended = root is not None or search.is_anchored(top) or search.is_root(top)
    is_ended = is_ended or _names_root(top)
    dropped = search.without(chain, root)
    dropped += [
        Dropped(each, f"there are more than {MOST_CERTIFICATES} certificates")
        for each in certificates[MOST_CERTIFICATES:]
    ]
    places = [search.certificates.index(each) for each in chain]
    return MendedChain(
        tuple(chain),
        tuple(dropped),
        None if is_ended else _missing(top),
        places != sorted(places),
        search.is_leaf(chain[0]),
        list(certificates).index(chain[0]),
    )


def issues(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Return whether a certificate that was fetched is that of the missing issuer.

    >>> from handclasp.certificates.doctor import issues
    >>> from handclasp.certificates.reading import certificates_of
    >>> with open("chain.pem", "rb") as file, open("ca.pem", "rb") as ca:
    ...     issues(certificates_of(ca.read())[0], certificates_of(file.read())[0])
    True
    """
    return is_signed_by(certificate, issuer)


def _role_of(certificate: x509.Certificate) -> Role:
    """Return the end that a certificate is for, as far as it tells: most are for servers."""
    purposes = described(certificate, "extended_key_usage")["extended_key_usage"] or ()
    return "client" if "clientAuth" in purposes and "serverAuth" not in purposes else "server"


def _names_root(certificate: x509.Certificate) -> bool:
    """Return whether a certificate shows that its issuer is a root, which need not be sent.

    That is so where authorityKeyIdentifier names the issuer of the issuer's certificate, which is
    the issuer itself (RFC 5280 section 4.2.1.1). Most certificates do not tell.
    """
    try:
        found = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        names = found.authority_cert_issuer or ()
        return any(
            isinstance(name, x509.DirectoryName) and name.value == certificate.issuer
            for name in names
        )
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False


def _missing(top: x509.Certificate) -> Missing:
    urls = described(top, "issuer_urls")["issuer_urls"] or ()
    web = [each for each in urls if each.lower().startswith(("http://", "https://"))]
    return Missing(issuer_of(top) or "(no name)", _named(top), tuple(web))


class _Search:
    """The certificates, with their names, and the signatures that were checked."""

    def __init__(self, certificates: Sequence[x509.Certificate], trust: TrustStore | None) -> None:
        self.certificates = list(dict.fromkeys(certificates))
        self._given = certificates
        self._trust = trust
        self._names = {each: issuer_and_subject(encoded(each)) for each in self.certificates}
        self._signed: dict[tuple[x509.Certificate, x509.Certificate], bool] = {}

    def leaf(self) -> x509.Certificate:
        """Return the certificate of the end itself: the first one that is no authority.

        If all are authorities, it is the first that has issued none of the others.
        """
        for each in self.certificates:
            if not described(each, "is_authority")["is_authority"]:
                return each
        for each in self.certificates:
            others = [other for other in self.certificates if other is not each]
            if not any(self._is_issued(other, each) for other in others):
                return each
        return self.certificates[0]

    def is_leaf(self, certificate: x509.Certificate) -> bool:
        """Return whether it can be a leaf: some servers make themselves one that is a root."""
        found = described(certificate, "is_authority", "names")
        return not found["is_authority"] or (bool(found["names"]) and self.is_root(certificate))

    def upward(self, leaf: x509.Certificate) -> list[x509.Certificate]:
        """Return the certificates from the leaf to the last issuer that is there."""
        chain = [leaf]
        while not self.is_root(chain[-1]):
            issuers = [
                each
                for each in self.certificates
                if each not in chain and self._is_issued(chain[-1], each)
            ]
            if not issuers:
                break
            # Of several with one key, that which leads on, and of those the one valid longest.
            chain.append(max(issuers, key=lambda each: (not self.is_root(each), _end_of(each))))
        return chain

    def is_root(self, certificate: x509.Certificate) -> bool:
        """Return whether it is self-signed."""
        return self._is_issued(certificate, certificate)

    def is_anchored(self, certificate: x509.Certificate) -> bool:
        """Return whether a trusted authority has issued it, or is it."""
        if self._trust is None:
            return False
        if certificate in self._trust.anchors:
            return True
        anchors = self._trust.by_subject.get(self._names[certificate][0], ())
        return any(is_signed_by(certificate, anchor) for anchor in anchors)

    def without(
        self, chain: Sequence[x509.Certificate], root: x509.Certificate | None
    ) -> list[Dropped]:
        """Return those that are not in the chain, each with the reason."""
        dropped: list[Dropped] = []
        seen: set[x509.Certificate] = set()
        for each in self._given:
            if each in seen:
                dropped.append(Dropped(each, "it is there twice"))
            elif each is root or each == root:
                dropped.append(
                    Dropped(
                        each, "it is the root, which the other end has itself or does not trust"
                    )
                )
            elif each not in chain:
                dropped.append(Dropped(each, "it has issued no certificate of the chain"))
            seen.add(each)
        return dropped

    def _is_issued(self, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
        if self._names[certificate][0] != self._names[issuer][1]:
            return False
        pair = certificate, issuer
        if pair not in self._signed:
            is_left = len(self._signed) < MOST_SIGNATURE_CHECKS
            self._signed[pair] = is_left and is_signed_by(certificate, issuer)
        return self._signed[pair]


def _end_of(certificate: x509.Certificate) -> str:
    return str(described(certificate, "not_after")["not_after"])


def _named(certificate: x509.Certificate) -> str:
    return subject_of(certificate) or "a certificate without a name"
