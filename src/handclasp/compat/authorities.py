"""The authorities that a context of `ssl` was given, and the verification by its flags.

Three rules of OpenSSL matter here. A context that was given nothing trusts nobody. A certificate
that is not self-signed is no anchor unless VERIFY_X509_PARTIAL_CHAIN says so, but it may complete a
chain. And a certificate is verified by the rules for private authorities, to which
VERIFY_X509_STRICT adds those of RFC 5280 (`strict`).
"""

from __future__ import annotations

import hashlib
import os
import re
import ssl
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from handclasp.certificates.anchors import readable_certificates
from handclasp.certificates.evidence import encoded, is_self_issued
from handclasp.certificates.names import ip_address, normal_name
from handclasp.certificates.pem import pem_blocks
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.revocation import RevocationLists
from handclasp.certificates.trust import TrustStore
from handclasp.certificates.verify import (
    VerifiedPeer,
    verify_client_chain,
    verify_server_chain,
    vouch_for,
)
from handclasp.compat.credentials import Path
from handclasp.compat.errors import spelling_of
from handclasp.compat.native import Native
from handclasp.compat.strict import check_strictly
from handclasp.errors import CertificateError, ConfigurationError
from handclasp.faults import Blame, Fault, Verdict, advice
from handclasp.handshake.client_sessions import ComparableCallback
from handclasp.input_files import read_input, read_regular
from handclasp.values import dataclass, field

if TYPE_CHECKING:
    from cryptography import x509

    from handclasp.questions import VerifyPeer

_HASH_NAME = re.compile(r"[0-9a-f]{8}\.r?[0-9]+")
_SEQUENCE = 0x30
_LONG_FORM = 0x80

PARTIAL_CHAIN = getattr(ssl, "VERIFY_X509_PARTIAL_CHAIN", 0x80000)
_CRL_CHECK_ALL = 0x8

KNOWN_FLAGS = (
    ssl.VERIFY_CRL_CHECK_LEAF
    | ssl.VERIFY_CRL_CHECK_CHAIN
    | ssl.VERIFY_X509_STRICT
    | ssl.VERIFY_X509_TRUSTED_FIRST
    | PARTIAL_CHAIN
)
"""The verify flags that are honoured; any other one raises."""


@dataclass(slots=True)
class Loaded:
    """The certificates and revocation lists that were loaded into a context.

    Attributes:
        certificates: DER, of files and data that the application named.
        lists: certificate revocation lists in PEM.
        directories: directories named by `capath`, which are read again when they have changed.
        defaults: the authorities of `load_default_certs`, one tuple for each call of it.
    """

    certificates: list[bytes] = field(default_factory=list[bytes])
    lists: list[bytes] = field(default_factory=list[bytes])
    directories: list[str] = field(default_factory=list[str])
    defaults: list[tuple[x509.Certificate, ...]] = field(
        default_factory=list["tuple[x509.Certificate, ...]"]
    )

    def add_file(self, path: Path) -> None:
        """Add the certificates and lists in a file of PEM."""
        self._add(read_input(path))

    def add_data(self, data: str | bytes) -> None:
        """Add certificates: PEM as str, or any number of certificates in DER as bytes."""
        if isinstance(data, str):
            self._add(data.encode("ascii"))
        else:
            self.certificates.extend(_split_der(bytes(data)))

    def add_directory(self, path: Path) -> None:
        """Add a directory of files that are named by the hash of a subject."""
        self.directories.extend(os.fsdecode(path).split(os.pathsep))

    def add_defaults(self, context: ssl.SSLContext, load: Callable[[], None]) -> None:
        """Add the authorities of the system, where this interpreter's OpenSSL looks for them.

        They are read now, and not for a connection: an event loop must not wait for a file.

        Args:
            context: the context that is to have them.
            load: lets OpenSSL load them into it. It reads a file at once, and so that needs no
                second look; a directory only where it needs an authority.
        """
        stats, known = context.cert_store_stats(), frozenset(_authorities_of(context))
        load()
        more = context.cert_store_stats()
        loaded = tuple([each for each in _authorities_of(context) if each not in known])
        if loaded and len(loaded) == more["x509"] - stats["x509"]:
            self.defaults.append(_parsed(loaded))
            return
        paths = ssl.get_default_verify_paths()
        self.defaults.append(_defaults_of(paths.cafile, paths.capath))

    def _add(self, text: bytes) -> None:
        if b"-----BEGIN CERTIFICATE-----" in text:
            self.certificates.extend(map(encoded, _readable([text])))
        self.lists += _lists_in(text)

    def copy(self) -> Loaded:
        """Return what was loaded until now."""
        return Loaded([*self.certificates], [*self.lists], [*self.directories], [*self.defaults])

    def is_empty(self) -> bool:
        """Return whether nobody was named, so that nobody is trusted."""
        return not (self.certificates or self.directories or self.defaults)


