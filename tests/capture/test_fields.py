"""tshark's dissector and our codec find the same bytes in the same fields.

Each field of Wireshark's that stands for one of the RFC's is held against ours, value by value and
byte by byte, over captures of our own connections and of other programs'.
"""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.capture.captures import CAPTURES, CHROMIUM, Taken, between
from tests.pki import Pki
from tests.required import need_tool

from handclasp.capture.observe import Observation, observe
from handclasp.capture.secrets import KeyLog, secrets_inside
from handclasp.capture.tshark import conversations, stream_of
from handclasp.story.fields import Field, fields_of
from handclasp.trace.events import HandshakeResult, MessageSeen

pytestmark = [pytest.mark.capture, pytest.mark.timeout(180)]

# Wireshark's name, and the ends of the paths that we give to the same fields.
SAME: dict[str, tuple[str, ...]] = {
    "tls.handshake.type": ("^/msg_type",),
    "tls.handshake.length": ("^/length",),
    "tls.handshake.version": ("/legacy_version", "ServerHello/server_version"),
    "tls.handshake.random": ("Hello/random", "HelloRetryRequest/random"),
    "tls.handshake.session_id_length": (
        "/legacy_session_id/length",
        "/legacy_session_id_echo/length",
    ),
    "tls.handshake.session_id": ("/legacy_session_id/content", "/legacy_session_id_echo/content"),
    "tls.handshake.cipher_suites_length": ("/ClientHello/cipher_suites/length",),
    "tls.handshake.ciphersuite": ("/CipherSuite", "^/cipher_suite"),
    "tls.handshake.comp_methods_length": ("/legacy_compression_methods/length",),
    "tls.handshake.comp_method": (
        "/legacy_compression_methods/content",
        "/legacy_compression_method",
    ),
    "tls.handshake.extensions_length": ("/extensions/length",),
    "tls.handshake.extension.type": ("/extension_type",),
    "tls.handshake.extension.len": ("/extension_data/length",),
    "tls.handshake.extensions_server_name_list_len": ("/server_name_list/length",),
    "tls.handshake.extensions_server_name_type": ("/name_type",),
    "tls.handshake.extensions_server_name_len": ("/host_name/length",),
    "tls.handshake.extensions_server_name": ("/host_name/content",),
    "tls.handshake.extensions_supported_groups_length": ("/named_group_list/length",),
    "tls.handshake.extensions_supported_group": ("/named_group_list/NamedGroup",),
    "tls.handshake.sig_hash_alg_len": ("/supported_signature_algorithms/length",),
    "tls.handshake.sig_hash_alg": (
        "/SignatureScheme",
        "CertificateVerify/algorithm",
        "ServerKeyExchange/algorithm",
    ),
    "tls.handshake.extensions_status_request_type": ("/status_type",),
    "tls.handshake.extensions_status_request_responder_ids_len": ("/responder_id_list/length",),
    "tls.handshake.extensions_status_request_exts_len": ("/request_extensions/length",),
    "tls.handshake.extensions_alpn_len": ("/protocol_name_list/length",),
    "tls.handshake.extensions_alpn_str_len": ("/protocol_name/length",),
    "tls.handshake.extensions_alpn_str": ("/protocol_name/content",),
    "tls.compress_certificate.algorithms_length": ("/algorithms/length",),
    "tls.compress_certificate.algorithm": (
        "/CertificateCompressionAlgorithm",
        "CompressedCertificate/algorithm",
    ),
    "tls.compress_certificate.uncompressed_length": ("/uncompressed_length",),
    "tls.compress_certificate.compressed_certificate_message.length": (
        "/compressed_certificate_message/length",
    ),
    "tls.compress_certificate.compressed_certificate_message": (
        "/compressed_certificate_message/content",
    ),
    "tls.handshake.extensions.supported_versions_len": ("/versions/length",),
    "tls.handshake.extensions.supported_version": ("/ProtocolVersion", "/selected_version"),
    "tls.handshake.extensions_key_share_client_length": ("/client_shares/length",),
    "tls.handshake.extensions_key_share_group": (
        "/KeyShareEntry/group",
        "key_share/extension_data/group",
    ),
    "tls.handshake.extensions_key_share_selected_group": ("/selected_group",),
    "tls.handshake.extensions_key_share_key_exchange_length": ("/key_exchange/length",),
    "tls.handshake.extensions_key_share_key_exchange": ("/key_exchange/content",),
    "tls.extension.psk_ke_modes_length": ("/ke_modes/length",),
    "tls.extension.psk_ke_mode": ("/ke_modes/content",),
    "tls.handshake.extensions.psk.identities.length": ("/identities/length",),
    "tls.handshake.extensions.psk.identity.identity_length": ("/identity/length",),
    "tls.handshake.extensions.psk.identity.identity": ("/identity/content",),
    "tls.handshake.extensions.psk.identity.obfuscated_ticket_age": ("/obfuscated_ticket_age",),
    "tls.handshake.extensions.psk.binders_len": ("/binders/length",),
    "tls.handshake.extensions.psk.identity.selected": ("/selected_identity",),
    "tls.early_data.max_early_data_size": ("/max_early_data_size",),
    "tls.handshake.extensions_ec_point_formats_length": ("/ec_point_format_list/length",),
    "tls.handshake.extensions_ec_point_format": ("/ec_point_format_list/content",),
    "tls.handshake.extensions_reneg_info_len": ("/renegotiated_connection/length",),
    "tls.record_size_limit": ("/extension_data/record_size_limit",),
    "tls.handshake.certificate_request_context_length": ("/certificate_request_context/length",),
    "tls.handshake.certificates_length": ("/certificate_list/length",),
    "tls.handshake.certificate_length": ("/cert_data/length", "/ASN.1Cert/length"),
    "tls.handshake.certificate": ("/cert_data/content", "/ASN.1Cert/content"),
    "tls.handshake.cert_types_count": ("/certificate_types/length",),
    "tls.handshake.dnames_len": ("/certificate_authorities/length", "/authorities/length"),
    "tls.handshake.dname_len": ("/DistinguishedName/length",),
    "tls.handshake.server_curve_type": ("/curve_type",),
    "tls.handshake.server_named_curve": ("/namedcurve",),
    "tls.handshake.server_point_len": ("ServerKeyExchange/point/length",),
    "tls.handshake.server_point": ("ServerKeyExchange/point/content",),
    "tls.handshake.sig_len": ("ServerKeyExchange/signature/length",),
    "tls.handshake.sig": ("ServerKeyExchange/signature/content",),
    "tls.handshake.client_point_len": ("/ecdh_Yc/length",),
    "tls.handshake.client_point": ("/ecdh_Yc/content",),
    "tls.handshake.client_cert_vrfy.sig_len": ("CertificateVerify/signature/length",),
    "tls.handshake.client_cert_vrfy.sig": ("CertificateVerify/signature/content",),
    "tls.handshake.verify_data": ("Finished/verify_data",),
    "tls.handshake.session_ticket_lifetime_hint": (
        "/ticket_lifetime",
        "/ticket_lifetime_hint",
    ),
    "tls.handshake.session_ticket_age_add": ("/ticket_age_add",),
    "tls.handshake.session_ticket_nonce_length": ("/ticket_nonce/length",),
    "tls.handshake.session_ticket_nonce": ("/ticket_nonce/content",),
    "tls.handshake.session_ticket_length": ("NewSessionTicket/ticket/length",),
    "tls.handshake.session_ticket": ("NewSessionTicket/ticket/content",),
    "tls.handshake.key_update.request_update": ("/request_update",),
}

