"""Faulty clients without a socket: the scripts for one connection each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from handclasp.crypto.suites import CIPHER_SUITES12
from handclasp.iana import ContentType, ExtensionType, HandshakeType
from handclasp.testing.catalogue import PeerFault, alert_number
from handclasp.testing.chains import Chain
from handclasp.testing.deviations import changed
from handclasp.testing.scripted import ScriptedClient, ScriptedPeer
from handclasp.testing.scripted12 import CLOSING, ECDSA_SUITE, RSA_SUITE, ScriptedClient12
from handclasp.testing.servers import (
    GARBAGE,
    OVERSIZED_RECORD,
    alert_record,
    wrong_finished,
    wrong_signature,
)
from handclasp.wire import extensions as ext
from handclasp.wire.codecs import write_message
from handclasp.wire.messages import KeyUpdate

_CCM_8_SUITE = 0x1305


class Client(ScriptedClient):
    """A client of TLS 1.3 that sends a certificate only if it is asked for one.

    Attributes:
        asked: whether the server has asked for a certificate.
    """

    asked = False

    def receive(self, raw: bytes) -> None:
        """Note a CertificateRequest, and follow the flight."""
        if raw[0] == HandshakeType.CERTIFICATE_REQUEST and not self.established:
            self.asked = True
        if raw[0] == HandshakeType.FINISHED:
            with_proof = ("certificate", "certificate_verify", "finished")
            without = ("certificate", "finished")
            asked = with_proof if self.credentials is not None else without
            self.order = asked if self.asked else ("finished",)
        # Tickets and the like are no part of the script.
        if not self.established:
            super().receive(raw)


class Client12(ScriptedClient12):
    """A client of TLS 1.2 that sends a certificate only if it is asked for one."""

    asked = False

    def receive(self, raw: bytes) -> None:
        """Note a CertificateRequest, and follow the flight."""
        if raw[0] == HandshakeType.CERTIFICATE_REQUEST:
            self.asked = True
        if raw[0] == HandshakeType.SERVER_HELLO_DONE and not self.asked:
            self.order = ("client_key_exchange", *CLOSING)
        if not self.established:
            super().receive(raw)


def needs_certificate(fault: PeerFault) -> bool:
    """Return whether a server sees the fault only if it asks for a certificate."""
    return fault.kind == "certificate" or "certificate_verify" in _DEVIATIONS.get(fault.name, {})


def client_peer(fault: PeerFault, chain: Chain, server_name: str) -> ScriptedPeer:
    """Return a client with this fault, whose ClientHello is queued already."""
    names: dict[int, bytes] = {}
    if server_name:
        names[ExtensionType.SERVER_NAME] = ext.write_server_name(server_name)
    if fault.versions == ("TLSv1.2",):
        suites = tuple(CIPHER_SUITES12[name].code for name in (ECDSA_SUITE, RSA_SUITE))
        return Client12(
            credentials=chain.credentials,
            extensions=names,
            first_hello=changed(cipher_suites=suites),
        )
    credentials = None if fault.name == "no-certificate" else chain.credentials
    deviations: dict[str, Any] = _DEVIATIONS.get(fault.name, {})
    return Client(credentials=credentials, extensions=names, **deviations)


def opening(fault: PeerFault, hello: bytes) -> bytes:
    """Return the first bytes of a client with this fault, whose right ones are `hello`."""
    alert = alert_number(fault)
    if alert is not None:
        return hello + alert_record(alert)
    return _OPENINGS.get(fault.name, _unchanged)(hello)


def after_handshake(fault: PeerFault, peer: ScriptedPeer) -> bool:
    """Queue what follows the handshake with this fault; return whether there is more of it."""
    if fault.name == "key-update-storm" and isinstance(peer, ScriptedClient):
        peer.update_keys(write_message(KeyUpdate(False)))
        return True
    if isinstance(peer, Client | Client12) and fault.name.startswith("renegotiation"):
        peer.send_record(ContentType.HANDSHAKE, write_message(peer.first_hello()))
    return False


def _unchanged(hello: bytes) -> bytes:
    return hello


_OPENINGS: dict[str, Callable[[bytes], bytes]] = {
    "oversized-record": lambda _: OVERSIZED_RECORD,
    "garbage": lambda _: GARBAGE,
    "truncated-handshake": lambda hello: hello[: len(hello) // 2],
    "silent": lambda _: b"",
}

_DEVIATIONS: dict[str, dict[str, Any]] = {
    "bad-finished": {"finished": wrong_finished},
    "bad-certificate-verify": {"certificate_verify": wrong_signature},
    "no-shared-suite": {"first_hello": changed(cipher_suites=(_CCM_8_SUITE,))},
}
