"""The questions besides the negotiation: extensions, signals, resumption, early data, HSTS."""

from __future__ import annotations

import re

from handclasp.config import ClientConfig
from handclasp.crypto.suites import CIPHER_SUITES12, RSA_KEY_TRANSPORT_SUITES
from handclasp.iana import (
    FALLBACK_SCSV,
    TLS12,
    TLS13,
    VERSION_NAMES,
    ExtensionType,
    HandshakeType,
    cipher_suite_name,
)
from handclasp.scan.answer import Answer
from handclasp.scan.hello import TLS11
from handclasp.scan.probes import OLDER, Offer, codes_of, spoken13
from handclasp.scan.report import Fact, Report
from handclasp.scan.steps import Probe, Shaken, ask, shake
from handclasp.sessions.store import SessionStore
from handclasp.values import replace
from handclasp.wire.ech import read_ech_config_list
from handclasp.wire.extensions import (
    read_certificate_authorities,
    read_max_early_data_size,
    read_record_size_limit,
    write_status_request,
)
from handclasp.wire.messages import (
    CertificateRequest,
    EncryptedExtensions,
    NewSessionTicket,
    read_message,
)
from handclasp.wording import printable

_HTTP = "http/1.1"
_DEFLATE_OR_NOTHING = b"\1\0"
_PEER_MAY_SEND = b"\1"
_RECORD_LIMIT = 4096
_SHOWN_LIFETIMES = 4
_SENTINELS = {TLS12: b"DOWNGRD\1"}
_OLDER_SENTINEL = b"DOWNGRD\0"
_EVIDENCE_BYTES = 96

_ASKED = {
    "extended_master_secret": (ExtensionType.EXTENDED_MASTER_SECRET, b"", "RFC 7627"),
    "session_ticket": (ExtensionType.SESSION_TICKET, b"", "RFC 5077"),
    "heartbeat": (ExtensionType.HEARTBEAT, _PEER_MAY_SEND, "RFC 6520"),
    "signed_certificate_timestamp": (
        ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP,
        b"",
        "RFC 6962",
    ),
    "status_request": (ExtensionType.STATUS_REQUEST, write_status_request(), "RFC 6066"),
    "record_size_limit": (
        ExtensionType.RECORD_SIZE_LIMIT,
        _RECORD_LIMIT.to_bytes(2, "big"),
        "RFC 8449",
    ),
}
"""The extensions that are offered in the clear: type, content, RFC."""


def in_the_clear(offer: Offer, report: Report) -> Probe[None]:
    """Offer every extension of TLS 1.2 and older in one hello, and compression."""
    version = next((v for v in OLDER if report.speaks(VERSION_NAMES[v])), None)
    if version is None:
        return
    accepted = codes_of(version, report.suites[VERSION_NAMES[version]].names)
    extra = {int(kind): content for kind, content, _ in _ASKED.values()}
    hello = offer.hello(version, accepted, extra=extra, compression=_DEFLATE_OR_NOTHING)
    answer = yield from ask(hello, whole_flight=True)
    if answer.hello is None or answer.ending != "flight":
        report.lose(f"The extensions of {VERSION_NAMES[version]}: {answer.said()}.")
        return
    name = VERSION_NAMES[version]
    given = answer.hello.extensions
    for feature, (kind, _, rfc) in _ASKED.items():
        report.features[feature] = Fact(kind in given, f"in {name} ({rfc})", answer.evidence)
    report.features["secure_renegotiation"] = Fact(
        ExtensionType.RENEGOTIATION_INFO in given, f"in {name} (RFC 5746)", answer.evidence
    )
    report.features["compression"] = Fact(
        answer.hello.legacy_compression_method != 0, f"in {name} (CRIME)", answer.evidence
    )
    report.features["ocsp_staple"] = Fact(bool(answer.status), f"in {name}", answer.status[:64])
    scts = given.get(ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP, b"")
    report.saw(answer.certificates, "", answer.status, scts)
    _note_request(report, answer, name)
    yield from _without_tickets(offer, report, version)