def _readable(contents: Iterable[bytes]) -> tuple[x509.Certificate, ...]:
    try:
        return readable_certificates(contents, "what was loaded")
    except ConfigurationError:
        return ()


def _lists_in(text: bytes) -> list[bytes]:
    """Return the revocation lists in a text, in PEM."""
    return [block.text for block in pem_blocks(text) if block.label == "X509 CRL"]


def _split_der(data: bytes) -> list[bytes]:
    """Return the DER values that stand one behind the other."""
    found: list[bytes] = []
    at = 0
    while at + 2 <= len(data) and data[at] == _SEQUENCE:
        size, header = data[at + 1], 2
        if size & _LONG_FORM:
            count = size & ~_LONG_FORM
            size, header = int.from_bytes(data[at + 2 : at + 2 + count]), 2 + count
        found.append(data[at : at + header + size])
        at += header + size
    return found


def _authorities_of(context: ssl.SSLContext) -> list[bytes]:
    """Return what OpenSSL has loaded, as DER, but for certificates that are no authority's."""
    return list(Native.get_ca_certs(context, True))


@lru_cache(maxsize=8)
def _parsed(ders: tuple[bytes, ...]) -> tuple[x509.Certificate, ...]:
    return _readable(ders)


_FileState = tuple[str, int, int, int, int]
"""The name of a file, and what changes when its content does: inode, size and times."""


def _defaults_of(cafile: str | None, capath: str | None) -> tuple[x509.Certificate, ...]:
    state = _state_of_file(cafile) if cafile is not None else _state_of_directories([capath])
    return _read_defaults(cafile, capath, state)


def _state_of_file(path: str) -> tuple[_FileState, ...]:
    try:
        return (_file_state(path, os.stat(path)),)
    except OSError:
        return ()


def _state_of_directories(directories: Iterable[str | None]) -> tuple[_FileState, ...]:
    """Return what changes when a file is added to a directory, taken from it, or written anew."""
    found: list[_FileState] = []
    for directory in filter(None, directories):
        # A directory's own time says nothing about a file that is written in place.
        with suppress(OSError), os.scandir(directory) as entries:
            for entry in entries:
                if _HASH_NAME.fullmatch(entry.name):
                    with suppress(OSError):
                        found.append(_file_state(entry.path, os.stat(entry.path)))
    return tuple(sorted(found))


def _file_state(path: str, status: os.stat_result) -> _FileState:
    return path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@lru_cache(maxsize=8)
def _read_defaults(
    cafile: str | None, capath: str | None, _: tuple[_FileState, ...]
) -> tuple[x509.Certificate, ...]:
    contents: list[bytes] = []
    if cafile is not None:
        contents.append(read_input(cafile))
    elif capath is not None:
        contents.extend(_contents_of(capath))
    return _readable(contents)


def _contents_of(directory: str) -> list[bytes]:
    try:
        names = sorted(filter(_HASH_NAME.fullmatch, os.listdir(directory)))
    except OSError:
        return []
    contents: list[bytes] = []
    for name in names:
        try:
            contents.append(read_regular(os.path.join(directory, name)))
        except OSError:
            continue
    return contents


