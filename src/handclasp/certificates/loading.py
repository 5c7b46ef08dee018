"""Certificates and private keys out of the files and bytes that a user gives.

Every mistake is reported in one sentence that names the file. No exception of a key's parser is
kept and no part of a key is repeated, so neither reaches a traceback or a log.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from handclasp.certificates.mldsa_keys import (
    UnreadEncryptionError,
    belong_together,
    decrypted,
    mldsa_key_parts,
)
from handclasp.certificates.names import subject_of
from handclasp.certificates.raw_keys import der_in
from handclasp.certificates.reading import (
    certificate_of,
    certificates_of,
    cut_off_at,
    is_issued_by,
    keep_warnings_out,
    read_or_none,
)
from handclasp.deferred import DeferredModule
from handclasp.errors import ConfigurationError, check_path_text, path_errors
from handclasp.input_files import read_input

if TYPE_CHECKING:
    from cryptography import x509
else:
    x509 = DeferredModule("cryptography.x509")

_PEM = b"-----BEGIN "
_CONTENT = "its content as bytes"
_PKCS12_VERSION = b"\x02\x01\x03"
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
"""The type of what a PKCS #7 file holds (RFC 2315 section 9)."""
_KEY_STORE = b"\xfe\xed\xfe\xed"


def path_text(path: object, what: str, hint: str = "") -> str:
    """Return the text of a path; raise `ConfigurationError`, with `what`, if it is not one.

    `hint` is the call that takes what is in the file, for a program that gave that.
    """
    if isinstance(path, str | os.PathLike):
        text = os.fsdecode(cast("str | os.PathLike[str]", path))
        check_path_text(text, capital(what), hint)
        return text
    raise ConfigurationError(f"{capital(what)} must be a path, not {type(path).__name__}.")


def read_file(path: str | os.PathLike[str], what: str, *, most: int | None = None) -> bytes:
    """Return the bytes of a file, which is called `what` in the error if it cannot be read.

    Of a longer file than `most` bytes, one byte more than these is returned. A pipe is read to its
    end, if somebody writes to it; see `read_input`.
    """
    with path_errors(f"read {what}"):
        try:
            return read_input(path, most=most)
        except FileNotFoundError:
            hint = " (~ is not expanded: os.path.expanduser does that)" if _has_tilde(path) else ""
            raise ConfigurationError(
                f"There is no file for {what}: check the path{hint}."
            ) from None


def _has_tilde(path: str | os.PathLike[str]) -> bool:
    return os.fsdecode(path).startswith("~")


def read_source(
    source: str | os.PathLike[str] | bytes, what: str, *, most: int | None = None
) -> tuple[bytes, str]:
    """Return the bytes of a file, or the given ones, and their name for a message.

    Raises:
        ConfigurationError: it cannot be read, or has more than `most` bytes.
    """
    if isinstance(source, bytes):
        data, named = source, f"the {what} data"
    else:
        named = f"the {what} file {path_text(source, what, _CONTENT)}"
        data = read_file(source, named, most=most)
    if most is not None and len(data) > most:
        raise ConfigurationError(f"{capital(named)} is too long: it may have {most:,} bytes.")
    return data, named


def certificates_in(data: bytes, what: str) -> list[x509.Certificate]:
    """Return all certificates of PEM text, or the one of DER.

    Raises:
        ConfigurationError: there is none, or one that cannot be read.
    """
    _check_bytes(data, what)
    if not data.strip():
        raise ConfigurationError(f"{capital(what)} is empty: it needs PEM certificates.")
    try:
        return certificates_of(data)
    except ValueError:
        raise ConfigurationError(f"Cannot use {what}: {_no_certificate(data)}") from None


def certificates_from(
    entries: Iterable[bytes | x509.Certificate], what: str, *, may_be_empty: bool = False
) -> list[x509.Certificate]:
    """Return certificates from a list of DER or parsed ones; raise `ConfigurationError`."""
    from cryptography import x509

    if not isinstance(entries, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            f"{capital(what)} must be certificates, not {type(entries).__name__}."
        )
    keep_warnings_out()
    certificates: list[x509.Certificate] = []
    for entry in entries:
        if isinstance(entry, x509.Certificate):
            certificates.append(entry)
            continue
        try:
            certificates.append(certificate_of(entry))
        except ValueError:
            raise ConfigurationError(
                f"{capital(what)} holds an entry that is not a DER certificate."
            ) from None
    if not certificates and not may_be_empty:
        raise ConfigurationError(f"{capital(what)} is empty.")
    return certificates


