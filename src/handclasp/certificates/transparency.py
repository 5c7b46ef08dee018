"""Signed certificate timestamps: proof that a certificate was shown to the public (RFC 6962).

A log signs a timestamp for each certificate that it promises to publish. The timestamps reach a
client inside the certificate, in a TLS extension, or inside a stapled OCSP response. They are
verified with the logs' public keys, which the application has to provide.

RFC 9162 describes another version, with other signatures and extensions, which no log of the web
uses. Its timestamps are ignored, as RFC 6962 section 3.3 requires.

>>> from datetime import UTC, datetime
>>> from cryptography import x509
>>> from handclasp.certificates.transparency import Timestamp, timestamps_of, valid_timestamps
>>> leaf = x509.load_der_x509_certificate(Credentials.load("chain.pem", "key.pem").chain_der[0])
>>> times: list[Timestamp] = list(timestamps_of(leaf))  # It holds none.
>>> valid_timestamps([leaf], None, None, [], datetime.now(UTC))
()
"""

from __future__ import annotations

import binascii
import hashlib
import json
from base64 import b64decode
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from handclasp.certificates import der, raw_keys
from handclasp.certificates.reading import keep_warnings_out
from handclasp.crypto.signatures import key_kind
from handclasp.deferred import DeferredModule
from handclasp.errors import CertificateError, ConfigurationError, ProtocolError
from handclasp.faults import Fault
from handclasp.values import dataclass, field
from handclasp.wire.reader import Reader
from handclasp.wording import printable

if TYPE_CHECKING:
    from cryptography import x509
else:
    x509 = DeferredModule("cryptography.x509")

Source = Literal["certificate", "tls", "ocsp"]

MAX_TIMESTAMPS = 32
"""The number of timestamps to verify, over all sources; further ones are ignored.

Certificates of the web have two to five. Each costs a signature to verify, and the peer picks how
many there are.
"""

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 4096

_ACCEPTING_STATES = {"qualified", "usable", "readonly"}
"""States of a log in which its timestamps prove something. A retired log no longer keeps its word,
or never did."""