class _Evidence(NamedTuple):
    """The trust and the lists of a verification, as the directories held them in this state."""

    state: tuple[_FileState, ...]
    trust: TrustStore | None
    others: tuple[bytes, ...]
    policy: CertificatePolicy
    lists_missing: bool


class Verifier(ComparableCallback):
    """The `verify` callback of the configs that a context makes.

    Directories are read again when a file in them has changed, as OpenSSL does: a revocation list
    that is added to one counts from then on.

    Args:
        loaded: the authorities and lists.
        flags: `SSLContext.verify_flags`.
        check_hostname: whether a server's name is compared.
        written: the name of the one server that is verified, in a spelling that `ssl` finds in no
            certificate; empty for any other.
        clock: gives the time.
    """

    def __init__(
        self,
        loaded: Loaded,
        flags: int,
        *,
        check_hostname: bool,
        written: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._loaded, self._flags = loaded.copy(), flags
        self._check_hostname, self._written = check_hostname, written
        self._digest: str | None = None
        self._strict = bool(flags & ssl.VERIFY_X509_STRICT)
        self._clock = clock
        self._evidence = self._read(_state_of_directories(loaded.directories))

    def binding(self) -> tuple[object, ...]:
        """Return the values by which it decides now: certificates, lists, directories and flags."""
        if self._digest is None:
            loaded, digest = self._loaded, hashlib.sha256()
            defaults = [encoded(each) for found in self._loaded.defaults for each in found]
            for data in (*loaded.certificates, b"", *defaults, b"", *loaded.lists):
                digest.update(len(data).to_bytes(8, "big") + data)
            self._digest = digest.hexdigest()
        named = self._check_hostname, self._written
        return self._digest, self._flags, named, self._current().state

    def for_name(self, name: str | None) -> Verifier:
        """Return the callback for a server of this name, as the program wrote it.

        It accepts no server by a name that `ssl` would find in no certificate.
        """
        if not self._check_hostname or name is None:
            return self
        if spelling_of(name) is None and asked_name(name) is not None:
            return self
        return Verifier(
            self._loaded, self._flags, check_hostname=True, written=name, clock=self._clock
        )

    def _read(self, state: tuple[_FileState, ...]) -> _Evidence:
        loaded, flags = self._loaded, self._flags
        contents = [data for directory in loaded.directories for data in _contents_of(directory)]
        lists = [*loaded.lists, *(one for data in contents for one in _lists_in(data))]
        trust, others = _store_of(
            (*loaded.certificates, *map(encoded, _readable(contents))),
            tuple(loaded.defaults),
            bool(flags & PARTIAL_CHAIN),
        )
        checks_lists = bool(flags & ssl.VERIFY_CRL_CHECK_LEAF)
        revocation: RevocationLists | None = None
        if checks_lists and lists:
            check: Any = "chain" if flags & _CRL_CHECK_ALL else "leaf"
            revocation = RevocationLists.from_bytes(*lists, check=check)
        policy = CertificatePolicy(profile="private", crls=revocation)
        return _Evidence(state, trust, others, policy, checks_lists and not lists)

    def _current(self) -> _Evidence:
        """Return the evidence of now."""
        evidence, directories = self._evidence, self._loaded.directories
        if directories and (state := _state_of_directories(directories)) != evidence.state:
            evidence = self._evidence = self._read(state)
        return evidence

    def __call__(self, question: VerifyPeer) -> VerifiedPeer:
        """Verify a peer. Raises `CertificateError`."""
        evidence, chain = self._current(), question.chain_der
        trust, others = evidence.trust, evidence.others
        try:
            if trust is None:
                detail = "no authority was loaded into this context, so it trusts nobody"
                raise CertificateError(Fault.CERTIFICATE_UNTRUSTED, detail)
            if evidence.lists_missing:
                detail = "no revocation list was loaded into this context, and its flags need one"
                raise CertificateError(Fault.REVOCATION_UNKNOWN, detail)
            try:
                proof = self._verify(question, chain, trust, evidence.policy)
            except CertificateError as error:
                if error.fault is not Fault.CERTIFICATE_UNTRUSTED or not others:
                    raise
                completed = self._verify(question, (*chain, *others), trust, evidence.policy)
                proof = vouch_for(chain, path_der=completed.path_der)
            if self._strict:
                check_strictly(proof.path_der)
            if self._written:
                raise _misspelt(self._written)
        except CertificateError as error:
            error.chain_der = chain
            raise
        return proof

    def _verify(
        self,
        question: VerifyPeer,
        chain: Sequence[bytes],
        trust: TrustStore,
        policy: CertificatePolicy,
    ) -> VerifiedPeer:
        staple, now = question.ocsp_response, self._clock()
        if not question.peer_is_server:
            return verify_client_chain(chain, trust, now, policy=policy, ocsp_response=staple)
        name = question.server_name if self._check_hostname else None
        if name is None and self._check_hostname and not self._written:
            # `ssl` itself would accept any server over memory BIOs.
            raise _mismatch(
                "check_hostname needs a server_hostname to compare: none was given.",
                advice(
                    "",
                    "Give the server's name as server_hostname. (asyncio gives none for "
                    'server_hostname="". Only to connect without knowing with whom: '
                    "context.check_hostname = False.)",
                ),
            )
        return verify_server_chain(
            chain,
            trust,
            name,
            now,
            policy=policy,
            ocsp_response=staple,
            sct_list=question.sct_list,
        )


def asked_name(written: str | None) -> str | None:
    """Return the name to ask a server for; None where a program gave none, or something else.

    `ssl` connects by whatever it is given (`example.com:443`), and compares it in the end. What
    ends in a number is meant as an address (`127.0.0.01`), and no server is asked for one.
    """
    try:
        name = None if written is None else normal_name(written)
    except ConfigurationError:
        return None
    return None if not name or _ends_in_a_number(name) else written


def _ends_in_a_number(name: str) -> bool:
    """Say so of what is no address. `name` is in its normal spelling, or has space around it."""
    return name.strip().rpartition(".")[2].isdecimal() and ip_address(name) is None


def _misspelt(written: str) -> CertificateError:
    bare = spelling_of(written)
    if asked_name(bare) is not None:
        return _mismatch(
            f"No certificate has a name that is written {written!r}, "
            "which `ssl` compares as it is.",
            advice("", f"Write {bare!r}, without a dot at its end, brackets or zone."),
        )
    if _ends_in_a_number(written):
        return _mismatch(
            f"No certificate is valid for {written!r}: it ends in a number, as an address does, "
            "and is not one.",
            advice(
                "",
                "Write the address as four decimal numbers with dots, without zeros before them "
                "and spaces, or give the server's name as server_hostname.",
            ),
        )
    return _mismatch(
        f"No certificate is valid for {written!r}: it is neither a DNS name nor an IP address.",
        advice("", "Give the server's name alone as server_hostname: no port, scheme or path."),
    )


def _mismatch(sentence: str, fix: str) -> CertificateError:
    """Return the refusal of a server for the name that this program gave, or did not give."""
    return CertificateError(
        Fault.CERTIFICATE_NAME_MISMATCH,
        sentence=sentence,
        fix=fix,
        verdict=Verdict(Blame.LOCAL),
    )


@lru_cache(maxsize=16)
def _store_of(
    given: tuple[bytes, ...], defaults: tuple[tuple[x509.Certificate, ...], ...], partial: bool
) -> tuple[TrustStore | None, tuple[bytes, ...]]:
    """Return the store of the anchors, if there are any, and the certificates that are none.

    Contexts that were given the same share one store, with the chains that it remembers.
    """
    vetted = {each for found in defaults for each in found}
    everything = {*_readable(given), *vetted}
    anchors = frozenset(
        [each for each in everything if partial or is_self_issued(each, encoded(each))]
    )
    others = tuple([encoded(each) for each in everything - anchors])
    if not anchors:
        return None, others
    approved = frozenset(vetted & anchors)
    return TrustStore("the context", lambda: (anchors, approved)).prepare(), others