def private_key_in(data: bytes, what: str, password: str | bytes | None) -> Any:
    """Return the private key in PEM or DER: PKCS #8, PKCS #1 or SEC 1, encrypted or not.

    Raises:
        ConfigurationError: there is none, it cannot be read, or the password is not right.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    _check_bytes(data, what)
    secret = _password_bytes(password)
    is_pem = _PEM in data
    load = serialization.load_pem_private_key if is_pem else serialization.load_der_private_key
    if is_pem and b"PRIVATE KEY-----" not in data:
        raise ConfigurationError(
            f"Cannot use {what}: it holds no private key"
            + ("; are the two files swapped?" if b"BEGIN CERTIFICATE" in data else ".")
        )
    if (other := other_format(data, "key")) is not None:
        raise ConfigurationError(f"Cannot use {what}: {other}")
    try:
        return load(data, secret)
    except UnsupportedAlgorithm:
        problem = "its kind of key or encryption is not supported."
    except TypeError:
        problem = (
            "it is encrypted: give its password."
            if secret is None
            else "it is not encrypted: leave the password out."
        )
    except Exception:  # Not only ValueError: InternalError where a key is too short for its curve.
        key = _mldsa_key_in(data, what, secret)
        if key is not None:
            return key
        problem = (
            "it is not a readable private key."
            if secret is None
            else "the password is wrong, or the key is damaged."
        )
    raise ConfigurationError(f"Cannot use {what}: {problem}")


def _mldsa_key_in(data: bytes, what: str, password: bytes | None) -> Any:
    """Return an ML-DSA key that cryptography cannot read, by its seed; None for another key.

    Raises:
        ConfigurationError: there is no seed in it, or another key's.
    """
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    der: bytes | None = der_in(data)
    if password is not None:
        try:
            der = decrypted(der or b"", password)
        except UnreadEncryptionError:
            raise ConfigurationError(
                f"Cannot use {what}: the password is wrong, or this is an ML-DSA key in an "
                "encryption that is not read here: openssl pkey -in KEY -out NEW -aes256 writes "
                "it in one that is."
            ) from None
    parts = mldsa_key_parts(der or b"")
    if parts is None:
        return None
    by_seed, expanded = parts
    if by_seed is None:
        raise ConfigurationError(
            f"Cannot use {what}: it holds the expanded form of an ML-DSA key alone, and only the "
            "seed can be used here. Take the file that the key was generated into, or generate a "
            "new one: openssl genpkey -algorithm ML-DSA-65 writes the seed too (RFC 9881 6)."
        )
    key: Any = load_der_private_key(by_seed, None)
    if not belong_together(key.public_key().public_bytes_raw(), expanded):
        raise ConfigurationError(
            f"Cannot use {what}: its seed is that of another ML-DSA key than its expanded form."
        )
    return key


def pkcs12_in(
    data: bytes, what: str, password: str | bytes | None
) -> tuple[Any, list[x509.Certificate]]:
    """Return the private key and the certificates of a PKCS #12 file (RFC 7292), its own one first.

    Raises:
        ConfigurationError: it is none, the password is wrong, or one of the two is missing.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import pkcs12

    if _PEM in data:
        raise ConfigurationError(f"{capital(what)} is PEM, not PKCS #12: use Credentials.load.")
    secret = _password_bytes(password)
    try:
        key, own, others = pkcs12.load_key_and_certificates(data, secret)
    except UnsupportedAlgorithm:
        problem = "its encryption is not supported."
    except Exception as error:
        problem = (
            "it is no PKCS #12 file, or needs a password."
            if secret is None
            else "the password is wrong, or it is no PKCS #12 file."
        )
        if "deserialize key" in str(error):  # It was decrypted, then.
            problem = (
                "its key is of a kind or form that cannot be read. An ML-DSA key as OpenSSL writes "
                "it can be read out of PEM: openssl pkcs12 -nodes, and then Credentials.load."
            )
    else:
        certificates = [*([] if own is None else [own]), *others]
        if key is not None and certificates:
            return key, certificates
        problem = f"it holds no {'private key' if key is None else 'certificate'}."
    raise ConfigurationError(f"Cannot use {what}: {problem}")


