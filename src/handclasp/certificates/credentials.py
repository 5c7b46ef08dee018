"""The credentials of this side: a certificate chain, and a signer that holds the key.

Loading is strict, since a mistake would otherwise appear as a failed handshake at the other end:
the key must belong to the certificate, and the chain must be one chain. Dates and purposes depend
on the time and the role, so that building a config warns of them, and so does loading its
credentials again; see `own_certificate`.
"""

from __future__ import annotations

import hashlib
import os
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

from handclasp.certificates import loading
from handclasp.certificates.der import key_info_in
from handclasp.certificates.key_files import warn_if_exposed
from handclasp.certificates.names import certificate_names, covers, normal_name, subject_of
from handclasp.certificates.own_certificate import warn_of_key_usage
from handclasp.certificates.raw_keys import declares_pss, key_of, public_key_info
from handclasp.certificates.reloading import ReloadingCredentials
from handclasp.crypto import signatures
from handclasp.crypto.signatures import SIGNATURE_SCHEMES
from handclasp.deferred import DeferredModule
from handclasp.errors import ConfigurationError
from handclasp.synchronous import check_synchronous
from handclasp.values import dataclass, field, replace
from handclasp.wording import listed

if TYPE_CHECKING:
    from cryptography import x509
else:
    x509 = DeferredModule("cryptography.x509")

Source = str | os.PathLike[str] | bytes
"""A path, or what a file at that path would hold."""


class Signer(Protocol):
    """A signer for a certificate: a key in memory, an HSM or TPM, or a remote service.

    See `Credentials.from_signer` for an example.

    Attributes:
        schemes: the IANA names of its signature schemes, best first, such as
            "ecdsa_secp256r1_sha256". An RSA key signs in the rsa_pss_rsae schemes, and for older
            TLS 1.2 peers in rsa_pkcs1, or, where its certificate declares it as id-RSASSA-PSS, in
            the rsa_pss_pss schemes.

    For RSA key transport, a server's signer also needs `decrypt(ciphertext: bytes) -> bytes`, or
    an awaitable of it: RSAES-PKCS1-v1_5 (RFC 8017 section 7.2.2). An exception and any other result
    count as a wrong secret: the peer must not learn which.
    """

    @property
    def schemes(self) -> Sequence[str]: ...

    def sign(self, scheme: str, data: bytes) -> bytes | Awaitable[bytes]:
        """Return the signature in `scheme` over `data`, which it hashes itself, or an awaitable of
        one.

        In the wire form of TLS (RFC 8446 section 4.2.3): ECDSA as DER, and PSS with a salt as
        long as the hash. If it returns an awaitable, the handshake continues when that is done; a
        connection that cannot await refuses it. An exception ends the handshake.
        """
        ...


class StapleSource(Protocol):
    """The source of the OCSP response to staple to a certificate.

    See `OcspStaple` for an example.
    """

    def current(self, now: datetime) -> bytes | None:
        """Return the response as DER if there is one that is valid at `now`."""
        ...


