"""Certificates that cryptography loads, or nearly, and then fails at, each in a way of its own.

Written in DER by hand: no library makes them. Each is a good self-signed certificate but for one
field, so that whatever is read before it is fine.
"""

from __future__ import annotations

from base64 import encodebytes
from collections.abc import Iterator
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.pki import key_of_type

KEY: ec.EllipticCurvePrivateKey = key_of_type("ecdsa-p256", 90)
SPKI = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def tlv(tag: int, *parts: bytes) -> bytes:
    """An element of DER."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def sequence(*parts: bytes) -> bytes:
    return tlv(0x30, *parts)


def oid(text: str) -> bytes:
    first, second, *rest = [int(part) for part in text.split(".")]
    encoded = b""
    for number in (40 * first + second, *rest):
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.append(0x80 | number & 0x7F)
        encoded += bytes(reversed(digits))
    return tlv(0x06, encoded)


def integer(data: bytes) -> bytes:
    return tlv(0x02, data)


def bits(data: bytes, unused: int = 0) -> bytes:
    return tlv(0x03, bytes([unused]), data)


def octets(data: bytes) -> bytes:
    return tlv(0x04, data)


def name(text: bytes = b"hostile.example", tag: int = 0x0C, kind: str = "2.5.4.3") -> bytes:
    return sequence(tlv(0x31, sequence(oid(kind), tlv(tag, text))))


def extension(kind: str, value: bytes, *, critical: bool = False) -> bytes:
    return sequence(oid(kind), tlv(0x01, b"\xff") if critical else b"", octets(value))


SAN, KEY_USAGE, BASIC, EKU = "2.5.29.17", "2.5.29.15", "2.5.29.19", "2.5.29.37"
ECDSA = sequence(oid("1.2.840.10045.4.3.2"))

GOOD_SAN = extension(SAN, sequence(tlv(0x82, b"localhost")))
GOOD_USAGE = extension(KEY_USAGE, bits(b"\x80", 7), critical=True)
GOOD_EKU = extension(EKU, sequence(oid("1.3.6.1.5.5.7.3.1"), oid("1.3.6.1.5.5.7.3.2")))


def made(
    *,
    version: bytes | None = b"\x02",
    serial: bytes = b"\x01\x02",
    inner: bytes = ECDSA,
    outer: bytes = ECDSA,
    issuer: bytes | None = None,
    not_before: bytes = tlv(0x17, b"250101000000Z"),
    not_after: bytes = tlv(0x17, b"450101000000Z"),
    subject: bytes | None = None,
    spki: bytes = SPKI,
    middle: bytes = b"",
    extensions: bytes | None = None,
    signature: bytes | None = None,
    more: bytes = b"",
) -> bytes:
    """The certificate, good but for what is given."""
    if extensions is None:
        extensions = GOOD_SAN + GOOD_USAGE + GOOD_EKU
    tbs = sequence(
        tlv(0xA0, integer(version)) if version is not None else b"",
        integer(serial),
        inner,
        issuer if issuer is not None else name(),
        sequence(not_before, not_after),
        subject if subject is not None else name(),
        spki,
        middle,
        tlv(0xA3, sequence(extensions)) if extensions else b"",
    )
    signed = KEY.sign(tbs, ec.ECDSA(hashes.SHA256()))
    return sequence(tbs, outer, bits(signed) if signature is None else signature, more)


def ec_key(parameters: bytes, point: bytes) -> bytes:
    return sequence(sequence(oid("1.2.840.10045.2.1"), parameters), bits(point))


def rsa_key(modulus: bytes, exponent: bytes) -> bytes:
    numbers = sequence(integer(modulus), integer(exponent))
    return sequence(sequence(oid("1.2.840.113549.1.1.1"), tlv(0x05)), bits(numbers))


def general_time(text: bytes) -> bytes:
    return tlv(0x18, text)


POINT = SPKI[-65:]
P256 = oid("1.2.840.10045.3.1.7")


def san(*entries: bytes) -> bytes:
    return extension(SAN, sequence(*entries)) + GOOD_USAGE + GOOD_EKU


def besides(kind: str, value: bytes, *, critical: bool = False) -> bytes:
    return GOOD_SAN + GOOD_USAGE + GOOD_EKU + extension(kind, value, critical=critical)


def _pss(*parameters: bytes) -> bytes:
    return sequence(oid("1.2.840.113549.1.1.10"), *parameters)


@cache
def hostile_certificates() -> dict[str, bytes]:
    """All of them, by what is wrong."""
    return dict(_made())


def _made() -> Iterator[tuple[str, bytes]]:
    yield "nothing is wrong", made()
    yield from _forms()
    yield from _numbers_and_dates()
    yield from _names()
    yield from _keys()
    yield from _signatures()
    yield from _extensions()


def _forms() -> Iterator[tuple[str, bytes]]:
    yield "empty", b""
    yield "no DER", b"certificate"
    yield "empty sequence", sequence()
    yield "cut off", made()[:-20]
    yield "trailing data", made() + b"\0"
    yield "a fourth part", made(more=tlv(0x05))
    yield "nested sequences", sequence(sequence(sequence(sequence())))
    yield "a raw public key", SPKI
    for number in (0, 1, 3, 6, 7, 127):
        yield f"version {number + 1}", made(version=bytes([number]))
    yield "version of two bytes", made(version=b"\x01\x00")
    yield "version negative", made(version=b"\xff")
    yield "version empty", made(version=b"")
    yield "version 1 with extensions", made(version=None)
    yield "unique identifiers", made(middle=tlv(0x81, b"\0ab") + tlv(0x82, b"\0cd"))
    yield "unique identifier empty", made(middle=tlv(0x81))


def _numbers_and_dates() -> Iterator[tuple[str, bytes]]:
    yield "serial negative", made(serial=b"\x80")
    yield "serial zero", made(serial=b"\0")
    yield "serial empty", made(serial=b"")
    yield "serial not minimal", made(serial=b"\0\x01")
    yield "serial of 4,000 bytes", made(serial=b"\x7f" * 4000)
    for label, encoded in {
        "year 0": general_time(b"00000101000000Z"),
        "year 1": general_time(b"00010101000000Z"),
        "year 9999": general_time(b"99991231235959Z"),
        "month 13": tlv(0x17, b"251301000000Z"),
        "day 0": tlv(0x17, b"250100000000Z"),
        "30 February": tlv(0x17, b"250230000000Z"),
        "hour 24": tlv(0x17, b"250101240000Z"),
        "second 60": tlv(0x17, b"250101000060Z"),
        "no seconds": tlv(0x17, b"2501010000Z"),
        "no zone": tlv(0x17, b"250101000000"),
        "an offset": tlv(0x17, b"250101000000+0100"),
        "fractions": general_time(b"20250101000000.5Z"),
        "letters": tlv(0x17, b"ABCDEFGHIJKLZ"),
        "an empty text": tlv(0x17),
        "another type": tlv(0x0C, b"250101000000Z"),
    }.items():
        yield f"notBefore {label}", made(not_before=encoded)
        yield f"notAfter {label}", made(not_after=encoded)


def _names() -> Iterator[tuple[str, bytes]]:
    for label, encoded in {
        "empty": sequence(),
        "invalid UTF-8": name(b"\xff\xfe"),
        "a surrogate": name(b"\xed\xa0\x80"),
        "NUL": name(b"a\0b"),
        "odd BMPString": name(b"\0a\0", 0x1E),
        "BMPString": name(b"\0a\0b", 0x1E),
        "bad UniversalString": name(b"\xff\xff\xff\xff", 0x1C),
        "TeletexString": name(b"\xe9\xff", 0x14),
        "bits": name(b"\0abc", 0x03),
        "unknown string type": name(b"abc", 0x1B),
        "an integer": name(b"\x05", 0x02),
        "country of three letters": name(b"DEU", 0x13, "2.5.4.6"),
        "country empty": name(b"", 0x13, "2.5.4.6"),
        "no printable text": name(b"@\n\x1b[31m", 0x13),
        "empty set": sequence(tlv(0x31)),
        "no pair": sequence(tlv(0x31, sequence(oid("2.5.4.3")))),
        "an empty value": name(b""),
        "a sequence": sequence(tlv(0x31, sequence(oid("2.5.4.3"), sequence()))),
        "an unknown kind": name(b"x", 0x0C, "1.2.3.4.5"),
        "ever so long": name(b"x" * 5000),
    }.items():
        yield f"subject {label}", made(subject=encoded)
        yield f"issuer {label}", made(issuer=encoded)
        yield f"both names {label}", made(subject=encoded, issuer=encoded)


def _keys() -> Iterator[tuple[str, bytes]]:
    far = b"\x04" + b"\x11" * 64
    for label, spki in {
        "empty": sequence(),
        "unknown algorithm": sequence(sequence(oid("1.2.3.4")), bits(b"abc")),
        "unknown curve": ec_key(oid("1.2.3.4.5"), POINT),
        "secp112r1": ec_key(oid("1.3.132.0.6"), b"\x04" + bytes(28)),
        "brainpool": ec_key(oid("1.3.36.3.3.2.8.1.1.7"), POINT),
        "no curve": ec_key(b"", POINT),
        "implicit curve": ec_key(tlv(0x05), POINT),
        "explicit curve": ec_key(sequence(integer(b"\x01")), POINT),
        "off the curve": ec_key(P256, far),
        "at infinity": ec_key(P256, b"\0"),
        "half a point": ec_key(P256, POINT[:40]),
        "empty point": ec_key(P256, b""),
        "compressed": ec_key(P256, b"\x02" + POINT[1:33]),
        "unused bits": SPKI[:-67] + bytes([1]) + SPKI[-66:],
        "RSA zero": rsa_key(b"\0", b"\x01\0\x01"),
        "RSA negative": rsa_key(b"\xff" * 256, b"\x01\0\x01"),
        "RSA even": rsa_key(b"\x7e" * 256, b"\x01\0\x01"),
        "RSA exponent 1": rsa_key(b"\x7f" * 256, b"\x01"),
        "RSA exponent 0": rsa_key(b"\x7f" * 256, b"\0"),
        "RSA exponent huge": rsa_key(b"\x7f" * 256, b"\x7f" * 256),
        "RSA exponent negative": rsa_key(b"\x7f" * 256, b"\xff"),
        "RSA tiny": rsa_key(b"\x0d", b"\x03"),
        "RSA huge": rsa_key(b"\x7f" * 4000, b"\x01\0\x01"),
        "RSA junk": sequence(sequence(oid("1.2.840.113549.1.1.1"), tlv(0x05)), bits(b"junk")),
        "RSA-PSS junk": sequence(_pss(sequence(integer(b"\1"))), bits(b"junk")),
        "Ed25519 short": sequence(sequence(oid("1.3.101.112")), bits(b"abc")),
        "Ed25519 with parameters": sequence(sequence(oid("1.3.101.112"), P256), bits(bytes(32))),
        "Ed448 short": sequence(sequence(oid("1.3.101.113")), bits(b"abc")),
        "X25519": sequence(sequence(oid("1.3.101.110")), bits(bytes(32))),
        "ML-DSA short": sequence(sequence(oid("2.16.840.1.101.3.4.3.17")), bits(b"abc")),
        "ML-KEM": sequence(sequence(oid("2.16.840.1.101.3.4.4.2")), bits(b"abc")),
        "DSA": sequence(
            sequence(
                oid("1.2.840.10040.4.1"), sequence(integer(b"\7"), integer(b"\3"), integer(b"\2"))
            ),
            bits(integer(b"\4")),
        ),
        "DSA without parameters": sequence(
            sequence(oid("1.2.840.10040.4.1")), bits(integer(b"\4"))
        ),
        "DH": sequence(
            sequence(oid("1.2.840.113549.1.3.1"), sequence(integer(b"\x17"), integer(b"\5"))),
            bits(integer(b"\4")),
        ),
    }.items():
        yield f"key {label}", made(spki=spki)


def _signatures() -> Iterator[tuple[str, bytes]]:
    sha256 = oid("2.16.840.1.101.3.4.2.1")
    for label, algorithm in {
        "unknown": sequence(oid("1.2.3.4")),
        "MD5": sequence(oid("1.2.840.113549.1.1.4"), tlv(0x05)),
        "MD2": sequence(oid("1.2.840.113549.1.1.2"), tlv(0x05)),
        "SHA-1": sequence(oid("1.2.840.10045.4.1")),
        "SHA-3": sequence(oid("2.16.840.1.101.3.4.3.10")),
        "Ed25519": sequence(oid("1.3.101.112")),
        "ML-DSA": sequence(oid("2.16.840.1.101.3.4.3.17")),
        "PSS without parameters": _pss(),
        "PSS empty": _pss(sequence()),
        "PSS junk": _pss(tlv(0x05)),
        "PSS unknown hash": _pss(sequence(tlv(0xA0, sequence(oid("1.2.3"))))),
        "PSS negative salt": _pss(
            sequence(
                tlv(0xA0, sequence(sha256)),
                tlv(0xA1, sequence(oid("1.2.840.113549.1.1.8"), sequence(sha256))),
                tlv(0xA2, integer(b"\xff")),
            )
        ),
        "ECDSA with NULL": sequence(oid("1.2.840.10045.4.3.2"), tlv(0x05)),
        "ECDSA with junk": sequence(oid("1.2.840.10045.4.3.2"), octets(b"junk")),
        "GOST": sequence(oid("1.2.643.2.2.3")),
    }.items():
        yield f"signed in {label}", made(inner=algorithm, outer=algorithm)
        yield f"said to be signed in {label}", made(outer=algorithm)
    yield "signature empty", made(signature=bits(b""))
    yield "signature junk", made(signature=bits(b"junk"))
    yield "signature with unused bits", made(signature=bits(b"\x80", 7))
    yield "signature with nine unused bits", made(signature=bits(b"\x80", 9))
    yield "signature no bits", made(signature=octets(b"abc"))


def _extensions() -> Iterator[tuple[str, bytes]]:
    for label, entries in {
        "empty": (),
        "not ASCII": (tlv(0x82, b"b\xc3\xbccher.example"),),
        "NUL": (tlv(0x82, b"localhost\0.example"),),
        "empty name": (tlv(0x82),),
        "IP of 5 bytes": (tlv(0x87, b"\x7f\0\0\1\0"),),
        "IP of 0 bytes": (tlv(0x87),),
        "network with holes": (tlv(0x87, b"\x7f\0\0\1\xff\0\xff\0"),),
        "bad email": (tlv(0x81, b"\xff@"),),
        "named email": (tlv(0x81, b"A <a@b>"),),
        "bad URI": (tlv(0x86, b"\xff://"),),
        "unknown kind": (tlv(0x89, b"x"),),
        "X.400": (tlv(0xA3, sequence()),),
        "EDI": (tlv(0xA5, tlv(0xA1, tlv(0x0C, b"x"))),),
        "bad directory": (tlv(0xA4, name(b"\xff")),),
        "bad registered": (tlv(0x88, b"\x80"),),
        "other name": (tlv(0xA0, oid("1.2.3"), tlv(0xA0, tlv(0x05))),),
        "bad other name": (tlv(0xA0, tlv(0x05)),),
    }.items():
        yield f"SAN {label}", made(extensions=san(*entries))
    yield "SAN junk", made(extensions=extension(SAN, b"junk") + GOOD_USAGE)
    yield "SAN twice", made(extensions=GOOD_SAN + GOOD_SAN + GOOD_USAGE + GOOD_EKU)
    yield "unknown twice", made(extensions=besides("1.2.3.4", b"a") + extension("1.2.3.4", b"b"))
    yield "no extensions", made(extensions=b"")
    yield "extensions junk", made(extensions=tlv(0x05))
    yield "critical unknown", made(extensions=besides("1.2.3.4", b"a", critical=True))
    yield "boolean 1", made(extensions=sequence(oid(SAN), tlv(1, b"\1"), octets(b"")))
    for label, kind, value in (
        ("keyUsage empty", KEY_USAGE, bits(b"")),
        ("keyUsage junk", KEY_USAGE, b"junk"),
        ("basicConstraints junk", BASIC, b"junk"),
        ("pathLen negative", BASIC, sequence(tlv(1, b"\xff"), integer(b"\xff"))),
        ("pathLen huge", BASIC, sequence(tlv(1, b"\xff"), integer(b"\x7f" * 9))),
        ("pathLen without cA", BASIC, sequence(integer(b"\1"))),
        ("extKeyUsage empty", EKU, sequence()),
        ("extKeyUsage junk", EKU, b"\x30\x02\x06\x00"),
        ("authorityKeyIdentifier junk", "2.5.29.35", b"junk"),
        ("authorityKeyIdentifier half", "2.5.29.35", sequence(tlv(0x82, b"\1"))),
        ("subjectKeyIdentifier junk", "2.5.29.14", b"junk"),
        ("policies empty", "2.5.29.32", sequence()),
        ("policies twice", "2.5.29.32", sequence(sequence(oid("1.2.3")), sequence(oid("1.2.3")))),
        (
            "policy qualifier unknown",
            "2.5.29.32",
            sequence(sequence(oid("1.2.3"), sequence(sequence(oid("1.2.4"), tlv(0x05))))),
        ),
        (
            "user notice",
            "2.5.29.32",
            sequence(
                sequence(
                    oid("1.2.3"),
                    sequence(
                        sequence(
                            oid("1.3.6.1.5.5.7.2.2"),
                            sequence(sequence(tlv(0x0C, b"\xff"), sequence(integer(b"\xff")))),
                        )
                    ),
                )
            ),
        ),
        ("AIA empty", "1.3.6.1.5.5.7.1.1", sequence()),
        ("AIA junk", "1.3.6.1.5.5.7.1.1", b"junk"),
        (
            "AIA with a bad URI",
            "1.3.6.1.5.5.7.1.1",
            sequence(sequence(oid("1.3.6.1.5.5.7.48.1"), tlv(0x86, b"\xff"))),
        ),
        (
            "AIA with X.400",
            "1.3.6.1.5.5.7.1.1",
            sequence(sequence(oid("1.3.6.1.5.5.7.48.2"), tlv(0xA3, sequence()))),
        ),
        ("CRL points junk", "2.5.29.31", b"junk"),
        (
            "CRL points with X.400",
            "2.5.29.31",
            sequence(sequence(tlv(0xA0, tlv(0xA0, tlv(0xA3, sequence()))))),
        ),
        ("CRL point of a part", "2.5.29.31", sequence(sequence(tlv(0x81, b"\1\x80")))),
        ("name constraints empty", "2.5.29.30", sequence()),
        (
            "name constraints with a bad address",
            "2.5.29.30",
            sequence(tlv(0xA0, sequence(tlv(0x87, b"\1\2\3")))),
        ),
        ("must-staple junk", "1.3.6.1.5.5.7.1.24", b"junk"),
        ("TLS feature unknown", "1.3.6.1.5.5.7.1.24", sequence(integer(b"\x63"))),
        ("TLS feature huge", "1.3.6.1.5.5.7.1.24", sequence(integer(b"\x7f" * 9))),
        ("timestamps junk", "1.3.6.1.4.1.11129.2.4.2", octets(b"\0\5abcde")),
        ("timestamps no octets", "1.3.6.1.4.1.11129.2.4.2", b"junk"),
        ("policy constraints junk", "2.5.29.36", b"junk"),
        ("inhibit anyPolicy negative", "2.5.29.54", integer(b"\xff")),
        ("issuer alternative name X.400", "2.5.29.18", sequence(tlv(0xA3, sequence()))),
        ("private key usage period", "2.5.29.16", sequence(tlv(0x80, b"2025"))),
        ("admission junk", "1.3.36.8.3.3", b"junk"),
        ("Microsoft template junk", "1.3.6.1.4.1.311.21.7", b"junk"),
    ):
        yield label, made(extensions=GOOD_SAN + extension(kind, value))
        yield (
            f"{label}, critical",
            made(extensions=GOOD_SAN + extension(kind, value, critical=True)),
        )


def pem_block(der: bytes) -> bytes:
    """The same as PEM."""
    body = encodebytes(der)
    return b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"


def parsed(der: bytes) -> x509.Certificate | None:
    """The certificate, if cryptography loads it at all."""
    try:
        return x509.load_der_x509_certificate(der)
    except Exception:
        return None