@dataclass(frozen=True, slots=True)
class CtLog:
    """A certificate transparency log, identified by its public key.

    >>> with open("log.der", "rb") as file:
    ...     log = CtLog.from_public_key(file.read(), "a log")
    >>> policy = CertificatePolicy(ct_logs=[log], required_timestamps=1)

    Attributes:
        public_key: the SubjectPublicKeyInfo as DER: ECDSA on P-256, or RSA of 2048 to 4096 bits
            (RFC 6962 section 2.1.4).
        name: for people; two logs are the same if their keys are.
        log_id: SHA-256 of the public key, 32 bytes (RFC 6962 section 3.2).

    Raises:
        ConfigurationError: the key is none, or not of a kind that logs have.
    """

    public_key: bytes = field(repr=False, compare=False)
    name: str = field(default="", compare=False)
    log_id: bytes = field(init=False)
    _key: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        from cryptography.hazmat.primitives.serialization import load_der_public_key

        info = raw_keys.public_key_info(self.public_key)
        key = load_der_public_key(info)
        if key_kind(key) not in ("secp256r1", "rsa") or not _has_log_size(key):
            raise ConfigurationError(
                "A transparency log has a key on P-256 or an RSA key of "
                f"{MIN_RSA_BITS} to {MAX_RSA_BITS} bits: "
                f"the one given for {self.name or 'a log without a name'} is of another kind."
            )
        object.__setattr__(self, "public_key", info)
        object.__setattr__(self, "log_id", hashlib.sha256(info).digest())
        object.__setattr__(self, "_key", key)

    @classmethod
    def from_public_key(cls, public_key: bytes, name: str = "") -> CtLog:
        """Load a log from its SubjectPublicKeyInfo, PEM or DER.

        Raises:
            ConfigurationError: the key is none, or not of a kind that logs have.
        """
        return cls(public_key, name)

    @classmethod
    def from_log_list(cls, document: bytes) -> tuple[CtLog, ...]:
        """Load the accepted logs from a log list in version 3 of the browsers' JSON format.

        Logs that are pending, retired or rejected, or made for tests, are left out.

        Raises:
            ConfigurationError: the list cannot be read, or contains no accepted log.
        """
        try:
            listed = [_log_of(entry) for entry in _accepting_logs(json.loads(document))]
        except ConfigurationError:
            raise
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            raise ConfigurationError(
                "The list of transparency logs cannot be read: give the JSON of a log list in "
                "version 3 of its format, as browsers publish it."
            ) from None
        for log, log_id in listed:
            if log.log_id != log_id:
                raise ConfigurationError(
                    f"The list of transparency logs is broken: the key of {printable(log.name)} "
                    "does not belong to its log ID. Get the list anew."
                )
        if not listed:
            raise ConfigurationError(
                "The list of transparency logs holds none that is qualified, usable or read-only."
            )
        return tuple(dict.fromkeys(log for log, _ in listed))

    def signed(self, timestamp: Timestamp, entry: bytes) -> bool:
        """Return whether the timestamp is from this log, for an entry from `_entry`."""
        from cryptography.hazmat.primitives.asymmetric import ec, padding
        from cryptography.hazmat.primitives.hashes import SHA256

        is_rsa = key_kind(self._key) == "rsa"
        scheme: tuple[Any, ...] = (
            (padding.PKCS1v15(), SHA256()) if is_rsa else (ec.ECDSA(SHA256()),)
        )
        if (
            timestamp.log_id != self.log_id
            or timestamp.signature_algorithm != ("rsa" if is_rsa else "ecdsa")
            or timestamp.hash_algorithm != "sha256"
        ):
            return False
        try:
            self._key.verify(timestamp.signature, timestamp.signed_bytes(entry), *scheme)
        except Exception:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A SignedCertificateTimestamp (RFC 6962 section 3.2), as it was read.

    Attributes:
        log_id: the log that claims to have signed it: SHA-256 of its public key, 32 bytes.
        time: when, in UTC.
        source: its place: in the "certificate", in "tls" (an extension beside the certificate), or
            in "ocsp" (a stapled response).
        version: of the structure; 0 is RFC 6962's v1, the only one that is read.
        hash_algorithm, signature_algorithm: names in lower case ("sha256", "ecdsa"), or the
            number where it has no name (RFC 5246 section 7.4.1.4.1).
        extensions: CtExtensions, of which none is defined.
        signature: the log's signature over `signed_bytes`.
    """

    log_id: bytes
    time: datetime
    source: Source
    version: int
    hash_algorithm: str
    signature_algorithm: str
    extensions: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    def signed_bytes(self, entry: bytes) -> bytes:
        """Return the bytes that the log signs: entry_type and signed_entry (RFC 6962
        section 3.2).
        """
        milliseconds = (self.time - _EPOCH) // timedelta(milliseconds=1)
        return b"".join(
            (
                bytes((self.version, _CERTIFICATE_TIMESTAMP)),
                milliseconds.to_bytes(8, "big"),
                entry,
                len(self.extensions).to_bytes(2, "big"),
                self.extensions,
            )
        )


def timestamps_of(
    leaf: x509.Certificate, sct_list: bytes | None = None, ocsp_response: bytes | None = None
) -> tuple[Timestamp, ...]:
    """Return the timestamps of a certificate; nothing of them is verified here.

    Timestamps of another version and unreadable ones are left out (RFC 6962 section 3.3). An
    unreadable OCSP response has none: other checks decide whether it is acceptable.

    Args:
        sct_list: the SignedCertificateTimestampList of the TLS extension.
        ocsp_response: the stapled response, as DER.

    Raises:
        CertificateError: the certificate's extensions cannot be read, or one of the lists violates
            RFC 6962 section 3.3.
    """
    lists: list[tuple[Source, bytes | None]] = [
        ("certificate", _embedded_list(leaf)),
        ("tls", sct_list),
        ("ocsp", _stapled_list(ocsp_response)),
    ]
    found: list[Timestamp] = []
    for source, encoded in lists:
        if encoded is None:
            continue
        try:
            serialized = _serialized(encoded, MAX_TIMESTAMPS - len(found))
        except ProtocolError as error:
            raise CertificateError(error.fault, error.detail) from None
        read = [_timestamp(one, source) for one in serialized]
        found += [timestamp for timestamp in read if timestamp is not None]
    return tuple(found)


def valid_timestamps(
    path: Sequence[x509.Certificate],
    sct_list: bytes | None,
    ocsp_response: bytes | None,
    logs: Sequence[CtLog],
    now: datetime,
) -> tuple[Timestamp, ...]:
    """Return the valid timestamps of a leaf, one per log.

    Each is signed by one of `logs`, for this certificate, and not in the future (RFC 6962
    section 5.2).

    Args:
        path: as it was verified, leaf first. The issuer counts for the timestamps in the leaf.
        sct_list, ocsp_response: as for `timestamps_of`.
        now: the time of the verification, with its time zone.

    Raises:
        CertificateError: as for `timestamps_of`.
    """
    known = {log.log_id: log for log in logs}
    valid: dict[bytes, Timestamp] = {}
    for timestamp in timestamps_of(path[0], sct_list, ocsp_response):
        log = known.get(timestamp.log_id)
        if log is None or timestamp.log_id in valid or timestamp.time > now:
            continue
        if log.signed(timestamp, _entry(path, timestamp.source)):
            valid[timestamp.log_id] = timestamp
    return tuple(valid.values())


def _has_log_size(key: Any) -> bool:
    return key_kind(key) != "rsa" or MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS


def _accepting_logs(document: Any) -> Iterator[Any]:
    for operator in document["operators"]:
        # Logs that are served as static files stand apart; their timestamps are the same.
        for entry in (*operator["logs"], *operator.get("tiled_logs", ())):
            is_real = entry.get("log_type", "prod") == "prod"
            if is_real and not _ACCEPTING_STATES.isdisjoint(entry.get("state", ())):
                yield entry


def _log_of(entry: Any) -> tuple[CtLog, bytes]:
    try:
        key, log_id = (b64decode(entry[name], validate=True) for name in ("key", "log_id"))
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    return CtLog.from_public_key(key, str(entry.get("description", ""))), log_id


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_V1 = 0
_CERTIFICATE_TIMESTAMP = 0

_HASHES = {0: "none", 1: "md5", 2: "sha1", 3: "sha224", 4: "sha256", 5: "sha384", 6: "sha512"}
_SIGNATURES = {0: "anonymous", 1: "rsa", 2: "dsa", 3: "ecdsa"}


def _embedded_list(leaf: x509.Certificate) -> bytes | None:
    from cryptography import x509

    try:
        extension = leaf.extensions.get_extension_for_class(
            x509.PrecertificateSignedCertificateTimestamps
        )
    except x509.ExtensionNotFound:
        return None
    except Exception as error:
        detail = "the extensions of the certificate cannot be read"
        raise CertificateError(Fault.BAD_CERTIFICATE, detail) from error
    return der.octet_string(extension.value.public_bytes())


def _stapled_list(ocsp_response: bytes | None) -> bytes | None:
    from cryptography import x509
    from cryptography.x509 import ocsp

    if ocsp_response is None:
        return None
    keep_warnings_out()
    try:
        extensions = ocsp.load_der_ocsp_response(ocsp_response).single_extensions
        extension = extensions.get_extension_for_class(x509.SignedCertificateTimestamps)
    except Exception:
        return None  # Other defects of a response are reported where responses are verified.
    return der.octet_string(extension.value.public_bytes())


def _serialized(encoded: bytes, most: int) -> list[bytes]:
    """Return the entries of a SignedCertificateTimestampList, unparsed and limited in number."""
    whole = Reader(encoded, "SignedCertificateTimestampList")
    entries = whole.vector16("sct_list", 1)
    whole.end()
    found: list[bytes] = []
    while entries.more() and len(found) < most:
        found.append(entries.opaque16("SerializedSCT", 1))
    return found


def _timestamp(serialized: bytes, source: Source) -> Timestamp | None:
    """Parse one SerializedSCT; return None for another version and for other data."""
    reader = Reader(serialized, "SignedCertificateTimestamp")
    try:
        version = reader.uint8("sct_version")
        if version != _V1:
            return None
        log_id = reader.opaque("id", 32)
        milliseconds = int.from_bytes(reader.opaque("timestamp", 8), "big")
        extensions = reader.opaque16("extensions")
        hash_algorithm = _HASHES.get(number := reader.uint8("hash"), str(number))
        signature_algorithm = _SIGNATURES.get(number := reader.uint8("signature"), str(number))
        signature = reader.opaque16("signature")
        reader.end()
        time = _EPOCH + timedelta(milliseconds=milliseconds)
    except (ProtocolError, OverflowError):
        return None
    return Timestamp(
        log_id, time, source, version, hash_algorithm, signature_algorithm, extensions, signature
    )


def _entry(path: Sequence[x509.Certificate], source: Source) -> bytes:
    """Return LogEntryType and signed_entry: the certificate, or its state before the timestamps.

    Within the certificate itself stand timestamps for the precertificate (RFC 6962 section 3.2).
    """
    from cryptography.hazmat.primitives.serialization import Encoding

    leaf = path[0]
    if source != "certificate":
        encoded = leaf.public_bytes(Encoding.DER)
        return b"\x00\x00" + len(encoded).to_bytes(3, "big") + encoded
    issuer_key_hash = hashlib.sha256(der.public_key_info(path[min(1, len(path) - 1)])).digest()
    tbs = leaf.tbs_precertificate_bytes
    return b"\x00\x01" + issuer_key_hash + len(tbs).to_bytes(3, "big") + tbs
