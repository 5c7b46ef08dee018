"""The authorities that a side trusts: built once, shared, and parsed at first use."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handclasp.certificates.anchors import certificates_at, every_certificate
from handclasp.certificates.der import issuer_and_subject
from handclasp.certificates.loading import certificates_from, der_of, path_text, read_file
from handclasp.certificates.reading import read_or_none
from handclasp.certificates.remembered import RememberedChains
from handclasp.certificates.system_trust import system_anchors
from handclasp.deferred import DeferredModule
from handclasp.errors import ConfigurationError
from handclasp.kept import Kept
from handclasp.process import ProcessLock

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.x509 import verification
else:
    x509 = DeferredModule("cryptography.x509")
    verification = DeferredModule("cryptography.x509.verification")

_Anchors = frozenset["x509.Certificate"]

MOST_OF_ISSUERS = 2**19
"""Bytes that a store keeps of the issuers on the paths that led to it."""


class TrustStore:
    """An immutable set of trust anchors, safe for any number of threads.

    Two stores are equal only if they are the same object; compare `fingerprint` for the content.
    Verified chains are remembered per store, so reuse a store instead of building it again.

    >>> trust = TrustStore.system().with_added("ca.pem")
    >>> config = ClientConfig(trust=trust)
    """

    __slots__ = (
        "_builders",
        "_by_subject",
        "_ders",
        "_fingerprint",
        "_issuers",
        "_load",
        "_lock",
        "_parsed",
        "_remembered",
        "_source",
        "_store",
    )

    def __init__(self, source: str, load: Callable[[], tuple[_Anchors, _Anchors]]) -> None:
        """Use the class methods instead. `load` gives all anchors, and those that are vetted."""
        self._source = source
        self._load = load
        self._remembered: RememberedChains[Any] = RememberedChains()
        self._issuers: Kept[tuple[bytes, str, bool], Any] = Kept(MOST_OF_ISSUERS)
        self._lock = ProcessLock()
        self._parsed: tuple[_Anchors, _Anchors] | None = None
        self._by_subject: Mapping[bytes, Sequence[x509.Certificate]] | None = None
        self._ders: dict[int, tuple[x509.Certificate, bytes]] = {}
        self._store: verification.Store | None = None
        self._builders: dict[int, verification.PolicyBuilder] = {}
        self._fingerprint: bytes | None = None

    @classmethod
    def system(cls) -> TrustStore:
        """Return the authorities that this machine trusts; the same object each time.

        They are read once, at the first use, and kept for the life of the process: if the system's
        authorities are updated, restart it. A store that follows the files would change under
        connections that share it, and forget the chains that it has verified.

        The environment variables SSL_CERT_FILE and SSL_CERT_DIR take precedence, as with OpenSSL;
        then the bundle or the directory of the operating system, and the `certifi` package if it is
        installed. In directories, only files with names as made by OpenSSL's rehash are read.
        Unreadable entries are skipped. On macOS and Windows, the system's own verifier knows more:
        see `system_trust`.

        Raises:
            ConfigurationError: none of these exists (raised here), or none holds a certificate (at
                the first use).
        """
        return _system(
            os.environ.get("SSL_CERT_FILE") or None, os.environ.get("SSL_CERT_DIR") or None
        )

    @classmethod
    def from_pem(cls, path_or_bytes: str | os.PathLike[str] | bytes) -> TrustStore:
        """Load a file of PEM certificates, or its content as bytes; one certificate in DER also
        works.

        Duplicates count once; an unreadable certificate is an error. A certificate that is no
        authority may be among them: it vouches for itself alone, as a pin does, and not for others
        of its issuer.

        Raises:
            ConfigurationError: the file is missing or unreadable, or holds no certificate or a
                broken one.
        """
        if isinstance(path_or_bytes, bytes):
            return cls._of("the given certificates", _given(path_or_bytes))
        source = f"the CA file {path_text(path_or_bytes, 'the CA file', 'its content as bytes')}"
        return cls._of(source, every_certificate(read_file(path_or_bytes, source), source))

    @classmethod
    def from_der(cls, *certificates: bytes) -> TrustStore:
        """Load certificates in DER, one each; raise `ConfigurationError` as `from_pem` does."""
        for der in certificates:
            if not isinstance(der, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ConfigurationError(
                    f"A certificate in DER must be bytes, not {type(der).__name__}."
                )
        return cls.from_certificates(found for der in certificates for found in _given(der))

    @classmethod
    def from_files(cls, *paths: str | os.PathLike[str]) -> TrustStore:
        """Load files of PEM certificates or one in DER, and directories of such files.

        In a directory, files named *.pem, *.crt, *.cer or *.der, or as made by OpenSSL's rehash,
        are read if they hold a certificate; an unreadable one is an error.

        Raises:
            ConfigurationError: as for `from_pem`, and for a directory without a certificate.
        """
        if not paths:
            raise ConfigurationError("A trust store needs at least one file or directory.")
        named = " and ".join([path_text(path, "a CA file") for path in paths])
        return cls._of(named, (each for path in paths for each in certificates_at(Path(path))))

    @classmethod
    def from_certificates(cls, certificates: Iterable[x509.Certificate]) -> TrustStore:
        """Use parsed certificates; raise `ConfigurationError` if there are none."""
        anchors = tuple(certificates_from(certificates, "the trust store", may_be_empty=True))
        if not anchors:
            raise ConfigurationError("A trust store needs at least one certificate.")
        return cls._of("the given certificates", anchors)

    def with_added(self, more: TrustStore | str | os.PathLike[str] | bytes) -> TrustStore:
        """Return a new store with the anchors of this one and of another (or of
        `from_pem(more)`).
        """
        other = more if isinstance(more, TrustStore) else TrustStore.from_pem(more)
        return TrustStore(
            f"{self.source} and {other.source}",
            lambda: (self.anchors | other.anchors, self.vetted | other.vetted),
        )

    @property
    def source(self) -> str:
        """The origin of the anchors, for people."""
        return self._source

    @property
    def remembered(self) -> RememberedChains[Any]:
        """The chains that verified under this store."""
        return self._remembered

    @property
    def issuers(self) -> Kept[tuple[bytes, str, bool], Any]:
        """Facts about issuers on paths that led to an anchor of this store: see `KnownIssuer`."""
        return self._issuers

    @property
    def by_subject(self) -> Mapping[bytes, Sequence[x509.Certificate]]:
        """The anchors by their names as DER, which is how a certificate names its issuer."""
        if self._by_subject is None:
            found: dict[bytes, list[x509.Certificate]] = {}
            for anchor in self.anchors:
                _, subject = issuer_and_subject(der_of(anchor))
                found.setdefault(subject, []).append(anchor)
            self._by_subject = found
        return self._by_subject

    @property
    def anchors(self) -> frozenset[x509.Certificate]:
        """The trusted certificates, parsed at the first use."""
        return self._all_and_vetted()[0]

    @property
    def vetted(self) -> frozenset[x509.Certificate]:
        """The anchors that a root program has approved: the system's, or certifi's.

        They are audited, including the unusual forms of old ones. Anchors that the application
        added are not among them, unless the system has them too.
        """
        return self._all_and_vetted()[1]

    def anchor_der(self, anchor: x509.Certificate) -> bytes:
        """Return an anchor of this store as DER, which cryptography writes anew at each call.

        It is kept, for those anchors alone that a path has led to.
        """
        known = self._ders.get(id(anchor))
        if known is None:
            known = anchor, der_of(anchor)
            # The object is kept as well, so that no other one gets its number. The bound is for a
            # verifier that would give an object of its own each time.
            if len(self._ders) < len(self.anchors):
                self._ders[id(anchor)] = known
        return known[1]

    @property
    def store(self) -> verification.Store:
        """The anchors in the form that cryptography's verifier takes."""
        if self._store is None:
            self._store = verification.Store(list(self.anchors))
        return self._store

    def prepare(self) -> TrustStore:
        """Parse the anchors and import the verifier now instead of in the first handshake.

        For measurements and latency-sensitive programs. Return the store itself.
        """
        from importlib import import_module

        import_module("handclasp.certificates.decision")
        if self.anchors:  # There is no store of nothing.
            _ = self.store, self.by_subject
        return self

    def path_builder(self, max_intermediates: int) -> verification.PolicyBuilder:
        """Return the builder of cryptography's verifiers, without the time and the subject."""
        builder = self._builders.get(max_intermediates)
        if builder is None:
            builder = verification.PolicyBuilder().store(self.store)
            builder = builder.max_chain_depth(max_intermediates)
            self._builders[max_intermediates] = builder
        return builder

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 over the anchors, 32 bytes, whatever their order: names this set of trust."""
        if self._fingerprint is None:
            digests = sorted(hashlib.sha256(der_of(anchor)).digest() for anchor in self.anchors)
            self._fingerprint = hashlib.sha256(b"".join(digests)).digest()
        return self._fingerprint

    def subjects(self) -> tuple[bytes, ...]:
        """Return the DER names of the anchors, for certificate_authorities (RFC 8446 section
        4.2.4).
        """
        names: set[bytes] = set()
        for anchor in self.anchors:
            subject: x509.Name | None = read_or_none(partial(getattr, anchor, "subject"))
            if subject is not None:  # Of a system's store, some may not be readable.
                names.add(subject.public_bytes())
        return tuple(sorted(names))

    def __repr__(self) -> str:
        return f"TrustStore({self.source})"

    def _all_and_vetted(self) -> tuple[_Anchors, _Anchors]:
        if self._parsed is None:
            with self._lock:
                if self._parsed is None:
                    self._parsed = self._load()
                    # It may hold the stores that this one was made of, and all that they remember.
                    self._load = _nothing
        return self._parsed

    @classmethod
    def _of(cls, source: str, certificates: Iterable[x509.Certificate]) -> TrustStore:
        anchors = frozenset(certificates)
        return cls(source, lambda: (anchors, frozenset()))


@lru_cache(maxsize=8)
def _system(cert_file: str | None, cert_dir: str | None) -> TrustStore:
    source, load = system_anchors(cert_file, cert_dir)

    def all_vetted() -> tuple[_Anchors, _Anchors]:
        anchors = frozenset(load())
        return anchors, anchors

    return TrustStore(source, all_vetted)


def _nothing() -> tuple[_Anchors, _Anchors]:
    """Return nothing: the placeholder after the anchors were loaded."""
    return frozenset(), frozenset()


def _given(data: bytes) -> tuple[x509.Certificate, ...]:
    return every_certificate(data, "the given certificates")