def _without_tickets(offer: Offer, report: Report, version: int) -> Probe[None]:
    """Offer encrypt_then_mac, which goes with CBC alone, and no ticket, so that ids show."""
    name = VERSION_NAMES[version]
    accepted = codes_of(version, report.suites[name].names)
    cbc = [code for code in accepted if "_CBC_" in cipher_suite_name(code)]
    extra = {int(ExtensionType.ENCRYPT_THEN_MAC): b""} if cbc else {}
    answer = yield from ask(offer.hello(version, cbc or accepted, extra=extra))
    if answer.hello is None:
        return
    has_id = bool(answer.hello.legacy_session_id_echo)
    report.features["session_id"] = Fact(has_id, f"in {name}", answer.evidence)
    if cbc:
        given = ExtensionType.ENCRYPT_THEN_MAC in answer.hello.extensions
        says = f"in {name}, with a suite of CBC (RFC 7366)"
        report.features["encrypt_then_mac"] = Fact(given, says, answer.evidence)


def _note_request(report: Report, answer: Answer, version: str) -> None:
    request = answer.request
    says = f"in {version}, of {request.count} authorities" if request else f"in {version}"
    report.features["client_certificate"] = Fact(request is not None, says, answer.evidence)
    if request is not None:
        names = tuple(map(_name_text, request.authorities))
        report.features["client_authorities"] = Fact(names, f"in {version}")


def _name_text(der: bytes) -> str:
    """Return a distinguished name for people; in hexadecimal where nothing of it can be read."""
    found = [
        f"{_ATTRIBUTES[kind[0]]}={value[: size[0]].decode('utf-8', 'replace')}"
        for kind, size, value in _ATTRIBUTE.findall(der[:_LONGEST_NAME])
        if size[0] < 0x80
    ]
    return printable(",".join(reversed(found))) if found else der[:64].hex()


_LONGEST_NAME = 2048
_ATTRIBUTES = {3: "CN", 6: "C", 7: "L", 8: "ST", 10: "O", 11: "OU"}
_ATTRIBUTE = re.compile(
    rb"\x06\x03\x55\x04([\x03\x06\x07\x08\x0a\x0b])[\x0c\x13\x14\x16](.)(?=(.{0,127}))", re.DOTALL
)
"""An attribute of X.520 with a string of at most 127 bytes: OID, tag, length, content."""


def fallback(offer: Offer, report: Report) -> Probe[None]:
    """Signal a second attempt with an older version than the newest that the server has."""
    spoken = [v for v in (TLS13, *OLDER) if report.speaks(VERSION_NAMES[v])]
    if len(spoken) < 2:
        return
    version = spoken[1]
    accepted = codes_of(version, report.suites[VERSION_NAMES[version]].names)
    answer = yield from ask(offer.hello(version, [*accepted, FALLBACK_SCSV]))
    refused: bool | None = answer.said() == "alert inappropriate_fallback"
    if answer.is_lost:
        # Some servers close without sending the alert. Without the signal the same is accepted.
        control = (yield from ask(offer.hello(version, accepted))).accepted
        refused = True if control and answer.ending in ("closed", "reset") else None
    says = f"a hello of {VERSION_NAMES[version]} with TLS_FALLBACK_SCSV: {answer.said()} (RFC 7507)"
    report.features["fallback_scsv"] = Fact(refused, says, answer.evidence)


def sentinel(offer: Offer, report: Report) -> Probe[None]:
    """See whether a server says in its random that it has a newer version (RFC 8446 4.1.3)."""
    spoken = [v for v in (TLS13, TLS12, TLS11) if report.speaks(VERSION_NAMES[v])]
    if len(spoken) < 2 or TLS13 not in spoken:
        return
    version = spoken[1]
    accepted = codes_of(version, report.suites[VERSION_NAMES[version]].names)
    answer = yield from ask(offer.hello(version, accepted))
    if answer.hello is None or answer.version != version:
        return
    wanted = _SENTINELS.get(version, _OLDER_SENTINEL)
    says = f"the random of a ServerHello of {VERSION_NAMES[version]} (RFC 8446 section 4.1.3)"
    random = answer.hello.random
    report.features["downgrade_sentinel"] = Fact(random.endswith(wanted), says, random)