class LocalSigner:
    """A signer that holds a private key object of cryptography in this process.

    >>> from cryptography.hazmat.primitives.asymmetric import ed25519
    >>> signer = LocalSigner(ed25519.Ed25519PrivateKey.generate())
    >>> signer.schemes
    ('ed25519',)

    Args:
        private_key: RSA, ECDSA on P-256, P-384 or P-521, Ed25519, Ed448 or ML-DSA.
        spki_is_pss: whether the certificate declares its RSA key as id-RSASSA-PSS.

    Raises:
        ConfigurationError: TLS has no signature scheme for a key of this type or size.
    """

    __slots__ = ("_private_key", "schemes")

    def __init__(self, private_key: Any, *, spki_is_pss: bool = False) -> None:
        kind = signatures.key_kind(private_key)
        self.schemes: Sequence[str] = (
            signatures.schemes_for_key(private_key.public_key(), spki_is_pss) if kind else ()
        )
        if not self.schemes:
            raise ConfigurationError(
                "TLS cannot sign with this key: use ECDSA P-256, Ed25519, or RSA of at least "
                "2048 bits."
            )
        self._private_key = private_key

    def sign(self, scheme: str, data: bytes) -> bytes:
        return signatures.sign(scheme, self._private_key, data)

    def decrypt(self, ciphertext: bytes) -> bytes:
        """Decrypt with RSAES-PKCS1-v1_5, for RSA key transport; raise what cryptography raises."""
        from cryptography.hazmat.primitives.asymmetric import padding

        decrypted: bytes = self._private_key.decrypt(ciphertext, padding.PKCS1v15())
        return decrypted

    def __repr__(self) -> str:
        return f"LocalSigner({', '.join(self.schemes)})"


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """A certificate chain, or a raw public key, and the signer for its key.

    It can be shared freely, and never prints a key.

    >>> credentials = Credentials.load("chain.pem", "key.pem")
    >>> credentials.names, credentials.schemes
    (('example.com',), ('ecdsa_secp256r1_sha256',))

    Attributes:
        chain_der: the certificates as DER, leaf first; of a raw public key, its
            SubjectPublicKeyInfo alone (RFC 7250 section 3).
        signer: signs with the leaf's key.
        names: the DNS names and IP addresses of the leaf, in normal form.
        schemes: the signature schemes that both the leaf and the signer support, best first.
        subject: the leaf's subject, for people.
        issuers_der: the DER names of all issuers in the chain, to compare with a peer's
            certificate_authorities (RFC 8446 section 4.2.4).
        certificate_type: "X509" or "RawPublicKey" (RFC 7250).
        staple: the source of the OCSP response to send with the leaf; see `with_staple`.
        sct_list: the SignedCertificateTimestampList to send with it; see `with_timestamps`.
        root_file: the file of the root that has issued the chain, where it is known to be a root,
            as with `LocalAuthority.credentials`; an advice to clients that do not trust it names
            this file. Empty where it is unknown.
    """

    chain_der: tuple[bytes, ...]
    signer: Signer
    names: tuple[str, ...]
    schemes: tuple[str, ...]
    subject: str = field(default="", compare=False)
    issuers_der: tuple[bytes, ...] = field(default=(), compare=False)
    certificate_type: str = "X509"
    staple: StapleSource | None = None
    sct_list: bytes | None = field(default=None, repr=False)
    root_file: str = field(default="", compare=False)

    @property
    def key_kind(self) -> str:
        """The kind of the leaf's key: "rsa", "ed25519", or the name of its curve."""
        return SIGNATURE_SCHEMES[self.schemes[0]].key

    @property
    def can_decrypt(self) -> bool:
        """Whether RSA key transport works with this key: id-RSASSA-PSS is for signing only."""
        is_rsa = self.key_kind == "rsa" and not SIGNATURE_SCHEMES[self.schemes[0]].pss_key
        return is_rsa and callable(getattr(self.signer, "decrypt", None))

    @property
    def current(self) -> Credentials:
        """These credentials: they never change. `ReloadingCredentials.current` may."""
        return self

    @classmethod
    def load(
        cls,
        chain_path: str | os.PathLike[str],
        key_path: str | os.PathLike[str],
        password: str | bytes | None = None,
    ) -> Credentials:
        """Load a file of PEM certificates, leaf first, and a file with the private key.

        Both may be the same file. The key is PKCS #8, PKCS #1 or SEC 1, and may be encrypted; it
        and a single certificate may be DER as well. Certificates in the wrong order are reordered
        if there is only one right order. If every user of the machine can read the key file, or
        others can change it, the logger "handclasp" gets a warning; as it does for a certificate
        whose key usage lacks digitalSignature, which peers refuse (RFC 8446 section 4.4.2.2).
        Building a config warns there, once, of a certificate that is for the other role, has
        expired, is not yet valid, or expires within 30 days with less than a third of its life
        left.

        Raises:
            ConfigurationError: a file is missing or unreadable, or has the wrong content, or the
                two do not belong together.
        """
        chain_file = f"the certificate file {_path_of(chain_path, 'the certificate file')}"
        key_file = f"the key file {_path_of(key_path, 'the key file')}"
        loaded = _from_bytes(
            loading.read_file(chain_path, chain_file),
            chain_file,
            loading.read_file(key_path, key_file),
            key_file,
            password,
        )
        warn_if_exposed(key_path, key_file)
        return loaded

    @classmethod
    def auto_reload(
        cls,
        chain_path: str | os.PathLike[str],
        key_path: str | os.PathLike[str] | None = None,
        password: str | bytes | None = None,
        *,
        signer: Signer | None = None,
        staple: Staple | None = None,
        on_error: Callable[[ConfigurationError], object] | None = None,
        keep_valid: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> ReloadingCredentials:
        """Load as `load` does, and again whenever the files change; a config takes either.

        The modes of the files are also checked each time; see `load`.

        Args:
            key_path, password: as for `load`; or give a signer.
            signer: as for `from_signer`, for a key that is not in a file: only the chain is read
                again. A new chain for another key is refused, since the signer has the old one.
            staple: as for `with_staple`, applied again after each load.
            on_error, keep_valid, clock: see `ReloadingCredentials`.

        Raises:
            ConfigurationError: as for `load` and `with_staple`, at the first load only; or both a
                key and a signer are given, or neither.
        """
        _path_of(chain_path, "the certificate file")
        if (key_path is None) is (signer is None):
            raise ConfigurationError(
                "Credentials.auto_reload needs a key_path or a signer, and not both."
            )
        files, read = [chain_path], _chain_reader(chain_path, signer)
        if key_path is not None:
            _path_of(key_path, "the key file")
            files.append(key_path)
            read = partial(cls.load, chain_path, key_path, password)

        def load() -> Credentials:
            loaded = read()
            return loaded if staple is None else loaded.with_staple(staple)

        return ReloadingCredentials(
            files, load, on_error=on_error, keep_valid=keep_valid, clock=clock
        )

    @classmethod
    def from_pem(
        cls, chain_bytes: bytes, key_bytes: bytes, password: str | bytes | None = None
    ) -> Credentials:
        """Load PEM certificates, leaf first, and the private key from memory."""
        return _from_bytes(chain_bytes, "the certificate data", key_bytes, "the key data", password)

    @classmethod
    def from_pkcs12(cls, source: Source, password: str | bytes | None = None) -> Credentials:
        """Load a PKCS #12 file (.p12, .pfx; RFC 7292), or its content as bytes.

        Raises:
            ConfigurationError: the file is missing or unreadable, the password is wrong, or the
                certificates in it and the key do not belong together.
        """
        data, what = loading.read_source(source, "PKCS #12")
        private_key, certificates = loading.pkcs12_in(data, what, password)
        loaded = _from_parts(certificates, what, private_key, what)
        warn_if_exposed(source, what)
        return loaded

    @classmethod
    def from_signer(
        cls, chain: bytes | Iterable[bytes | x509.Certificate], signer: Signer
    ) -> Credentials:
        """Combine a chain (PEM, or DER or parsed certificates, leaf first) with a `Signer` for its
        key.

        >>> class RemoteSigner:
        ...     schemes = ("ecdsa_secp256r1_sha256",)
        ...     async def sign(self, scheme, content):
        ...         ...  # A request to the service that holds the key.
        >>> with open("chain.pem", "rb") as file:
        ...     credentials = Credentials.from_signer(file.read(), RemoteSigner())

        Raises:
            ConfigurationError: the chain is invalid, or the signer has no scheme for its key.
        """
        what = "the certificate chain"
        certificates = (
            loading.certificates_in(chain, what)
            if isinstance(chain, bytes)
            else loading.certificates_from(chain, what)
        )
        return _assembled(loading.in_order(certificates, what), signer)

    @classmethod
    def raw_public_key(cls, key: Source, password: str | bytes | None = None) -> Credentials:
        """Load a raw public key (RFC 7250) from the file of its private key, or from that file's
        content.

        For peers that already know the key, which is `chain[0]`. RSA keys are sent as
        rsaEncryption; for id-RSASSA-PSS see `raw_public_key_from_signer`.

        Raises:
            ConfigurationError: there is no private key, the password is wrong, or TLS cannot sign
                with it.
        """
        data, what = loading.read_source(key, "key")
        private_key = loading.private_key_in(data, what, password)
        _check_can_sign(private_key, what)
        if declares_pss(data):
            raise ConfigurationError(
                f"{loading.capital(what)} declares itself as id-RSASSA-PSS: give its public key to "
                "raw_public_key_from_signer, with LocalSigner(key, spki_is_pss=True)."
            )
        loaded = _bare(loading.public_key_info_of(private_key), LocalSigner(private_key))
        warn_if_exposed(key, what)
        return loaded

    @classmethod
    def raw_public_key_from_signer(cls, public_key: bytes, signer: Signer) -> Credentials:
        """Combine a raw public key (SubjectPublicKeyInfo, DER or PEM) with a signer for it.

        Raises:
            ConfigurationError: it is not a public key, or the signer has no scheme for it.
        """
        return _bare(public_key_info(public_key), signer)

    def with_staple(self, staple: Staple) -> Credentials:
        """Return the same credentials with an OCSP response to staple (RFC 8446 section 4.4.2.1).

        Args:
            staple: the response as DER, or the path of a file with it, which may be replaced while
                the server runs; a callable that returns it; or an `OcspStaple`. Only clients that
                ask for it get it. One that is outdated is not sent; where it is so already when a
                `ServerConfig` is built, that is a warning of the logger "handclasp".

        Raises:
            ConfigurationError: a response that is already available is malformed, is about another
                certificate, or does not say "good"; this is a raw public key; or the source is an
                async function, which no handshake could await.
        """
        from handclasp.certificates.staple import OcspStaple

        self._check_certificate("An OCSP response")
        if isinstance(staple, bytes):
            staple = OcspStaple.from_bytes(staple)
        elif isinstance(staple, str | os.PathLike):
            staple = OcspStaple.from_file(cast(Any, staple))
        elif isinstance(staple, type) or not hasattr(staple, "current"):
            if not callable(staple):
                raise ConfigurationError(
                    f"A staple must be bytes, a path or a callable, not {type(staple).__name__}."
                )
            staple = OcspStaple.from_callback(staple)
        if isinstance(staple, OcspStaple):
            (leaf,) = loading.certificates_from(self.chain_der[:1], "the chain")
            staple = staple.for_certificate(leaf)
        else:
            check_synchronous("staple.current()", cast("StapleSource", staple).current)
        return replace(self, staple=cast(StapleSource, staple))

    def with_timestamps(self, timestamps: bytes | Sequence[bytes]) -> Credentials:
        """Return the same credentials with signed certificate timestamps (RFC 6962).

        Args:
            timestamps: a whole SignedCertificateTimestampList, or the single timestamps, of 1 to
                65533 bytes; at most 65533 bytes together, each counting two more. The peer verifies
                their signatures.

        Raises:
            ConfigurationError: they are not in this form, or this is a raw public key.
        """
        self._check_certificate("A timestamp")
        encoded = timestamps if isinstance(timestamps, bytes) else _encoded_list(timestamps)
        if not _is_timestamp_list(encoded):
            raise ConfigurationError(
                "The timestamps are no SignedCertificateTimestampList (RFC 6962 section 3.3)."
            )
        return replace(self, sct_list=encoded)

    def matches(self, server_name: str | None) -> bool:
        """Return whether the leaf covers the name that a client asks for; False for None or no
        name.

        An exact name or a wildcard in the left-most label counts, the common name never; an IP
        address is compared as an address (RFC 9525 section 6).
        """
        if server_name is None:
            return False
        try:
            name = normal_name(server_name)
        except ConfigurationError:
            return False  # A client can ask for anything.
        return any(covers(pattern, name) for pattern in self.names)

    def __repr__(self) -> str:
        names = listed([repr(name) for name in self.names], none="")
        return f"Credentials(subject={self.subject!r}, names=({names}))"

    def _check_certificate(self, what: str) -> None:
        if self.certificate_type != "X509":
            raise ConfigurationError(f"{what} goes with a certificate, not with a raw public key.")


Staple = bytes | str | os.PathLike[str] | Callable[[], bytes | None] | StapleSource
"""The sources that `with_staple` accepts."""


def spki_is_pss(certificate: x509.Certificate) -> bool:
    """Return whether the key is declared as id-RSASSA-PSS (RFC 4055 section 1.2)."""
    return certificate.public_key_algorithm_oid.dotted_string == "1.2.840.113549.1.1.10"


def _path_of(path: object, what: str) -> str:
    return loading.path_text(path, what, "Credentials.from_pem(chain_bytes, key_bytes)")


def _chain_reader(
    chain_path: str | os.PathLike[str], signer: Signer | None
) -> Callable[[], Credentials]:
    """Return a function that reads the chain for a signer's key, which must not change."""
    what = f"the certificate file {os.fspath(chain_path)}"
    key: bytes | None = None

    def read() -> Credentials:
        nonlocal key
        certificates = loading.certificates_in(loading.read_file(chain_path, what), what)
        loaded = _assembled(loading.in_order(certificates, what), cast("Signer", signer))
        public_key = key_info_in(loaded.chain_der[0])
        if key is not None and public_key != key:
            raise ConfigurationError(f"{loading.capital(what)} is for another key than before.")
        key = public_key
        return loaded

    return read


def _from_bytes(
    chain_bytes: bytes,
    chain_file: str,
    key_bytes: bytes,
    key_file: str,
    password: str | bytes | None,
) -> Credentials:
    certificates = loading.certificates_in(chain_bytes, chain_file)
    private_key = loading.private_key_in(key_bytes, key_file, password)
    return _from_parts(certificates, chain_file, private_key, key_file)


def _from_parts(
    certificates: Sequence[x509.Certificate], chain_file: str, private_key: Any, key_file: str
) -> Credentials:
    _check_can_sign(private_key, key_file)
    own_key = private_key.public_key()
    holders = [c for c in certificates if loading.public_key_or_none(c) == own_key]
    if not holders:
        raise ConfigurationError(
            f"{loading.capital(key_file)} does not belong to {chain_file}: its key is not that of "
            f"the certificate for {subject_of(certificates[0])}."
        )
    leaf = certificates[0] if certificates[0] in holders else holders[0]
    if leaf is not certificates[0] and len(holders) > 1:
        raise ConfigurationError(
            f"{loading.capital(chain_file)} holds several certificates for the key: put the one to "
            "use first and take out the others."
        )
    chain = loading.in_order([leaf, *(c for c in certificates if c is not leaf)], chain_file)
    return _assembled(chain, LocalSigner(private_key, spki_is_pss=spki_is_pss(leaf)))


def _check_can_sign(private_key: Any, key_file: str) -> None:
    if not signatures.key_kind(private_key):
        raise ConfigurationError(
            f"{loading.capital(key_file)} holds a kind of key that TLS cannot sign with: use "
            "ECDSA P-256, Ed25519, or RSA of at least 2048 bits."
        )


def _assembled(chain: Sequence[x509.Certificate], signer: Signer) -> Credentials:
    leaf = chain[0]
    public_key, owner = loading.public_key_or_none(leaf), f"the certificate of {subject_of(leaf)}"
    schemes = _schemes_of_both(signer, public_key, spki_is_pss(leaf), owner)
    try:
        names = certificate_names(leaf)
        issuers = tuple(dict.fromkeys(c.issuer.public_bytes() for c in chain))
    except Exception:
        raise ConfigurationError(
            f"The certificate for {subject_of(leaf)} has fields that cannot be read: replace it."
        ) from None
    ders = tuple(loading.der_of(certificate) for certificate in chain)
    made = Credentials(ders, signer, names, schemes, subject_of(leaf), issuers)
    warn_of_key_usage(made)
    return made


def _bare(info: bytes, signer: Signer) -> Credentials:
    schemes = _schemes_of_both(signer, key_of(info), declares_pss(info), "the raw public key")
    pin = b64encode(hashlib.sha256(info).digest()).decode()
    subject = f"the raw public key {pin}"
    return Credentials((info,), signer, (), schemes, subject, certificate_type="RawPublicKey")


def _schemes_of_both(signer: Signer, public_key: Any, is_pss: bool, owner: str) -> tuple[str, ...]:
    given: object = getattr(signer, "schemes", None)
    if isinstance(given, str) or not isinstance(given, Iterable) or not hasattr(signer, "sign"):
        raise ConfigurationError(
            "A signer needs schemes, a list of names, and the method sign(scheme, data)."
        )
    named = tuple(cast(Iterable[str], given))
    unknown = [scheme for scheme in named if scheme not in SIGNATURE_SCHEMES]
    if unknown:
        raise ConfigurationError(f"The signer names an unknown signature scheme: {unknown[0]!r}.")
    fitting = signatures.schemes_for_key(public_key, is_pss)
    schemes = tuple(scheme for scheme in named if scheme in fitting)
    if not schemes:
        raise ConfigurationError(
            f"The signer cannot sign for {owner}: it needs one of "
            f"{', '.join(fitting) or 'no scheme of TLS'}."
        )
    return schemes


_LENGTH_BYTES = 2
_MAX_LIST_BYTES = 2**16 - 1


def _encoded_list(timestamps: Sequence[bytes]) -> bytes:
    """Return the SignedCertificateTimestampList (RFC 6962 section 3.3); empty if it is too long."""
    given: object = timestamps
    if isinstance(given, str) or not isinstance(given, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        return b""
    timestamps = tuple(given)
    if not all(isinstance(each, bytes) for each in timestamps):  # pyright: ignore[reportUnnecessaryIsInstance]
        return b""
    if not all(0 < len(each) <= _MAX_LIST_BYTES for each in timestamps):
        return b""
    entries = b"".join(len(each).to_bytes(_LENGTH_BYTES) + each for each in timestamps)
    if len(entries) > _MAX_LIST_BYTES - _LENGTH_BYTES:
        return b""
    return len(entries).to_bytes(_LENGTH_BYTES) + entries


def _is_timestamp_list(data: bytes) -> bool:
    if len(data) <= _LENGTH_BYTES or int.from_bytes(data[:2]) != len(data) - _LENGTH_BYTES:
        return False
    position = _LENGTH_BYTES
    while position + _LENGTH_BYTES < len(data):
        length = int.from_bytes(data[position : position + _LENGTH_BYTES])
        position += _LENGTH_BYTES + length
        if not length:
            return False
    return position == len(data)
