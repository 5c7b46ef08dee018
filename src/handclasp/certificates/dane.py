"""TLSA records that the caller brings: the DNS says which certificate or authority is right.

RFC 6698, as RFC 7671 puts it into practice, for the usages 2 (DANE-TA) and 3 (DANE-EE). Looking
the records up, with DNSSEC, is for the caller: a record from elsewhere proves nothing.

>>> from handclasp.certificates.dane import matches_key, matching_anchors, matching_leaf
>>> from handclasp.certificates.describe import tlsa_of
>>> from handclasp.certificates.reading import certificate_of
>>> credentials = Credentials.load("chain.pem", "key.pem")
>>> leaf = certificate_of(credentials.chain_der[0])
>>> records = [TlsaRecord.parse(tlsa_of(leaf))]
>>> matching_leaf(records, leaf) == records[0]
True
>>> matches_key(records, Credentials.raw_public_key("key.pem").chain_der[0])
True
>>> matching_anchors(records, [])
[]
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from handclasp.certificates.der import public_key_info
from handclasp.certificates.reading import certificate_of, read_or_value_error
from handclasp.deferred import DeferredModule
from handclasp.errors import ConfigurationError
from handclasp.values import dataclass, field

if TYPE_CHECKING:
    from cryptography import x509
else:
    x509 = DeferredModule("cryptography.x509")

DANE_TA = 2
"""The usage of a record that names an authority (RFC 7218 section 2.1)."""
DANE_EE = 3
"""The usage of a record that names the server's own certificate or key."""

_WHOLE_CERTIFICATE = 0
_PUBLIC_KEY = 1

_EXACT = 0
_DIGESTS = {1: ("SHA-256", hashlib.sha256, 32), 2: ("SHA-512", hashlib.sha512, 64)}


