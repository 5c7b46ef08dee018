"""Faulty servers without a socket: bytes in, bytes out, for one connection."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from handclasp.certificates.credentials import Credentials
from handclasp.crypto.groups import GROUPS, GROUPS_BY_CODE
from handclasp.crypto.signatures import SIGNATURE_SCHEMES, SIGNATURE_SCHEMES_BY_CODE
from handclasp.crypto.suites import CIPHER_SUITES12_BY_CODE, CIPHER_SUITES_BY_CODE
from handclasp.iana import (
    TLS12,
    TLS13,
    AlertDescription,
    AlertLevel,
    ContentType,
    ExtensionType,
    HandshakeType,
)
from handclasp.testing.catalogue import PeerFault, alert_number
from handclasp.testing.chains import Chain
from handclasp.testing.deviations import changed, with_extension, without_extension
from handclasp.testing.scripted import Deviation, ScriptedServer
from handclasp.testing.scripted12 import ScriptedServer12
from handclasp.values import replace
from handclasp.wire import extensions as ext
from handclasp.wire.codecs import read_as, write_message
from handclasp.wire.messages import (
    Certificate,
    ClientHello,
    KeyUpdate,
    NewSessionTicket,
    ServerHello,
)
from handclasp.wire.records import HEADER_SIZE, MAX_PLAINTEXT

_Script: TypeAlias = "ScriptedServer | ScriptedServer12"

MAX_HELLO = 1 << 17
"""The bytes of records in which a ClientHello must have come."""

UNKNOWN_EXTENSION = 0xFADE
"""An extension number that is not assigned, nor one of GREASE."""

OVERSIZED_RECORD = b"\x16\x03\x03" + (MAX_PLAINTEXT + 2049).to_bytes(2, "big") + bytes(64)
"""The beginning of a record that is longer than any may be; its header is enough to see that."""

GARBAGE = b"220 mail.example ESMTP ready\r\n"

_UNOFFERED_SUITE13, _UNOFFERED_SUITE12 = 0x1305, 0xC0AC
_SENTINEL = b"DOWNGRD\x01"
_SECP224R1, _FFDHE2048 = 0x0015, 0x0100
_WRONG_GROUPS = (*(group.code for group in reversed(GROUPS.values())), _FFDHE2048)
_WRONG_GROUPS12 = (0x001E, 0x0019, _SECP224R1)  # X448 and secp521r1 first.


class NotTLS(ValueError):
    """The client speaks another protocol, or its ClientHello is too long."""


class AnswersWith(ScriptedServer):
    """A server that answers the ClientHello with these bytes, and with nothing else."""

    def __init__(self, credentials: Credentials, answer: bytes) -> None:
        super().__init__(credentials)
        self.answer = answer

    def receive(self, raw: bytes) -> None:
        """Answer the first message, and ignore the others."""
        if raw[0] == HandshakeType.CLIENT_HELLO:
            self.send_raw(self.answer)


class ServerPeer:
    """One connection of a faulty server. The version is TLS 1.3 if client and fault allow it.

    Attributes:
        applicable: False once the client has offered no version in which the fault exists, or
            nothing for which there is a certificate; it then gets an alert that says so.
    """

    def __init__(self, fault: PeerFault, chain: Chain, *others: Chain) -> None:
        self.fault = fault
        self.chain = chain
        self.chains = (chain, *others)
        self.applicable = True
        self._script: _Script | None = None
        self._early = bytearray()

    def feed(self, data: bytes) -> None:
        """Take bytes of the client; raise `NotTLS`, or `ProtocolError` for a malformed hello."""
        if self._script is not None:
            self._script.feed(data)
            return
        self._early += data
        raw = client_hello_in(self._early)
        if raw is not None:
            self._script = self._answer(read_as(ClientHello, raw))
            self._script.feed(bytes(self._early))

    def take(self) -> bytes:
        """Return the bytes for the client."""
        return self._script.take() if self._script is not None else b""

    def send_data(self, data: bytes) -> None:
        """Send application data."""
        if self._script is not None:
            for start in range(0, len(data), MAX_PLAINTEXT):
                self._script.send_data(data[start : start + MAX_PLAINTEXT])

    def close(self) -> None:
        """Send a close_notify."""
        if self._script is not None:
            self._script.send_alert(AlertLevel.WARNING, AlertDescription.CLOSE_NOTIFY)

    def flood(self) -> bool:
        """Send one message of a flood; False if this fault has none."""
        if not isinstance(self._script, ScriptedServer):
            return False
        if self.fault.name == "endless-tickets":
            ticket = NewSessionTicket(3600, 0, os.urandom(8), os.urandom(32), {})
            self._script.send_record(ContentType.HANDSHAKE, write_message(ticket))
        elif self.fault.name == "key-update-storm":
            self._script.update_keys(write_message(KeyUpdate(False)))
        else:
            return False
        return True

    @property
    def hangs_up(self) -> bool:
        """Whether it closes the connection after its answer, which is an alert, or no TLS."""
        script = self._script
        return isinstance(script, AnswersWith) and script.answer != OVERSIZED_RECORD

    @property
    def alerts(self) -> Sequence[tuple[int, int]]:
        """Level and description of every alert of the client."""
        return self._script.alerts if self._script is not None else ()

    @property
    def data(self) -> bytes:
        """The application data of the client so far."""
        return bytes(self._script.data) if self._script is not None else b""

    @property
    def established(self) -> bool:
        """Whether the client has completed the handshake."""
        return self._script is not None and self._script.established

    def _answer(self, hello: ClientHello) -> _Script:
        fixed = _ANSWERS.get(self.fault.name)
        alert = alert_number(self.fault)
        if alert is not None:
            fixed = alert_record(alert)
        if fixed is not None:
            return AnswersWith(self.chain.credentials, fixed)
        offered = _versions(hello)
        version = next((each for each in self.fault.versions if each in offered), None)
        if self.fault.name == "downgrade" and "TLSv1.3" not in offered:
            version = None
        make = {"TLSv1.3": server13, "TLSv1.2": server12}.get(version or "")
        for chain in self.chains if make is not None else ():
            script: _Script | None = make(self.fault.name, chain, hello) if make else None
            if script is not None:
                return script
        self.applicable = False
        wrong = "PROTOCOL_VERSION" if version is None else "HANDSHAKE_FAILURE"
        return AnswersWith(self.chain.credentials, alert_record(AlertDescription[wrong]))


def client_hello_in(data: bytes | bytearray) -> bytes | None:
    """Return the ClientHello at the beginning of `data`, or None if it is not whole yet.

    Raises:
        NotTLS: there is something else, or more than any ClientHello needs.
    """
    message, at = bytearray(), 0
    if data[:1] not in (b"", bytes([ContentType.HANDSHAKE])) or len(data) > MAX_HELLO:
        raise NotTLS
    while len(data) >= at + HEADER_SIZE:
        if data[at] != ContentType.HANDSHAKE:
            raise NotTLS
        end = at + HEADER_SIZE + int.from_bytes(data[at + 3 : at + HEADER_SIZE], "big")
        message += data[at + HEADER_SIZE : end]
        if len(message) >= 4:
            if message[0] != HandshakeType.CLIENT_HELLO:
                raise NotTLS
            whole = 4 + int.from_bytes(message[1:4], "big")
            if len(message) >= whole:
                return bytes(message[:whole])
        at = end
    return None


def alert_record(alert: AlertDescription) -> bytes:
    """Return a fatal alert in plaintext."""
    return bytes([ContentType.ALERT, 3, 3, 0, 2, AlertLevel.FATAL, alert])


def flipped(data: bytes) -> bytes:
    """Return `data` with another last bit."""
    return data[:-1] + bytes([data[-1] ^ 1])


def wrong_finished(message: Any) -> Any:
    """Return a Finished with another last bit."""
    return replace(message, verify_data=flipped(message.verify_data))


def wrong_signature(message: Any) -> Any:
    """Return a CertificateVerify or ServerKeyExchange with another last bit in the signature."""
    return replace(message, signature=flipped(message.signature))


def server13(fault: str, chain: Chain, hello: ClientHello) -> ScriptedServer | None:
    """Return the server of TLS 1.3 with this fault; None if it shares nothing with the client."""
    if _code(chain.credentials.schemes[0]) not in _schemes(hello):
        return None  # It signs with this one.
    suite = next((code for code in hello.cipher_suites if code in CIPHER_SUITES_BY_CODE), None)
    groups = _groups(hello)
    known = [code for code in groups if code in GROUPS_BY_CODE]
    if suite is None or not known:
        return None
    deviations: dict[str, Any] = {"certificate": _stapling(chain, hello)}
    deviations |= _DEVIATIONS13.get(fault, {})
    if fault == "wrong-group":
        deviations["server_hello"] = _with_share_of(_first_unoffered(_WRONG_GROUPS, groups))
    shares = ext.read_key_share_client_hello(hello.extensions[ExtensionType.KEY_SHARE])
    has_share = any(share.group in GROUPS_BY_CODE for share in shares)
    return ScriptedServer(
        chain.credentials,
        CIPHER_SUITES_BY_CODE[suite].name,
        retry=None if has_share else GROUPS_BY_CODE[known[0]].name,
        **deviations,
    )


def server12(fault: str, chain: Chain, hello: ClientHello) -> ScriptedServer12 | None:
    """Return the server of TLS 1.2 with this fault; None if it shares nothing with the client."""
    ours = {_code(name) for name in chain.credentials.schemes}
    scheme = next((each for each in _schemes(hello) if each in ours), None)
    suites = [CIPHER_SUITES12_BY_CODE.get(each) for each in hello.cipher_suites]
    kind = "RSA" if any(name.startswith("rsa") for name in chain.credentials.schemes) else "ECDSA"
    fitting = (
        each
        for each in suites
        if each is not None and each.key_exchange == "ECDHE" and each.authentication == kind
    )
    suite = next(fitting, None)
    groups = _groups(hello)
    group = next((each for each in groups if _is_for_tls12(each)), None)
    if scheme is None or suite is None or group is None:
        return None
    # RFC 8422 section 5.1: such a client cannot read a key on the curve of the certificate.
    if kind == "ECDSA" and GROUPS["secp256r1"].code not in groups:
        return None
    asks = ExtensionType.STATUS_REQUEST in hello.extensions
    return _Server12(
        chain.credentials,
        suite.name,
        group=GROUPS_BY_CODE[group].name,
        scheme=SIGNATURE_SCHEMES_BY_CODE[scheme].name,
        staple=chain.staple if asks else None,
        extended=ExtensionType.EXTENDED_MASTER_SECRET in hello.extensions,
        named_group=_first_unoffered(_WRONG_GROUPS12, groups) if fault == "wrong-group" else group,
        **_DEVIATIONS12.get(fault, {}),
    )


class _Server12(ScriptedServer12):
    """Names any group for its key exchange, and answers no signal that the client has not sent."""

    def __init__(self, credentials: Credentials, suite: str, *, named_group: int, **script: Any):
        super().__init__(credentials, suite, **script)
        self.named_group = named_group

    def server_hello(self) -> Any:
        message = super().server_hello()
        hello, signal = self.client_hello, ExtensionType.RENEGOTIATION_INFO
        if signal in hello.extensions or _RENEGOTIATION_SCSV in hello.cipher_suites:
            return message
        return without_extension(signal)(message)

    def server_key_exchange(self) -> Any:
        return self.signed_key_exchange(
            self.named_group, self.share.share, self.randoms, self.scheme
        )


_RENEGOTIATION_SCSV = 0x00FF


def _is_for_tls12(code: int) -> bool:
    return code in GROUPS_BY_CODE and "TLSv1.2" in GROUPS_BY_CODE[code].versions


def _versions(hello: ClientHello) -> set[str]:
    names = {TLS13: "TLSv1.3", TLS12: "TLSv1.2"}
    data = hello.extensions.get(ExtensionType.SUPPORTED_VERSIONS)
    numbers = ext.read_supported_versions(data) if data is not None else (hello.legacy_version,)
    return {names[number] for number in numbers if number in names}


def _code(scheme: str) -> int:
    return SIGNATURE_SCHEMES[scheme].code


def _schemes(hello: ClientHello) -> tuple[int, ...]:
    data = hello.extensions.get(ExtensionType.SIGNATURE_ALGORITHMS)
    return tuple(ext.read_signature_algorithms(data)) if data is not None else ()


def _groups(hello: ClientHello) -> tuple[int, ...]:
    data = hello.extensions.get(ExtensionType.SUPPORTED_GROUPS)
    return ext.read_supported_groups(data) if data is not None else ()


def _first_unoffered(codes: Sequence[int], offered: Sequence[int]) -> int:
    return next((code for code in codes if code not in offered), codes[-1])


def _with_share_of(group: int) -> Callable[[ServerHello], ServerHello]:
    exchange = GROUPS_BY_CODE[group].exchange if group in GROUPS_BY_CODE else None
    share = exchange.generate(os.urandom).share if exchange is not None else os.urandom(256)
    entry = ext.KeyShareEntry(group, share)
    return with_extension(ExtensionType.KEY_SHARE, ext.write_key_share_server_hello(entry))


def _stapling(chain: Chain, hello: ClientHello) -> Deviation:
    def change(message: Certificate) -> Certificate:
        if chain.staple is None or ExtensionType.STATUS_REQUEST not in hello.extensions:
            return message
        first, *others = message.certificate_list
        extension = ext.write_certificate_status(chain.staple)
        first = replace(first, extensions={int(ExtensionType.STATUS_REQUEST): extension})
        return replace(message, certificate_list=(first, *others))

    return change


def _with_sentinel(message: Any) -> Any:
    return replace(message, random=message.random[: -len(_SENTINEL)] + _SENTINEL)


_ANSWERS: dict[str, bytes] = {
    "no-shared-suite": alert_record(AlertDescription.HANDSHAKE_FAILURE),
    "oversized-record": OVERSIZED_RECORD,
    "garbage": GARBAGE,
}
"""The faults of servers that send these bytes instead of a handshake."""

_DEVIATIONS13: dict[str, dict[str, Any]] = {
    "bad-signature": {"certificate_verify": wrong_signature},
    "bad-finished": {"finished": wrong_finished},
    "unknown-extension": {"encrypted_extensions": with_extension(UNKNOWN_EXTENSION, b"")},
    "wrong-suite": {"server_hello": changed(cipher_suite=_UNOFFERED_SUITE13)},
}

_DEVIATIONS12: dict[str, dict[str, Any]] = {
    "bad-signature": {"server_key_exchange": wrong_signature},
    "bad-finished": {"finished": wrong_finished},
    "unknown-extension": {"server_hello": with_extension(UNKNOWN_EXTENSION, b"")},
    "wrong-suite": {"server_hello": changed(cipher_suite=_UNOFFERED_SUITE12)},
    "downgrade": {"server_hello": _with_sentinel},
}
