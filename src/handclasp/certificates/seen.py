"""A certificate as the rules see it: each part of it is read once, however often it is needed.

A walk comes past the same certificate on many paths and with many rules, and whatever a rule reads
or words takes time that grows with what the peer put there. So all of that stands here, per
certificate; what depends on a path is a few numbers.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from cryptography import x509

from handclasp.certificates.der import (
    extension_values,
    key_info_in,
    names_and_extensions_size,
)
from handclasp.certificates.evidence import is_self_issued
from handclasp.certificates.names import (
    ALTERNATIVES,
    LONGEST_NAME,
    MOST_EXTENSION_BYTES,
    MOST_NAME_BYTES,
    Names,
    bytes_besides_dns_names,
    common_names,
    issuer_of,
    subject_of,
    unread_names,
)
from handclasp.certificates.trust import TrustStore
from handclasp.crypto.signatures import key_kind

NO_NAME = b"\x30\x00"
"""An empty name as DER."""


class Seen:
    """One certificate.

    Attributes:
        issuer_name, subject_name: the names as they stand there, as DER.
        is_anchor, is_vetted: what it is in the trust store.
        extensions_size: bytes that its extensions take.
        is_oversized: whether that is more than is accepted of others than anchors, even without the
            text of DNS names.
        bounded: whether a long subject is left unread, which is so for the wording of a refusal.
        unread: whether its extensions are left unread, as there are too many for that.
        lacked: whether something was asked for that was left unread.
        signs_itself: whether it is signed by its own key; None if nobody has asked, or if there
            were too many signatures to check.
    """

    def __init__(self, certificate: x509.Certificate, der: bytes, trust: TrustStore) -> None:
        self.certificate = certificate
        self.der = der
        names_and_size = names_and_extensions_size(der)
        self.issuer_name, self.subject_name, self.extensions_size = names_and_size
        # Few have the name of an anchor, and to compare whole certificates takes longer.
        self.is_anchor = self.subject_name in trust.by_subject and certificate in trust.anchors
        self.is_vetted = self.is_anchor and certificate in trust.vetted
        self.is_oversized = (
            self.extensions_size > MOST_EXTENSION_BYTES
            and not self.is_anchor
            and bytes_besides_dns_names(certificate, self.extensions_size) > MOST_EXTENSION_BYTES
        )
        self.bounded = False
        self.unread = self.is_oversized
        self.lacked = False
        self.signs_itself: bool | None = None

    @property
    def name_bytes(self) -> int:
        """The bytes of its issuer and its subject."""
        return len(self.issuer_name) + len(self.subject_name)

    @cached_property
    def about(self) -> str:
        """Its subject, safe to print."""
        if self.unread and self.subject_name == NO_NAME:
            return unread_names(self.extensions_size)
        return subject_of(self.certificate, self.subject_name, lambda: self.names)

    @cached_property
    def issuer(self) -> str:
        """Its issuer, safe to print. Raises what cryptography raises."""
        return issuer_of(self.certificate, self.issuer_name)

    @cached_property
    def is_self_issued(self) -> bool:
        """Whether issuer and subject are one name."""
        return is_self_issued(self.certificate, self.der)

    @cached_property
    def key(self) -> Any:
        """Its public key; None where it cannot be read."""
        try:
            return self.certificate.public_key()
        except Exception:
            return None  # cryptography raises one thing or another.

    @cached_property
    def key_kind(self) -> str:
        """As `key_kind` names it; empty where the key cannot be read."""
        return key_kind(self.key)

    @cached_property
    def key_info(self) -> bytes:
        """Its SubjectPublicKeyInfo as it stands there."""
        return key_info_in(self.der)

    @cached_property
    def all_extensions(self) -> tuple[x509.Extension[Any], ...] | None:
        """Its extensions; None where they cannot be read, or are left unread."""
        if self.unread:
            self.lacked = True
            return None
        try:
            return tuple(self.certificate.extensions)
        except Exception:
            # They are read late, and fail with ValueError, TypeError and others.
            return None

    @cached_property
    def _by_kind(self) -> dict[type[Any], x509.Extension[Any]]:
        return {each.value.__class__: each for each in self.all_extensions or ()}

    def entry(self, kind: type[Any]) -> x509.Extension[Any] | None:
        """Return the extension of this class, if it is present and can be read."""
        return self._by_kind.get(kind)

    def extension(self, kind: type[Any]) -> Any:
        """Return the value of such an extension, or None."""
        found = self._by_kind.get(kind)
        return None if found is None else found.value

    @cached_property
    def alternatives(self) -> tuple[x509.GeneralName, ...]:
        """All that its subjectAltName holds."""
        return tuple(self.extension(x509.SubjectAlternativeName) or ())

    @cached_property
    def names(self) -> Names:
        """Its DNS names and IP addresses."""
        return self.names_unread or Names.of(self.alternatives)

    @cached_property
    def names_unread(self) -> Names | None:
        """Return the names of a certificate whose extensions are left unread, as they are written.

        None if the extensions are read, or if there is not exactly one subjectAltName.
        """
        values = extension_values(self.certificate, ALTERNATIVES) if self.unread else []
        return Names.in_der(values[0]) if len(values) == 1 else None

    @cached_property
    def common_names(self) -> list[str]:
        """The common names in its subject. Raises what cryptography raises."""
        if self.name_bytes > MOST_NAME_BYTES:
            return []  # It is refused for that.
        if self.bounded and len(self.subject_name) > LONGEST_NAME:
            self.lacked = True
            return []
        return common_names(self.certificate, self.subject_name)