@dataclass(frozen=True, slots=True)
class TlsaRecord:
    """One TLSA record (RFC 6698 section 2.1).

    >>> record = TlsaRecord.parse("3 1 1 " + 32 * "5a")
    >>> config = ClientConfig(policy=CertificatePolicy(tlsa=[record]))

    Attributes:
        usage: 2 (DANE-TA: the data names an authority) or 3 (DANE-EE: it names the server).
        selector: 0 (the data is about the whole certificate) or 1 (about its public key).
        matching_type: 0 (the data is the thing itself), 1 (its SHA-256) or 2 (its SHA-512).
        data: the certificate or SubjectPublicKeyInfo as DER, or the 32 or 64 bytes of a digest.

    Raises:
        ConfigurationError: the values do not make a record that can be used here.
    """

    usage: int
    selector: int
    matching_type: int
    data: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if self.usage in (0, 1):
            raise ConfigurationError(
                f"A TLSA record of usage {self.usage} only narrows what a trust store allows "
                "(RFC 7671 section 4), which is not supported: publish a record of usage 2 or 3, "
                "or verify with a trust store and pins."
            )
        for name, value, allowed in (
            ("usage", self.usage, (DANE_TA, DANE_EE)),
            ("selector", self.selector, (_WHOLE_CERTIFICATE, _PUBLIC_KEY)),
            ("matching type", self.matching_type, (_EXACT, *_DIGESTS)),
        ):
            if type(value) is not int or value not in allowed:
                choices = " or ".join(map(str, allowed))
                raise ConfigurationError(
                    f"A TLSA record's {name} must be {choices}, not {value!r}: leave records that "
                    "are not for this program out (RFC 6698 section 4.1)."
                )
        if type(self.data) is not bytes:
            raise ConfigurationError("A TLSA record's data must be bytes.")
        if self.matching_type == _EXACT:
            self._check_exact()
        else:
            self._check_digest()

    @classmethod
    def parse(cls, text: str) -> TlsaRecord:
        """Parse the text of zone files and of `dig +short` (RFC 6698 section 2.2): "3 1 1 ab cd".

        Raises:
            ConfigurationError: it is no such text, or no record that can be used here.
        """
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                f"The text of a TLSA record must be a string, not {type(text).__name__}."
            )
        numbers, data = text.split()[:3], "".join(text.split()[3:])
        try:
            usage, selector, matching_type = [int(number) for number in numbers]
            decoded = bytes.fromhex(data.removeprefix("(").removesuffix(")"))
        except ValueError:
            raise ConfigurationError(
                f"{text[:80]!r} is not the text of a TLSA record: give usage, selector and "
                'matching type as numbers and the data in hexadecimal, as in "3 1 1 8cb0fc...".'
            ) from None
        return cls(usage, selector, matching_type, decoded)

    @classmethod
    def from_wire(cls, rdata: bytes) -> TlsaRecord:
        """Parse the RDATA of a DNS answer: three bytes, then the data (RFC 6698 section 2.1).

        Raises:
            ConfigurationError: it is too short, or no record that can be used here.
        """
        if not isinstance(rdata, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                f"The RDATA of a TLSA record must be bytes, not {type(rdata).__name__}."
            )
        if len(rdata) < 3:
            raise ConfigurationError(
                f"The RDATA of a TLSA record has three bytes and then its data, not {len(rdata)}."
            )
        return cls(rdata[0], rdata[1], rdata[2], rdata[3:])

    def matches(self, certificate: x509.Certificate) -> bool:
        """Return whether the data match this certificate or its key; the usage is not
        considered.
        """
        if self.selector == _PUBLIC_KEY:
            return self._is_data_of(public_key_info(certificate))
        return self._is_data_of(_der(certificate))

    def matches_key(self, spki: bytes) -> bool:
        """Return whether the data match a SubjectPublicKeyInfo in DER (RFC 7671 section 5.1).

        A record about a whole certificate matches no raw key.
        """
        return self.selector == _PUBLIC_KEY and self._is_data_of(spki)

    def carried_certificate(self) -> x509.Certificate | None:
        """Return the certificate in the record itself, if there is one ("2 0 0 ...")."""
        if (self.selector, self.matching_type) != (_WHOLE_CERTIFICATE, _EXACT):
            return None
        return certificate_of(self.data)

    def _is_data_of(self, content: bytes) -> bool:
        if self.matching_type == _EXACT:
            return content == self.data
        _, digest, _ = _DIGESTS[self.matching_type]
        return digest(content).digest() == self.data

    def _check_digest(self) -> None:
        name, _, size = _DIGESTS[self.matching_type]
        if len(self.data) != size:
            raise ConfigurationError(
                f"A TLSA record of matching type {self.matching_type} holds a {name} digest of "
                f"{size} bytes, not {len(self.data)} bytes."
            )

    def _check_exact(self) -> None:
        from cryptography.hazmat.primitives.serialization import load_der_public_key

        is_key = self.selector == _PUBLIC_KEY
        try:
            if is_key:
                read_or_value_error(lambda: load_der_public_key(self.data))
            else:
                # As an anchor, it is looked up by its subject, which is read late.
                read_or_value_error(lambda: certificate_of(self.data).subject)
        except ValueError:
            what = "a SubjectPublicKeyInfo" if is_key else "a certificate"
            raise ConfigurationError(
                f"A TLSA record of selector {self.selector} and matching type 0 holds {what} as "
                "DER, and this one's data is none."
            ) from None


def matching_leaf(records: Sequence[TlsaRecord], leaf: x509.Certificate) -> TlsaRecord | None:
    """Return the first record of usage 3 for this leaf, which alone decides (RFC 7671 5.1)."""
    return next((record for record in _strongest(records, DANE_EE) if record.matches(leaf)), None)


def matches_key(records: Sequence[TlsaRecord], spki: bytes) -> bool:
    """Return whether a record of usage 3 is about this raw public key (RFC 7671 section 5.1)."""
    return any(record.matches_key(spki) for record in _strongest(records, DANE_EE))


def matching_anchors(
    records: Sequence[TlsaRecord], others: Sequence[x509.Certificate]
) -> list[x509.Certificate]:
    """Return the authorities that records of usage 2 name, as anchors for a path (RFC 7671 5.2).

    Args:
        others: what the server sent besides its leaf. An authority that it did not send can only
            come from a record that carries the whole certificate.
    """
    named = _strongest(records, DANE_TA)
    found = {other: None for other in others if any(record.matches(other) for record in named)}
    for record in named:
        carried = record.carried_certificate()
        if carried is not None:
            found[carried] = None
    return list(found)


def _strongest(records: Sequence[TlsaRecord], usage: int) -> list[TlsaRecord]:
    """Return the records of one usage; of several digests of one object, only the strongest.

    RFC 7671 section 9: an attacker who can forge the weaker digest must gain nothing by it.
    """
    ours = [record for record in records if record.usage == usage]
    best: dict[int, int] = {}
    for record in ours:
        best[record.selector] = max(best.get(record.selector, 0), record.matching_type)
    return [record for record in ours if record.matching_type in (_EXACT, best[record.selector])]


def _der(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)
