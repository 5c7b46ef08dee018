"""The questions about the negotiation: versions, suites, groups, schemes, protocols, chains."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from handclasp.config import ClientConfig
from handclasp.crypto.groups import GROUPS
from handclasp.crypto.signatures import SIGNATURE_SCHEMES
from handclasp.crypto.suites import CIPHER_SUITES
from handclasp.iana import (
    TLS12,
    TLS13,
    VERSION_NAMES,
    ExtensionType,
    GroupCode,
    HandshakeType,
    SignatureSchemeCode,
    cipher_suite_name,
    group_name,
    signature_scheme_name,
)
from handclasp.iana.group_names import GROUPS_OF_OTHERS
from handclasp.iana.scheme_names import SCHEMES_OF_OTHERS
from handclasp.scan.answer import Answer
from handclasp.scan.hello import SSL30, TLS10, TLS11, Hello
from handclasp.scan.refusals import choice, refuses_version, settle_loss
from handclasp.scan.report import Fact, Report, Suites
from handclasp.scan.steps import Probe, Shaken, ask, ask_old, ask_once, eliminate, shake
from handclasp.scan.suites import SUITES13, chunks, exchange_of, suites_of
from handclasp.values import dataclass, field, replace
from handclasp.wire.extensions import KeyShareEntry, read_alpn

OLDER = (TLS12, TLS11, TLS10, SSL30)
"""The versions of which the whole first flight is in the clear."""

_EXPLICIT = range(0xFF00, 0x10000)

_USUAL_GROUPS = (GroupCode.x25519, GroupCode.secp256r1, GroupCode.secp384r1)
GROUPS13: tuple[int, ...] = tuple(
    dict.fromkeys(
        (
            *_USUAL_GROUPS,
            *map(int, GroupCode),
            *(code for code in GROUPS_OF_OTHERS if code >= 0x001F and code not in _EXPLICIT),
        )
    )
)
"""The groups of TLS 1.3, and the drafts of hybrids that were deployed."""

CURVES12: tuple[int, ...] = tuple(
    dict.fromkeys(
        (
            *_USUAL_GROUPS,
            GroupCode.secp521r1,
            GroupCode.x448,
            *(code for code in GROUPS_OF_OTHERS if code < 0x001F),
        )
    )
)
"""The curves of TLS 1.2 and older versions."""

SCHEMES: tuple[int, ...] = tuple(
    dict.fromkeys(
        (
            *map(int, SignatureSchemeCode),
            *(code for code in SCHEMES_OF_OTHERS if code >> 8 <= 6),
        )
    )
)

PROTOCOLS = (
    "h2",
    "http/1.1",
    "http/1.0",
    "imap",
    "pop3",
    "smtp",
    "ftp",
    "postgresql",
    "tds/8.0",
    "xmpp-client",
    "mqtt",
    "dot",
    "acme-tls/1",
)
"""The application protocols that are asked for (RFC 7301, IANA's registry)."""

_PLAIN_SUITES = (0xC02B, 0xC02F, 0xC013, 0xC014, 0x009C, 0x002F, 0x0035, 0x000A)
_PLAIN_SCHEMES = (
    *(SignatureSchemeCode.ecdsa_secp256r1_sha256, SignatureSchemeCode.rsa_pss_rsae_sha256),
    *(SignatureSchemeCode.rsa_pkcs1_sha256, SignatureSchemeCode.rsa_pkcs1_sha1),
)
"""Of a hello that servers of any age read."""

_ABOUT_SILENCE = (
    "One of these: no TLS is spoken on this port; it waits for another protocol first "
    "(--starttls); the server is too busy (--timeout); something on the way drops what is sent."
)

_BASE_POINT = KeyShareEntry(GroupCode.x25519, b"\x09" + bytes(31))
"""A valid share of which anybody has the key, for servers that never retry: nothing is agreed."""


@dataclass(slots=True)
class Offer:
    """The parts that the hellos of a scan have in common.

    Attributes:
        server_name: the name in each hello; empty for an address.
        shares: of TLS 1.3.
        config: the settings of handshakes, which read what is encrypted.
        accepted: a hello of each version that the server accepted.
    """

    server_name: str
    config: ClientConfig
    shares: Sequence[KeyShareEntry] = ()
    accepted: dict[int, Hello] = field(default_factory=dict[int, Hello])

    def hello(self, version: int, suites: Sequence[int], **changes: Any) -> Hello:
        """Return a hello that any server of this version understands, with some changes."""
        plain = Hello(
            version,
            suites,
            GROUPS13 if version == TLS13 else CURVES12,
            () if version < TLS12 else SCHEMES,
            self.server_name,
            shares=self.shares if version == TLS13 else (),
            extra={ExtensionType.EXTENDED_MASTER_SECRET: b""} if version in OLDER else {},
        )
        return replace(plain, **changes) if changes else plain


def versions(offer: Offer, report: Report) -> Probe[None]:
    """Ask for each version by itself, newest first; a silent port is asked twice in all."""
    asked = offer.hello(TLS13, SUITES13)
    answer = yield from ask_once(asked)
    if answer.nothing_came and (yield from _is_silent(offer)):
        report.error = f"Silent: it takes the connection, and {answer.said()}, in two attempts."
        report.fix = _ABOUT_SILENCE
        return
    if not answer.accepted:
        # RFC 8446 section 4.2.8 allows an empty list of shares; not every server does.
        offer.shares = (_BASE_POINT,)
        asked = offer.hello(TLS13, SUITES13)
        answer = yield from ask(asked)
    kept = {TLS13: (asked, answer)}
    for version in OLDER:
        for listed in chunks(suites_of(version)):
            asked = offer.hello(version, listed)
            answer = yield from ask(asked)
            # The version that was chosen instead says more than a refusal of the next list.
            if version not in kept or answer.accepted:
                kept[version] = asked, answer
            if answer.version == version or answer.ending in ("silent", "not tls"):
                break
    offer.accepted = {
        version: asked for version, (asked, answer) in kept.items() if answer.version == version
    }
    for version, (asked, answer) in kept.items():
        yield from _note_version(offer, report, version, asked, answer)
    old = yield from ask_old()
    says = "a SERVER-HELLO of SSL 2.0" if old.accepted else ""
    report.versions[VERSION_NAMES[2]] = Fact(bool(old.accepted), says, old.evidence)


def _is_silent(offer: Offer) -> Probe[bool]:
    """Return whether a short hello of TLS 1.2 gets no answer either.

    A server that stumbles over TLS 1.3, or over a long hello, answers this one; any version that
    it has will do.
    """
    hello = offer.hello(TLS12, _PLAIN_SUITES, groups=_USUAL_GROUPS, schemes=_PLAIN_SCHEMES)
    return (yield from ask_once(hello)).nothing_came


def _note_version(
    offer: Offer, report: Report, version: int, asked: Hello, answer: Answer
) -> Probe[None]:
    accepted = answer.version == version
    says = ""
    if not accepted:
        chose = VERSION_NAMES.get(answer.version, f"0x{answer.version:04x}")
        says = f"it chose {chose}" if answer.accepted else answer.said()
    report.fix = report.fix or answer.fix
    unknown = answer.is_lost and not answer.accepted
    if answer.ending in ("closed", "reset") and not answer.accepted:
        control = next(iter(offer.accepted.values()), None)
        # Without a control no version is accepted, and the report says why.
        unknown = control is not None and not (yield from refuses_version(answer, asked, control))
    value = None if unknown else accepted
    report.versions[VERSION_NAMES[version]] = Fact(value, says, answer.evidence)


def suites(offer: Offer, report: Report, version: int) -> Probe[None]:
    """Find the suites of a version, and whose order counts."""
    evidence: dict[int, bytes] = {}

    name = VERSION_NAMES[version]

    def make(left: Sequence[int]) -> Hello:
        return offer.hello(version, left)

    def choose(left: Sequence[int]) -> Probe[int | None]:
        answer = yield from choice(
            report, f"The suites of {name}", offer.accepted.get(version), make, left
        )
        if answer.hello is None or answer.version != version:
            return None
        evidence.setdefault(answer.hello.cipher_suite, answer.evidence)
        return answer.hello.cipher_suite

    lists = [SUITES13] if version == TLS13 else list(chunks(suites_of(version)))
    found: tuple[int, ...] = ()
    used = 0
    for each in lists:
        accepted = yield from eliminate(each, choose)
        used += bool(accepted)
        found += accepted
    if used > 1:
        found = yield from eliminate(found, choose)
    order = ""
    if len(found) > 1:
        chosen = yield from choose(found[::-1])
        order = {found[0]: "server", found[-1]: "client"}.get(chosen or 0, "")
    if not found:
        report.lacks(f"The suites of {name}: none was found out, though it accepts the version.")
    report.suites[name] = Suites(
        tuple(map(cipher_suite_name, found)),
        order,
        {cipher_suite_name(code): seen for code, seen in evidence.items() if code in found},
    )


def groups(offer: Offer, report: Report, version: int) -> Probe[None]:
    """Find the groups of a version: by HelloRetryRequest, or by ServerKeyExchange."""
    names = report.suites[VERSION_NAMES[version]].names
    accepted = codes_of(version, names)
    if version != TLS13:
        accepted = [code for code in accepted if exchange_of(code).startswith("ECDHE")]
    if not accepted:
        return

    what = f"The groups of {VERSION_NAMES[version]}"

    def make(left: Sequence[int]) -> Hello:
        shares = [share for share in offer.shares if share.group in left]
        hello = offer.hello(version, accepted, groups=left)
        return replace(hello, shares=shares if version == TLS13 else ())

    def choose(left: Sequence[int]) -> Probe[int | None]:
        control, whole = offer.accepted.get(version), version != TLS13
        answer = yield from choice(report, what, control, make, left, whole_flight=whole)
        if version != TLS13:
            _note_chain(report, answer)
        return answer.group if answer.version == version else None

    known = GROUPS13 if version == TLS13 else CURVES12
    found = yield from eliminate(known, choose)
    if version != TLS13 and found:
        # RFC 8422 section 5.1: a client that does not list a curve cannot read a key on it, so a
        # server shows a certificate on the curves that were found only as long as they are listed.
        def choose_another(left: Sequence[int]) -> Probe[int | None]:
            return (yield from choose([*left, *found]))

        found += yield from eliminate([c for c in known if c not in found], choose_another)
    if not found:
        report.lacks(f"{what}: none was found out, though it accepts suites with them.")
    report.groups[VERSION_NAMES[version]] = tuple(map(group_name, found))


def schemes12(offer: Offer, report: Report) -> Probe[None]:
    """Find the signature schemes of TLS 1.2, and the chains that go with them."""
    accepted = codes_of(TLS12, report.suites["TLSv1.2"].names)
    signing = [code for code in accepted if "DHE_" in exchange_of(code)]

    what = "The signature schemes of TLSv1.2"

    def make(left: Sequence[int]) -> Hello:
        return offer.hello(TLS12, signing, schemes=left)

    def choose(left: Sequence[int]) -> Probe[int | None]:
        control = offer.accepted.get(TLS12)
        answer = yield from choice(report, what, control, make, left, whole_flight=True)
        exchange = answer.key_exchange
        scheme = exchange.scheme if exchange is not None else None
        if scheme in left:
            _note_chain(report, answer)
        return scheme

    if signing:
        found = yield from eliminate(SCHEMES, choose)
        report.schemes["TLSv1.2"] = tuple(map(signature_scheme_name, found))


def older_chains(offer: Offer, report: Report) -> Probe[None]:
    """See the chain of each older version for suites in which nothing is signed."""
    for version in OLDER:
        found = report.suites.get(VERSION_NAMES[version])
        if found is None or not found.names:
            continue
        unsigned = [c for c in codes_of(version, found.names) if "DHE_" not in exchange_of(c)]
        if unsigned or version != TLS12:
            accepted = unsigned or codes_of(version, found.names)
            answer = yield from ask(offer.hello(version, accepted), whole_flight=True)
            _note_chain(report, answer)
            if answer.ending != "flight":
                report.lose(f"A certificate of {VERSION_NAMES[version]}: {answer.said()}.")


def _note_chain(report: Report, answer: Answer) -> None:
    exchange = answer.key_exchange
    scheme = signature_scheme_name(exchange.scheme) if exchange and exchange.scheme else ""
    report.saw(answer.certificates, scheme, answer.status)
    if exchange is not None and exchange.dh_bits:
        smallest = report.features.get("dh_bits")
        if smallest is None or exchange.dh_bits < int(str(smallest.value)):
            report.features["dh_bits"] = Fact(exchange.dh_bits, "the prime of DHE", answer.evidence)


def finite_fields(offer: Offer, report: Report) -> Probe[None]:
    """See the size of the prime where a server accepts DHE, in each older version."""
    for version in OLDER:
        found = report.suites.get(VERSION_NAMES[version])
        codes = codes_of(version, found.names) if found is not None else []
        finite = [code for code in codes if exchange_of(code).startswith(("DHE", "DH_anon"))]
        if finite:
            answer = yield from ask(offer.hello(version, finite), whole_flight=True)
            _note_chain(report, answer)
            if answer.ending != "flight":
                report.lose(f"The prime of DHE in {VERSION_NAMES[version]}: {answer.said()}.")


def schemes13(offer: Offer, report: Report) -> Probe[None]:
    """Find the signature schemes of TLS 1.3, and the chains that go with them.

    The signature is encrypted there, so each takes a handshake, as far as this library speaks the
    server's groups and suites.
    """
    left = [name for name, each in SIGNATURE_SCHEMES.items() if "TLSv1.3" in each.versions]
    config = spoken13(offer, report)
    if config is None:
        return
    found: list[str] = []
    while left:
        asked = replace(config, signature_schemes=tuple(left))
        shaken = yield from shake(asked)
        if shaken.is_lost:
            yield from settle_loss(shaken, config, asked)
        scheme = scheme_of(shaken)
        if scheme not in left:
            if not (shaken.refused or scheme):
                what = "The signature schemes of TLSv1.3, in full"
                report.lose(f"{what}: {shaken.error}")
            break
        found.append(scheme)
        left.remove(scheme)
        status = shaken.info.ocsp_response if shaken.info is not None else None
        scts = shaken.info.sct_list if shaken.info is not None else None
        report.saw(shaken.chain_der, scheme, status or b"", scts or b"")
    report.schemes["TLSv1.3"] = tuple(found)


def scheme_of(shaken: Shaken) -> str:
    """Return the scheme of the CertificateVerify, even if the handshake failed at it."""
    seen = shaken.messages_of(HandshakeType.CERTIFICATE_VERIFY)
    if not seen or len(seen[0]) < 6:
        return ""
    return signature_scheme_name(int.from_bytes(seen[0][4:6], "big"))


def spoken13(offer: Offer, report: Report) -> ClientConfig | None:
    """Return the settings for a handshake of TLS 1.3; None if this library cannot make one.

    The first plain group that both speak is taken: it is cheaper for the server than a hybrid.
    """
    accepted = report.groups.get("TLSv1.3", ())
    common = [name for name in accepted if name in GROUPS]
    common.sort(key=lambda name: GROUPS[name].versions == ("TLSv1.3",))
    suites = [name for name in report.suites["TLSv1.3"].names if name in CIPHER_SUITES]
    if not common or not suites:
        kind, seen = ("cipher suites", report.suites["TLSv1.3"].names)
        if not common:
            kind, seen = "groups", accepted
        why = f"handclasp speaks none of the {kind} that were found" if seen else f"no {kind}"
        report.lacks(f"What TLS 1.3 encrypts: {why}{'' if seen else ' of the server are known'}.")
        return None
    return replace(
        offer.config,
        versions=("TLSv1.3",),
        groups=tuple(common),
        key_shares=tuple(common[:1]),
        cipher_suites=tuple(suites),
    )


def alpn(offer: Offer, report: Report) -> Probe[None]:
    """Find the application protocols, in the clear of TLS 1.2 if the server speaks it."""
    left, found = list(PROTOCOLS), list[str]()
    in_clear = report.speaks("TLSv1.2")
    choose = partial(_alpn12 if in_clear else _alpn13, offer, report)
    while left:
        chosen = yield from choose(left)
        if chosen not in left:
            break
        found.append(chosen)
        left.remove(chosen)
    report.alpn = tuple(found)


def _alpn12(offer: Offer, report: Report, left: Sequence[str]) -> Probe[str]:
    accepted = codes_of(TLS12, report.suites["TLSv1.2"].names)
    names = [name.encode() for name in left]
    answer = yield from ask(offer.hello(TLS12, accepted, alpn=names))
    if answer.is_lost:
        report.lose(f"The application protocols, in full: {answer.said()}.")
    kind = ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION
    chosen = answer.hello.extensions.get(kind) if answer.hello is not None else None
    protocols = read_alpn(chosen) if chosen is not None else ()
    return protocols[0].decode("ascii", "replace") if protocols else ""


def _alpn13(offer: Offer, report: Report, left: Sequence[str]) -> Probe[str]:
    config = spoken13(offer, report)
    if config is None:
        return ""
    asked = replace(config, alpn=tuple(left))
    shaken = yield from shake(asked)
    if shaken.is_lost:
        yield from settle_loss(shaken, config, asked)
    if shaken.info is None and not shaken.refused:
        report.lose(f"The application protocols, in full: {shaken.error}")
    return (shaken.info.alpn or "") if shaken.info is not None else ""


_CODES13 = {cipher_suite_name(code): code for code in SUITES13}
_CODES12 = {cipher_suite_name(code): code for code in suites_of(TLS12)}


def codes_of(version: int, names: Sequence[str]) -> list[int]:
    """Return the codes of suites of a version by their names."""
    codes = _CODES13 if version == TLS13 else _CODES12
    return [codes[name] for name in names if name in codes]