def in_order(certificates: Sequence[x509.Certificate], what: str) -> list[x509.Certificate]:
    """Return the chain leaf first, each certificate before its issuer (RFC 8446 section 4.4.2).

    Raises:
        ConfigurationError: they are not one chain, or could be several.
    """
    leaf, *rest = dict.fromkeys(certificates)
    chain = [leaf]
    while rest:
        issuers = [candidate for candidate in rest if _issued(candidate, chain[-1])]
        # A cross-signed authority has several certificates; then the given order tells.
        if not issuers or (len(issuers) > 1 and issuers[0] is not rest[0]):
            raise ConfigurationError(_disorder(what, chain[-1], rest, issuers))
        chain.append(issuers[0])
        rest.remove(issuers[0])
    return chain


def public_key_or_none(certificate: x509.Certificate) -> Any:
    """Return the certificate's key; None if its type cannot be read."""
    return read_or_none(certificate.public_key)


def public_key_info_of(private_key: Any) -> bytes:
    """Return the SubjectPublicKeyInfo of a private key, as DER."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    info: bytes = private_key.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    return info


def der_of(certificate: x509.Certificate) -> bytes:
    """Return the certificate's DER."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)


def capital(text: str) -> str:
    """Return the text with its first letter in upper case, to begin a sentence."""
    return text[:1].upper() + text[1:]


def _check_bytes(data: object, what: str) -> None:
    if not isinstance(data, bytes):
        raise ConfigurationError(f"{capital(what)} must be bytes, not {type(data).__name__}.")


def other_format(data: bytes, wanted: Literal["chain", "key", "authorities"]) -> str | None:
    """Return which container a file is in place of PEM, and how to convert it; None if it is none.

    Args:
        wanted: what the file should hold: authorities need no key, and PKCS #7 has none.
    """
    keys = "-nokeys" if wanted == "authorities" else "-nodes"
    to_pem = f"openssl pkcs12 -in FILE.p12 -out FILE.pem {keys}"
    if _PKCS12_VERSION in data[:8]:
        program = ", or use Credentials.from_pkcs12" if wanted == "chain" else ""
        return f"it is PKCS #12, and PEM is needed: convert it with {to_pem}{program}."
    if _SIGNED_DATA in data[:20] or b"-----BEGIN PKCS7-----" in data:
        if wanted == "key":
            return "it is PKCS #7, which holds certificates and no key."
        form = "PEM" if _PEM in data else "DER"
        return (
            "it is PKCS #7, and PEM certificates are needed: convert it with "
            f"openssl pkcs7 -inform {form} -in FILE.p7b -print_certs -out FILE.pem."
        )
    if data.startswith(_KEY_STORE):
        return (
            "it is a key store of Java, and PEM is needed: convert it with keytool "
            "-importkeystore -srckeystore FILE.jks -destkeystore FILE.p12 -deststoretype pkcs12, "
            f"and then {to_pem}."
        )
    return None


def _no_certificate(data: bytes) -> str:
    if b"PRIVATE KEY-----" in data and b"BEGIN CERTIFICATE" not in data:
        return "it holds a private key; are the two files swapped?"
    if (line := cut_off_at(data)) is not None:
        return f"the certificate that begins in line {line} is cut off: copy the whole file."
    if (other := other_format(data, "chain")) is not None:
        return other
    return 'it needs PEM certificates ("-----BEGIN CERTIFICATE-----"), the own one first.'


def _password_bytes(password: str | bytes | None) -> bytes | None:
    if not isinstance(password, str):
        return password
    try:
        return password.encode()
    except UnicodeEncodeError:
        pass  # That exception would carry the password.
    raise ConfigurationError("The password cannot be encoded in UTF-8: give it as bytes.")


def _disorder(
    what: str,
    last: x509.Certificate,
    rest: Sequence[x509.Certificate],
    issuers: Sequence[x509.Certificate],
) -> str:
    if issuers:
        return (
            f"{capital(what)} holds several issuers for {subject_of(last)}: put the certificates "
            "in order, each followed by its issuer."
        )
    return (
        f"{capital(what)} is not one chain: {subject_of(rest[0])} did not issue "
        f"{subject_of(last)}; leave only the own certificate and its issuers."
    )


def _issued(issuer: x509.Certificate, subject: x509.Certificate) -> bool:
    if not read_or_none(lambda: subject.issuer == issuer.subject):
        return False
    # Where the algorithm is not known: the names agree, and the peer's verifier decides anyway.
    return is_issued_by(subject, issuer) is not False