# Lists of single bytes, which we keep as one value.
IN_ONE = {"tls.handshake.extensions_ec_point_format", "tls.extension.psk_ke_mode"}

# Wireshark opens a compressed certificate on the spot, and shows what is in it among the rest.
NOT_IF_COMPRESSED = {
    "tls.handshake.certificate_request_context_length",
    "tls.handshake.certificates_length",
    "tls.handshake.certificate_length",
    "tls.handshake.certificate",
    "tls.handshake.extensions_length",
}


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


def observed(taken: Taken) -> tuple[int, Observation]:
    """The first TLS connection of a capture: its number, and what we make of it."""
    keylog = KeyLog()
    for inside in secrets_inside(taken.path.read_bytes()):
        keylog.add(inside)
    if taken.keylog is not None:
        keylog.add(taken.keylog.read_bytes())
    for found in conversations(taken.path):
        stream = stream_of(taken.path, found)
        if stream.starts_of_hello() is not None:
            return found.number, observe(stream, keylog)
    raise AssertionError("there is no TLS in the capture")


def ours(observation: Observation) -> list[tuple[str, str]]:
    """Path and bytes of every field of every message, in the order of the wire."""

    def walk(raw: bytes, told: Field, path: str) -> Iterator[tuple[str, str]]:
        here = f"{path}/{told.name}"
        yield here, raw[told.start : told.end].hex()
        for part in told.parts:
            yield from walk(raw, part, here)

    return [
        pair
        for event in observation.events
        if isinstance(event, MessageSeen)
        for pair in walk(event.raw, fields_of(event.raw, event.epoch), "")
    ]


