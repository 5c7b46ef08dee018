"""Signed certificate timestamps: which are read, and which of them prove something."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from tests.pki import Leaf, Pki, der_of, key_of_type, leaf_builder, sign

from handclasp.certificates.der import public_key_info
from handclasp.certificates.transparency import (
    MAX_TIMESTAMPS,
    CtLog,
    timestamps_of,
    valid_timestamps,
)
from handclasp.errors import CertificateError, ConfigurationError

EMBEDDED = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Log:
    """A transparency log that signs whatever it is asked to, as RFC 6962 section 3.2 describes."""

    def __init__(self, key_type: str = "ecdsa-p256", number: int = 100) -> None:
        self.key = key_of_type(key_type, number)
        self.spki = spki_of(self.key)
        self.log_id = hashlib.sha256(self.spki).digest()
        self.known = CtLog.from_public_key(self.spki, f"log {number}")

    def sct(
        self,
        entry: bytes,
        time: datetime,
        extensions: bytes = b"",
        algorithms: bytes | None = None,
    ) -> bytes:
        milliseconds = (time - EPOCH) // timedelta(milliseconds=1)
        stamp = milliseconds.to_bytes(8, "big")
        signature = self._sign(b"\0\0" + stamp + entry + vector(2, extensions))
        if algorithms is None:
            algorithms = b"\x04\x01" if isinstance(self.key, rsa.RSAPrivateKey) else b"\x04\x03"
        head = b"\0" + self.log_id + stamp + vector(2, extensions)
        return head + algorithms + vector(2, signature)

    def _sign(self, data: bytes) -> bytes:
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        signature: bytes = self.key.sign(data, ec.ECDSA(hashes.SHA256()))
        return signature


def spki_of(key: Any) -> bytes:
    spki: bytes = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return spki


def vector(size: int, content: bytes) -> bytes:
    return len(content).to_bytes(size, "big") + content


def list_of(*scts: bytes) -> bytes:
    return vector(2, b"".join(vector(2, sct) for sct in scts))


def certificate_entry(certificate: x509.Certificate) -> bytes:
    return b"\0\0" + vector(3, der_of(certificate)[0])


def precertificate_entry(tbs: bytes, issuer: x509.Certificate) -> bytes:
    return b"\0\1" + hashlib.sha256(public_key_info(issuer)).digest() + vector(3, tbs)


def tlv(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    if len(content) < 0x80:
        return bytes((tag, len(content))) + content
    size = 1 if len(content) < 0x100 else 2
    return bytes((tag, 0x80 + size)) + vector(size, content)


def embedding(pki: Pki, make_list: Callable[[bytes], bytes]) -> x509.Certificate:
    """A leaf with the list that `make_list` makes of the TBSCertificate without one."""
    public_key = key_of_type("ecdsa-p256").public_key()
    builder = leaf_builder(Leaf(), public_key, pki.certificate.subject, pki.now)
    tbs = sign(builder, pki.key).tbs_certificate_bytes
    extension = x509.UnrecognizedExtension(EMBEDDED, tlv(0x04, make_list(tbs)))
    return sign(builder.add_extension(extension, critical=False), pki.key)


def ocsp_response_with(sct_list: bytes) -> bytes:
    """An OCSP response whose only answer carries the list. Nobody signed it (RFC 6960 4.2.1)."""
    sha256 = tlv(0x30, bytes.fromhex("0609608648016503040201"))
    oid = bytes.fromhex("060a2b06010401d679020405")
    time = tlv(0x18, b"20260101000000Z")
    extension = tlv(0x30, oid, tlv(0x04, tlv(0x04, sct_list)))
    certificate_id = tlv(0x30, sha256, tlv(0x04, bytes(32)), tlv(0x04, bytes(32)), b"\x02\x01\x01")
    answer = tlv(0x30, certificate_id, b"\x80\x00", time, tlv(0xA1, tlv(0x30, extension)))
    data = tlv(0x30, tlv(0xA2, tlv(0x04, bytes(20))), time, tlv(0x30, answer))
    basic = tlv(0x30, data, sha256, b"\x03\x02\x00\x00")
    typed = tlv(0x30, bytes.fromhex("06092b0601050507300101"), tlv(0x04, basic))
    return tlv(0x30, b"\x0a\x01\x00", tlv(0xA0, typed))


@pytest.fixture(scope="module")
def leaf(pki: Pki) -> x509.Certificate:
    return pki.issue(Leaf(), key_of_type("ecdsa-p256").public_key())


@pytest.fixture(scope="module")
def path(pki: Pki, leaf: x509.Certificate) -> list[x509.Certificate]:
    return [leaf, pki.certificate]


LOG, OTHER_LOG = Log(), Log(number=101)

every_key_type = pytest.mark.parametrize("key_type", ["ecdsa-p256", "rsa-2048"])


@every_key_type
def test_beside_the_certificate(path: list[x509.Certificate], now: datetime, key_type: str) -> None:
    log = Log(key_type)
    encoded = list_of(log.sct(certificate_entry(path[0]), now, b"an extension"))
    (valid,) = valid_timestamps(path, encoded, None, [OTHER_LOG.known, log.known], now)
    assert (valid.log_id, valid.source, valid.version) == (log.log_id, "tls", 0)
    assert now - valid.time < timedelta(milliseconds=1)
    assert valid.time.tzinfo is UTC
    assert (valid.extensions, valid.hash_algorithm) == (b"an extension", "sha256")
    assert valid.signature_algorithm == ("rsa" if key_type == "rsa-2048" else "ecdsa")
    assert valid_timestamps(path, encoded, None, [OTHER_LOG.known], now) == ()


@every_key_type
def test_in_the_certificate(pki: Pki, now: datetime, key_type: str) -> None:
    log = Log(key_type)

    def make_list(tbs: bytes) -> bytes:
        return list_of(log.sct(precertificate_entry(tbs, pki.certificate), now))

    leaf = embedding(pki, make_list)
    (valid,) = valid_timestamps([leaf, pki.certificate], None, None, [log.known], now)
    assert (valid.log_id, valid.source) == (log.log_id, "certificate")
    # The timestamp names the issuer by its key.
    other = Pki("another root")
    assert valid_timestamps([leaf, other.certificate], None, None, [log.known], now) == ()
    assert valid_timestamps([leaf], None, None, [log.known], now) == ()


def test_in_a_stapled_response(path: list[x509.Certificate], now: datetime) -> None:
    response = ocsp_response_with(list_of(LOG.sct(certificate_entry(path[0]), now)))
    (valid,) = valid_timestamps(path, None, response, [LOG.known], now)
    assert (valid.log_id, valid.source) == (LOG.log_id, "ocsp")


def test_a_response_without_any(path: list[x509.Certificate]) -> None:
    for response in (b"", b"\x30\x00", b"\x30\x03\x0a\x01\x06", ocsp_response_with(b"")[:-1]):
        assert timestamps_of(path[0], None, response) == ()


def test_all_sources_in_turn_and_each_log_once(pki: Pki, now: datetime) -> None:
    def make_list(tbs: bytes) -> bytes:
        return list_of(LOG.sct(precertificate_entry(tbs, pki.certificate), now))

    leaf = embedding(pki, make_list)
    path = [leaf, pki.certificate]
    scts = [log.sct(certificate_entry(leaf), now) for log in (LOG, OTHER_LOG, OTHER_LOG)]
    response = ocsp_response_with(list_of(*scts))
    found = timestamps_of(leaf, list_of(*scts), response)
    assert [one.source for one in found] == ["certificate", *["tls"] * 3, *["ocsp"] * 3]
    valid = valid_timestamps(path, list_of(*scts), response, [LOG.known, OTHER_LOG.known], now)
    assert [(one.log_id, one.source) for one in valid] == [
        (LOG.log_id, "certificate"),
        (OTHER_LOG.log_id, "tls"),
    ]


def test_a_wrong_one_does_not_hide_a_right_one(path: list[x509.Certificate], now: datetime) -> None:
    right = LOG.sct(certificate_entry(path[0]), now)
    wrong = LOG.sct(certificate_entry(path[1]), now)
    assert len(valid_timestamps(path, list_of(wrong, right), None, [LOG.known], now)) == 1
    assert valid_timestamps(path, list_of(wrong), None, [LOG.known], now) == ()


def test_a_timestamp_from_the_future(path: list[x509.Certificate], now: datetime) -> None:
    encoded = list_of(LOG.sct(certificate_entry(path[0]), now + timedelta(seconds=1)))
    assert valid_timestamps(path, encoded, None, [LOG.known], now) == ()
    later = now + timedelta(seconds=2)
    assert len(valid_timestamps(path, encoded, None, [LOG.known], later)) == 1


def test_a_timestamp_of_the_one_kind_of_entry_is_none_of_the_other(pki: Pki, now: datetime) -> None:
    leaf = embedding(pki, lambda tbs: list_of(LOG.sct(certificate_entry(pki.certificate), now)))
    path = [leaf, pki.certificate]
    entry = precertificate_entry(leaf.tbs_precertificate_bytes, pki.certificate)
    encoded = list_of(LOG.sct(entry, now))
    assert len(timestamps_of(leaf, encoded)) == 2
    assert valid_timestamps(path, encoded, None, [LOG.known], now) == ()


@pytest.mark.parametrize(
    "algorithms", [b"\x02\x03", b"\x04\x01", b"\x05\x03", b"\x00\x00", b"\x09\x09"]
)
def test_what_it_says_of_its_algorithms_counts(
    path: list[x509.Certificate], now: datetime, algorithms: bytes
) -> None:
    encoded = list_of(LOG.sct(certificate_entry(path[0]), now, algorithms=algorithms))
    assert len(timestamps_of(path[0], encoded)) == 1
    assert valid_timestamps(path, encoded, None, [LOG.known], now) == ()


def test_algorithms_without_a_name_are_shown_as_numbers(
    path: list[x509.Certificate], now: datetime
) -> None:
    encoded = list_of(LOG.sct(certificate_entry(path[0]), now, algorithms=b"\x09\x63"))
    (found,) = timestamps_of(path[0], encoded)
    assert (found.hash_algorithm, found.signature_algorithm) == ("9", "99")


def test_every_byte_counts(path: list[x509.Certificate], now: datetime) -> None:
    right = LOG.sct(certificate_entry(path[0]), now, b"x")
    for at in range(len(right)):
        # Of the signature's own encoding, OpenSSL and not this code has to be strict.
        changed = right[:at] + bytes((right[at] ^ 1,)) + right[at + 1 :]
        later = now + timedelta(days=365_000)
        assert valid_timestamps(path, list_of(changed), None, [LOG.known], later) == (), at


def test_what_cannot_be_read_or_is_of_another_version_is_passed_over(
    path: list[x509.Certificate], now: datetime
) -> None:
    right = LOG.sct(certificate_entry(path[0]), now)
    after_year_9999 = right[:33] + b"\xff" * 8 + right[41:]
    encoded = list_of(
        b"\x01" + right[1:], b"\x00", right[:-1], right + b"\0", after_year_9999, right
    )
    (found,) = timestamps_of(path[0], encoded)
    assert found.signature == right[-len(found.signature) :]


@pytest.mark.parametrize(
    "encoded",
    [b"", b"\0", b"\0\0", b"\0\1", b"\0\2\0\0", b"\0\3\0\2x", b"\0\3\0\1x\0", b"\0\4\0\1x\0"],
)
def test_a_list_that_is_none(leaf: x509.Certificate, encoded: bytes) -> None:
    with pytest.raises(CertificateError) as caught:
        timestamps_of(leaf, encoded)
    assert caught.value.fault_name == "DECODE_ERROR"


def test_a_certificate_whose_list_is_none(pki: Pki, now: datetime) -> None:
    leaf = embedding(pki, lambda tbs: b"\0\4\0\1x\0")
    with pytest.raises(CertificateError) as caught:
        timestamps_of(leaf)
    assert caught.value.fault_name == "BAD_CERTIFICATE"


def test_only_so_many_are_looked_at(pki: Pki, now: datetime) -> None:
    def make_list(tbs: bytes) -> bytes:
        return list_of(LOG.sct(precertificate_entry(tbs, pki.certificate), now))

    leaf = embedding(pki, make_list)
    right = OTHER_LOG.sct(certificate_entry(leaf), now)
    wrong = right[:-1] + bytes((right[-1] ^ 1,))
    encoded = list_of(*[wrong] * (MAX_TIMESTAMPS - 1), right)
    assert len(timestamps_of(leaf, encoded, ocsp_response_with(encoded))) == MAX_TIMESTAMPS
    valid = valid_timestamps([leaf, pki.certificate], encoded, None, [OTHER_LOG.known], now)
    assert valid == ()


@given(st.binary(max_size=300))
def test_any_list_is_read_or_a_certificate_error(encoded: bytes) -> None:
    for given_list in (encoded, list_of(encoded or b"\0")):
        with suppress(CertificateError):
            timestamps_of(PLAIN_LEAF, given_list)


@given(st.binary(max_size=300))
def test_any_response_is_read_or_has_none(response: bytes) -> None:
    assert timestamps_of(PLAIN_LEAF, None, response) == ()


@given(
    st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC)),
    st.binary(max_size=40),
    st.binary(min_size=2, max_size=2),
)
def test_what_is_written_is_read(time: datetime, extensions: bytes, algorithms: bytes) -> None:
    encoded = list_of(LOG.sct(b"an entry", time, extensions, algorithms))
    (found,) = timestamps_of(PLAIN_LEAF, encoded)
    assert found.log_id == LOG.log_id
    assert found.time == time.replace(microsecond=time.microsecond // 1000 * 1000)
    assert found.extensions == extensions
    right = replace(found, hash_algorithm="sha256", signature_algorithm="ecdsa")
    assert LOG.known.signed(right, b"an entry")
    assert not LOG.known.signed(right, b"another entry")
    assert not OTHER_LOG.known.signed(right, b"an entry")
    assert not LOG.known.signed(replace(right, log_id=OTHER_LOG.log_id), b"an entry")


def test_a_real_certificate() -> None:
    leaf, issuer = x509.load_pem_x509_certificates(AKAMAI)
    logs = [CtLog.from_public_key(b64decode(key)) for key in AKAMAI_LOGS]
    now = datetime(2025, 7, 6, tzinfo=UTC)
    valid = valid_timestamps([leaf, issuer], None, None, logs, now)
    assert [timestamp.log_id for timestamp in valid] == [log.log_id for log in logs]
    assert f"{valid[0].time:%Y-%m-%d %H:%M:%S.%f}" == "2025-07-05 00:08:20.811000"
    assert valid_timestamps([leaf, leaf], None, None, logs, now) == ()


# Logs


def test_a_log_is_its_key() -> None:
    pem = (
        key_of_type("ecdsa-p256", 100)
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    log = CtLog.from_public_key(pem, "a log")
    assert log == LOG.known
    assert hash(log) == hash(LOG.known)
    assert log != OTHER_LOG.known
    assert (log.name, log.log_id, log.public_key) == ("a log", LOG.log_id, LOG.spki)
    assert len({log, LOG.known, OTHER_LOG.known}) == 2
    with pytest.raises(AttributeError):
        log.name = "another"  # type: ignore[misc]


@pytest.mark.parametrize("key_type", ["ecdsa-p384", "ed25519", "rsa-1024", "secp256k1"])
def test_keys_that_no_log_has(key_type: str) -> None:
    with pytest.raises(ConfigurationError, match="P-256"):
        CtLog.from_public_key(spki_of(key_of_type(key_type)), "a log")


@pytest.mark.parametrize("key", [b"", b"no key", "text"])
def test_what_is_no_key(key: Any) -> None:
    with pytest.raises(ConfigurationError):
        CtLog.from_public_key(key)


def listed(log: Log, state: str, **more: Any) -> dict[str, Any]:
    return {
        "description": f"a {state} log",
        "key": b64encode(log.spki).decode(),
        "log_id": b64encode(log.log_id).decode(),
        "mmd": 86400,
        "state": {state: {"timestamp": "2026-01-01T00:00:00Z"}},
        **more,
    }


def log_list(*logs: Any, tiled: Any = ()) -> bytes:
    operator = {"name": "somebody", "email": [], "logs": list(logs), "tiled_logs": list(tiled)}
    return json.dumps({"version": "3", "operators": [operator]}).encode()


@pytest.mark.parametrize("state", ["qualified", "usable", "readonly"])
def test_logs_of_a_list(state: str) -> None:
    (log,) = CtLog.from_log_list(log_list(listed(LOG, state)))
    assert log == LOG.known
    assert log.name == f"a {state} log"


@pytest.mark.parametrize("state", ["pending", "retired", "rejected", "something new"])
def test_logs_of_a_list_that_do_not_count(state: str) -> None:
    bad = listed(LOG, state)
    assert CtLog.from_log_list(log_list(bad, listed(OTHER_LOG, "usable"))) == (OTHER_LOG.known,)
    with pytest.raises(ConfigurationError, match="none"):
        CtLog.from_log_list(log_list(bad))


def test_logs_for_tests_do_not_count() -> None:
    bad = listed(LOG, "usable", log_type="test")
    good = listed(OTHER_LOG, "usable", log_type="prod")
    assert CtLog.from_log_list(log_list(bad, good)) == (OTHER_LOG.known,)


def test_logs_that_are_served_as_files_count() -> None:
    found = CtLog.from_log_list(
        log_list(listed(LOG, "usable"), tiled=[listed(OTHER_LOG, "usable")])
    )
    assert found == (LOG.known, OTHER_LOG.known)


def test_a_list_whose_key_and_id_do_not_belong_together() -> None:
    entry = listed(LOG, "usable") | {"log_id": b64encode(OTHER_LOG.log_id).decode()}
    with pytest.raises(ConfigurationError, match="does not belong"):
        CtLog.from_log_list(log_list(entry))


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"{}",
        b'"text"',
        b'{"operators": 1}',
        b'{"operators": [{}]}',
        b'{"operators": [{"logs": [1]}]}',
        log_list({"state": {"usable": {}}}),
        log_list(listed(LOG, "usable", key="!")),
        log_list(listed(LOG, "usable", key=1)),
        log_list(listed(LOG, "usable") | {"log_id": None}),
        b"[" * 200_000,
    ],
)
def test_a_document_that_is_no_log_list(document: bytes) -> None:
    with pytest.raises(ConfigurationError):
        CtLog.from_log_list(document)


PLAIN_LEAF = Pki().issue(Leaf(), key_of_type("ecdsa-p256").public_key())

# The three logs whose timestamps the certificate below carries, in their order.
AKAMAI_LOGS = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEKjpni/66DIYrSlGK6Rf+e6F2c/28ZUvDJ79N81+gyimA"
    "ESAyeNZ++TRgjHWg9TVQnKHTSU0T1TtqDupFnSQTIg==",
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEenPbSvLeT+zhFBu+pqk8IbhFEs16iCaRIFb1STLDdWzL"
    "6XwTdTWcbOzxMTzB3puME5K3rT0PoZyPSM50JxgjmQ==",
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEquD0JkRQT/2inuaA4HC1sc6UpfiXgURVQmQcInmnZFnT"
    "iZMhZvsJgWAfYlU0OIykOC6slQzr7U9kvEVC9wZ6zQ==",
)

# www.akamai.com in July of 2025, and its issuer.
AKAMAI = b"""-----BEGIN CERTIFICATE-----
MIIFhjCCBQugAwIBAgIQAvJBpMZ0F0dce4m63tvPRjAKBggqhkjOPQQDAzBZMQsw
CQYDVQQGEwJVUzEVMBMGA1UEChMMRGlnaUNlcnQgSW5jMTMwMQYDVQQDEypEaWdp
Q2VydCBHbG9iYWwgRzMgVExTIEVDQyBTSEEzODQgMjAyMCBDQTEwHhcNMjUwNzA1
MDAwMDAwWhcNMjYwNzA3MjM1OTU5WjB2MQswCQYDVQQGEwJVUzEWMBQGA1UECBMN
TWFzc2FjaHVzZXR0czESMBAGA1UEBxMJQ2FtYnJpZGdlMSIwIAYDVQQKExlBa2Ft
YWkgVGVjaG5vbG9naWVzLCBJbmMuMRcwFQYDVQQDEw53d3cuYWthbWFpLmNvbTBZ
MBMGByqGSM49AgEGCCqGSM49AwEHA0IABL52u+/R/ZrvcoUqz5FpzWTomOp2iWtg
zS8vFsOWyPXMnWU8w8ptXBDKKk48DRZF9Y4f9xAxiIm9FMdczOY9Xe2jggOWMIID
kjAfBgNVHSMEGDAWgBSKI+uea9f5N135bSE5dpqhZ94QqDAdBgNVHQ4EFgQUx77U
bTR61rPDPRmX4pkQkMYzOeUwJQYDVR0RBB4wHIIOd3d3LmFrYW1haS5jb22CCmFr
YW1haS5jb20wPgYDVR0gBDcwNTAzBgZngQwBAgIwKTAnBggrBgEFBQcCARYbaHR0
cDovL3d3dy5kaWdpY2VydC5jb20vQ1BTMA4GA1UdDwEB/wQEAwIDiDAdBgNVHSUE
FjAUBggrBgEFBQcDAQYIKwYBBQUHAwIwgZ8GA1UdHwSBlzCBlDBIoEagRIZCaHR0
cDovL2NybDMuZGlnaWNlcnQuY29tL0RpZ2lDZXJ0R2xvYmFsRzNUTFNFQ0NTSEEz
ODQyMDIwQ0ExLTIuY3JsMEigRqBEhkJodHRwOi8vY3JsNC5kaWdpY2VydC5jb20v
RGlnaUNlcnRHbG9iYWxHM1RMU0VDQ1NIQTM4NDIwMjBDQTEtMi5jcmwwgYcGCCsG
AQUFBwEBBHsweTAkBggrBgEFBQcwAYYYaHR0cDovL29jc3AuZGlnaWNlcnQuY29t
MFEGCCsGAQUFBzAChkVodHRwOi8vY2FjZXJ0cy5kaWdpY2VydC5jb20vRGlnaUNl
cnRHbG9iYWxHM1RMU0VDQ1NIQTM4NDIwMjBDQTEtMi5jcnQwDAYDVR0TAQH/BAIw
ADCCAX4GCisGAQQB1nkCBAIEggFuBIIBagFoAHYA1219ENGn9XfCx+lf1wC/+YLJ
M1pl4dCzAXMXwMjFaXcAAAGX1+mcSwAABAMARzBFAiAXxtlrZVSKJbADZTFChtVQ
cVF6EYANNu+NPxCOH7nqNwIhAKgtAzOEt1l2j9VGIfv412fj4A+N0wH1V2CdaEn5
hTSKAHYAwjF+V0UZo0XufzjespBB68fCIVoiv3/Vta12mtkOUs0AAAGX1+mceQAA
BAMARzBFAiEA4gilcUkUlp0yAimXTZEaENXtmUc17ErbQV/lIQnq0BMCIClW4P8a
a0uaUqh5pHPaLW+/MJAVzQwBMxs2IknEYV56AHYAlE5Dh/rswe+B8xkkJqgYZQHH
0184AgE/cmd9VTcuGdgAAAGX1+mckAAABAMARzBFAiAZo82R/uZe2x7gCxxW7JP9
7pZoE3Z6zvRGGFQXvh+eNQIhAPz/J9hjON6t+Kg3PSW3LHmcWvO4a88nAq+GgW8x
c7lUMAoGCCqGSM49BAMDA2kAMGYCMQDPgbDHOI54pEekXPib2PTe4vo2C/Tbkya0
TM+WIiPZJP/auVgzVi4D2MRxUZTP+bcCMQC9H9oHdzrYEuW8+LmYwBZQL2bw3iYc
8nIAzCbvp1flxd+CyJvgZQv3egLOvjjMd2Q=
-----END CERTIFICATE-----
-----BEGIN CERTIFICATE-----
MIIDeTCCAv+gAwIBAgIQCwDpLU1tcx/KMFnHyx4YhjAKBggqhkjOPQQDAzBhMQsw
CQYDVQQGEwJVUzEVMBMGA1UEChMMRGlnaUNlcnQgSW5jMRkwFwYDVQQLExB3d3cu
ZGlnaWNlcnQuY29tMSAwHgYDVQQDExdEaWdpQ2VydCBHbG9iYWwgUm9vdCBHMzAe
Fw0yMTA0MTQwMDAwMDBaFw0zMTA0MTMyMzU5NTlaMFkxCzAJBgNVBAYTAlVTMRUw
EwYDVQQKEwxEaWdpQ2VydCBJbmMxMzAxBgNVBAMTKkRpZ2lDZXJ0IEdsb2JhbCBH
MyBUTFMgRUNDIFNIQTM4NCAyMDIwIENBMTB2MBAGByqGSM49AgEGBSuBBAAiA2IA
BHipnHWuiF1jpK1dhtgQSdavklljQyOF9EhlMM1KNJWmDj7ZfAjXVwUoSJ4Lq+vC
05ae7UXSi4rOAUsXQ+Fzz21zSDTcAEYJtVZUyV96xxMH0GwYF2zK28cLJlYujQf1
Z6OCAYIwggF+MBIGA1UdEwEB/wQIMAYBAf8CAQAwHQYDVR0OBBYEFIoj655r1/k3
XfltITl2mqFn3hCoMB8GA1UdIwQYMBaAFLPbSKT5ocXYrjZBzBFjaWIpvEvGMA4G
A1UdDwEB/wQEAwIBhjAdBgNVHSUEFjAUBggrBgEFBQcDAQYIKwYBBQUHAwIwdgYI
KwYBBQUHAQEEajBoMCQGCCsGAQUFBzABhhhodHRwOi8vb2NzcC5kaWdpY2VydC5j
b20wQAYIKwYBBQUHMAKGNGh0dHA6Ly9jYWNlcnRzLmRpZ2ljZXJ0LmNvbS9EaWdp
Q2VydEdsb2JhbFJvb3RHMy5jcnQwQgYDVR0fBDswOTA3oDWgM4YxaHR0cDovL2Ny
bDMuZGlnaWNlcnQuY29tL0RpZ2lDZXJ0R2xvYmFsUm9vdEczLmNybDA9BgNVHSAE
NjA0MAsGCWCGSAGG/WwCATAHBgVngQwBATAIBgZngQwBAgEwCAYGZ4EMAQICMAgG
BmeBDAECAzAKBggqhkjOPQQDAwNoADBlAjB+Jlhu7ojsDN0VQe56uJmZcNFiZU+g
IJ5HsVvBsmcxHcxyeq8ickBCbmWE/odLDxkCMQDmv9auNIdbP2fHHahv1RJ4teaH
MUSpXca4eMzP79QyWBH/OoUGPB2Eb9P1+dozHKQ=
-----END CERTIFICATE-----
"""