def encrypted(offer: Offer, report: Report, request: bytes) -> Probe[None]:
    """Read what TLS 1.3 encrypts, from a handshake that offers everything; then resume it.

    Args:
        request: a request of HTTP, for HSTS; empty where the server does not speak HTTP.
    """
    config = spoken13(offer, report)
    if config is None:
        return
    if report.protocol is not None or (report.alpn and _HTTP not in report.alpn):
        request = b""
    spoken = (_HTTP,) if request else report.alpn[:1]
    config = replace(
        config,
        sessions=SessionStore(),
        certificate_compression=None,
        record_size_limit=_RECORD_LIMIT,
        grease=True,
        grease_ech=True,
        alpn=spoken,
    )
    shaken = yield from shake(config, request, tickets=True)
    _note_extensions(report, shaken)
    if shaken.info is None:
        _note_failure(report, "What TLS 1.3 encrypts", shaken)
        return
    _note_tickets(report, shaken)
    if request:
        _note_hsts(report, shaken)
    if report.features["tickets"].value:
        again = yield from shake(config)
        says = again.error or "a second handshake with the ticket of the first"
        resumed = again.info.resumed if again.info is not None else None
        report.features["resumption"] = Fact(resumed, says)


def _note_failure(report: Report, what: str, shaken: Shaken) -> None:
    note = report.lose if shaken.is_lost else report.lacks
    note(f"{what}: {shaken.error}")


def _note_extensions(report: Report, shaken: Shaken) -> None:
    features = report.features
    for raw in shaken.messages_of(HandshakeType.ENCRYPTED_EXTENSIONS):
        message = read_message(raw)
        if not isinstance(message, EncryptedExtensions):
            continue
        given = message.extensions
        seen = raw[:_EVIDENCE_BYTES]
        limit = given.get(ExtensionType.RECORD_SIZE_LIMIT)
        if limit is not None:
            value = read_record_size_limit(limit)
            features["record_size_limit"] = Fact(True, f"{value} bytes in TLSv1.3", seen)
        configs = given.get(ExtensionType.ENCRYPTED_CLIENT_HELLO)
        names: tuple[str, ...] = ()
        if configs is not None:
            names = tuple(each.public_name for each in read_ech_config_list(configs))
        says = "retry configs, by public name, for a hello with GREASE (RFC 9849)"
        features["ech_retry_configs"] = Fact(names or False, says, seen)
    compressed = shaken.messages_of(HandshakeType.COMPRESSED_CERTIFICATE)
    name = shaken.info.certificate_compression if shaken.info is not None else None
    seen = compressed[0][:16] if compressed else b""
    if compressed or shaken.messages_of(HandshakeType.CERTIFICATE):
        features["certificate_compression"] = Fact(name or bool(compressed), "RFC 8879", seen)
    for raw in shaken.messages_of(HandshakeType.CERTIFICATE_REQUEST)[:1]:
        _note_request13(report, raw)
    if shaken.info is not None:
        staple, scts = shaken.info.ocsp_response or b"", shaken.info.sct_list or b""
        report.saw(shaken.chain_der, "", staple, scts)
        features["ocsp_staple"] = Fact(bool(staple), "in TLSv1.3", staple[:64])
        if "signed_certificate_timestamp" not in features or scts:
            features["signed_certificate_timestamp"] = Fact(bool(scts), "in TLSv1.3", scts[:64])
        features.setdefault("client_certificate", Fact(False, "in TLSv1.3"))