def matches(path: str, end: str) -> bool:
    """Whether a path ends so; "^/x" is the field x of a message itself."""
    if end.startswith("^"):
        return path.count("/") == 2 and path.endswith(end[1:])
    return path.endswith(end)


def theirs(taken: Taken, number: int) -> dict[str, list[str]]:
    """The bytes of every field of Wireshark's in a connection, in the order of the wire."""
    command = [need_tool("tshark"), "-n", "-r", str(taken.path), "-T", "json", "-x", "-J", "tls"]
    command += ["--no-duplicate-keys", "-Y", f"tls.handshake and tcp.stream == {number}"]
    command += ["-o", "tls.desegment_ssl_records:TRUE"]
    if taken.keylog is not None:
        command += ["-o", f"tls.keylog_file:{taken.keylog}"]
    if taken.path.name != "recorded.pcapng":
        for found in conversations(taken.path):
            command += ["-d", f"tcp.port=={found.ends[1].port},tls"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    values: dict[str, list[str]] = defaultdict(list)

    def walk(node: Any) -> None:
        if isinstance(node, list):
            for item in node:
                walk(item)
        elif isinstance(node, dict):
            for name, inside in node.items():
                if name.endswith("_raw"):
                    each = inside if isinstance(inside[0], list) else [inside]
                    values[name.removesuffix("_raw")] += [entry[0] for entry in each]
                else:
                    walk(inside)

    for packet in json.loads(done.stdout):
        walk(packet["_source"]["layers"])
    return values


AGREED: dict[str, set[str]] = defaultdict(set)
"""By field, the captures in which both found the same."""


@pytest.mark.parametrize("name", CAPTURES)
def test_both_find_the_same_bytes(name: str, pki: Pki, tmp_path: Path) -> None:
    taken = CAPTURES[name](pki, tmp_path)
    number, observation = observed(taken)
    assert observation.missing == ()
    assert any(isinstance(event, HandshakeResult) for event in observation.events)
    mine, found = ours(observation), theirs(taken, number)
    compressed = any(path.startswith("/CompressedCertificate") for path, _ in mine)
    wrong = {}
    for field, ends in SAME.items():
        if field in found and not (compressed and field in NOT_IF_COMPRESSED):
            here = [octets for path, octets in mine if any(matches(path, end) for end in ends)]
            if field in IN_ONE:
                agreed = "".join(here) == "".join(found[field])
            else:
                agreed = [octets for octets in here if octets] == [o for o in found[field] if o]
            if agreed:
                AGREED[field].add(name)
            else:
                wrong[field] = (found[field], here)
    assert wrong == {}
    assert len([field for field in AGREED if name in AGREED[field]]) > 25


def test_that_was_enough() -> None:
    """Runs after those above: at least 50 fields, over at least ten captures."""
    captures = set().union(*AGREED.values())
    if len(captures) < len(CAPTURES):
        pytest.skip("not all captures were taken in this run")
    assert len(captures) >= 10
    assert len(AGREED) >= 50, sorted(AGREED)


@pytest.mark.browser
def test_chromium(pki: Pki, tmp_path: Path) -> None:
    """A browser's connection, read beside it: with GREASE, ML-KEM and whatever else it sends."""
    taken = between(CHROMIUM)(pki, tmp_path)
    _, observation = observed(taken)
    assert observation.server_name == "localhost"
    settled = [event for event in observation.events if isinstance(event, HandshakeResult)]
    assert settled[0].info.version == "TLSv1.3"
    assert observation.missing == ()