def _note_request13(report: Report, raw: bytes) -> None:
    message = read_message(raw)
    if not isinstance(message, CertificateRequest):
        return
    listed = message.extensions.get(ExtensionType.CERTIFICATE_AUTHORITIES)
    names = read_certificate_authorities(listed) if listed is not None else ()
    says = f"in TLSv1.3, of {len(names)} authorities"
    report.features["client_certificate"] = Fact(True, says, raw[:_EVIDENCE_BYTES])
    report.features["client_authorities"] = Fact(tuple(map(_name_text, names[:256])), says)


def _note_tickets(report: Report, shaken: Shaken) -> None:
    if shaken.trouble:
        says = f"after the handshake: {shaken.trouble}"
        report.features["tickets"] = report.features["early_data"] = Fact(None, says)
        return
    seen = shaken.messages_of(HandshakeType.NEW_SESSION_TICKET)
    most, lifetimes = 0, set[int]()
    for raw in seen:
        message = read_message(raw)
        if isinstance(message, NewSessionTicket):
            lifetimes.add(message.ticket_lifetime)
            data = message.extensions.get(ExtensionType.EARLY_DATA)
            most = max(most, read_max_early_data_size(data) if data is not None else 0)
    first = seen[0][:_EVIDENCE_BYTES] if seen else b""
    valid = " and ".join(f"{seconds:,} s" for seconds in sorted(lifetimes)[:_SHOWN_LIFETIMES])
    told = "tickets after a handshake of TLSv1.3" + (f", valid for {valid}" if valid else "")
    report.features["tickets"] = Fact(len(seen), told, first)
    says = f"up to {most:,} bytes of 0-RTT" if most else "no ticket allows 0-RTT"
    report.features["early_data"] = Fact(most > 0, says, first)


def resumed12(offer: Offer, report: Report, request: bytes) -> Probe[None]:
    """Resume a session of TLS 1.2, where this library speaks one of the server's suites.

    Args:
        request: as for `encrypted`; it is sent where TLS 1.3 did not answer it.
    """
    names = [name for name in report.suites["TLSv1.2"].names if name in CIPHER_SUITES12]
    is_http = report.protocol is None and (not report.alpn or _HTTP in report.alpn)
    if "TLSv1.3" in report.suites or not is_http:
        request = b""
    if not names:
        if request:
            says = "no request of HTTP: handclasp speaks none of the cipher suites"
            report.features["hsts"] = Fact(None, says)
        return
    forward_secret = [name for name in names if name not in RSA_KEY_TRANSPORT_SUITES]
    config: ClientConfig = replace(
        offer.config,
        versions=("TLSv1.2",),
        cipher_suites=tuple(forward_secret or names),
        sessions=SessionStore(),
        allow_rsa_key_transport=not forward_secret,
        require_extended_master_secret=False,
        alpn=(_HTTP,) if request else (),
    )
    first = yield from shake(config, request)
    if first.info is None:
        _note_failure(report, "Resumption in TLSv1.2" + " and HSTS" * bool(request), first)
        return
    if request:
        _note_hsts(report, first)
    again = yield from shake(config)
    resumed = again.info.resumed if again.info is not None else None
    report.features["resumption12"] = Fact(resumed, again.error or "a second handshake of TLSv1.2")


_HSTS = re.compile(rb"\r\nstrict-transport-security:[ \t]*([^\r\n]{1,200})", re.IGNORECASE)
_MAX_AGE = re.compile(rb"max-age\s*=\s*\"?(\d{1,12})", re.IGNORECASE)


def _note_hsts(report: Report, shaken: Shaken) -> None:
    if shaken.info is not None and not shaken.received:
        says = f"no answer to a request of HTTP in {shaken.waited:.1f} s"
        says = shaken.trouble or says
        report.features["hsts"] = Fact(None, says)
    if not shaken.received.startswith(b"HTTP/"):
        return
    found = _HSTS.search(shaken.received.partition(b"\r\n\r\n")[0])
    age = _MAX_AGE.search(found[1]) if found is not None else None
    says = found[1].decode("latin-1") if found is not None else "no Strict-Transport-Security"
    report.features["hsts"] = Fact(int(age[1]) if age else 0, says, found[0] if found else b"")
