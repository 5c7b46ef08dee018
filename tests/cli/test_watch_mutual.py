"""Mutual TLS between programs of OpenSSL that fails, as `watch` tells it: the cause, and who."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.capture.relaying import RelayThread, plain_server
from tests.pki import Authority, Leaf, Pki, key_of_type, key_pem, pem_of

from handclasp.capture.secrets import KeyLog
from handclasp.capture.stream import Address
from handclasp.capture.watching import sighting_of
from handclasp.cli.sightings import Report
from handclasp.trace.events import AlertSeen

KEY = key_of_type("ecdsa-p256")
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
NOW = datetime.now(UTC)


class Bench:
    """The files of both ends, and the settings of each before the handshake."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.pki = Pki()
        self.ca = self._written("ca.pem", self.pki.ca_pem)
        leaf = self.pki.issue(Leaf(["localhost"]), KEY.public_key())
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server_certificate(leaf)
        self.server.load_verify_locations(self.ca)
        self.server.verify_mode = ssl.CERT_REQUIRED
        self.client = ssl.create_default_context(cafile=self.ca)
        self.client.verify_flags &= ~ssl.VERIFY_X509_STRICT
        self.keylog = directory / "keys.log"
        self.client.keylog_filename = str(self.keylog)

    def server_certificate(self, leaf: x509.Certificate) -> None:
        """Let the server show this certificate alone."""
        self.server.load_cert_chain(self._written("server.pem", pem_of(leaf) + key_pem(KEY)))

    def client_certificate(self, issuer: Authority | None = None, **leaf: Any) -> None:
        """Give the client a certificate, without those of intermediate authorities."""
        settings = {"common_name": "client", "purpose": CLIENT, **leaf}
        certificate = (issuer or self.pki).issue(Leaf((), **settings), KEY.public_key())
        path = self._written("client.pem", pem_of(certificate) + key_pem(KEY))
        self.client.load_cert_chain(path)

    def other_ca(self) -> str:
        """Return the file of another authority."""
        return self._written("other.pem", Pki().intermediate("other").pem)

    def revoke_all(self) -> None:
        """Let the server check a list that has the client's certificate."""
        self.client_certificate(serial_number=4711)
        crl = self.pki.crl(revoked=[4711]).public_bytes(Encoding.PEM)
        self.server.load_verify_locations(self._written("list.pem", crl))
        self.server.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF

    def watched(self, request: bytes = b"") -> Report:
        """Let the two talk through the relay."""

        def serve(sock: socket.socket) -> None:
            with suppress(OSError), self.server.wrap_socket(sock, server_side=True) as tls:
                tls.sendall(b"an answer that is longer than an alert, and by far")
                tls.recv(100)

        with (
            plain_server(serve) as port,
            RelayThread(Address("127.0.0.1", port)) as relay,
            relay.connect() as sock,
            suppress(OSError),
            self.client.wrap_socket(sock, server_hostname="localhost") as tls,
        ):
            tls.recv(100)
            tls.sendall(request)
        secrets = KeyLog()
        secrets.add(self.keylog.read_bytes())
        [relayed] = relay.ended
        sighting = sighting_of(relayed, relayed.stream(), secrets, is_final=True)
        return Report(sighting, self.pki.trust)

    def _written(self, name: str, data: bytes) -> str:
        path = self.directory / name
        path.write_bytes(data)
        return str(path)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS, ids=lambda each: each.name)
def test_mutual_tls_that_works(bench: Bench, version: ssl.TLSVersion) -> None:
    bench.server.maximum_version = version
    bench.client_certificate()
    told = bench.watched().to_json()
    assert told["failure"] is None
    assert told["client_certificate"] == "shown"
    assert told["outcome"] == "complete"


def nothing(bench: Bench) -> None:
    """The client has no certificate."""


def of_another_authority(bench: Bench) -> None:
    bench.client_certificate(Pki())


def expired(bench: Bench) -> None:
    bench.client_certificate(not_before=NOW - timedelta(9), not_after=NOW - timedelta(1))


def not_yet_valid(bench: Bench) -> None:
    bench.client_certificate(not_before=NOW + timedelta(1), not_after=NOW + timedelta(9))


def for_servers(bench: Bench) -> None:
    bench.client_certificate(purpose=ExtendedKeyUsageOID.SERVER_AUTH)


def without_its_intermediate(bench: Bench) -> None:
    bench.client_certificate(bench.pki.intermediate("lower"))


def revoked(bench: Bench) -> None:
    bench.revoke_all()


REASONS: list[tuple[Callable[[Bench], None], str, str]] = [
    (nothing, "certificate_required", "has sent none"),
    (of_another_authority, "unknown_ca", "authority"),
    (expired, "certificate_expired", "expired"),
    (not_yet_valid, "bad_certificate", "valid"),
    (for_servers, "unsupported_certificate", "server"),
    (without_its_intermediate, "unknown_ca", "intermediate"),
    (revoked, "certificate_revoked", "revoked"),
]


@pytest.mark.parametrize(
    ("spoil", "alert", "words"), REASONS, ids=[each[0].__name__ for each in REASONS]
)
@pytest.mark.parametrize("version", VERSIONS, ids=lambda each: each.name)
def test_a_client_that_is_refused(
    bench: Bench,
    version: ssl.TLSVersion,
    spoil: Callable[[Bench], None],
    alert: str,
    words: str,
) -> None:
    bench.server.maximum_version = version
    spoil(bench)
    told = bench.watched().to_json()
    assert told["chain"] == []  # It is that of the server, which the client has accepted.
    failure = told["failure"]
    if alert == "certificate_required" and version == ssl.TLSVersion.TLSv1_2:
        alert = "handshake_failure"
    assert failure["alert"] == alert
    assert (failure["seen_from"], failure["from"]) == ("client", "peer")
    assert words in failure["cause"]
    # That a server does not know an issuer can be its own fault, and the text says when.
    assert failure["blame"] == ("unclear" if alert == "unknown_ca" else "client")
    if alert == "unknown_ca":
        assert failure["condition"].startswith("the server, if CN=")
        assert failure["condition"].endswith("that it is meant to trust; else the client")
    # In TLS 1.3 the client has completed its handshake before the server refuses it.
    assert failure["after_handshake"] is (version == ssl.TLSVersion.TLSv1_3)


def test_a_close_without_close_notify_is_no_failure(bench: Bench) -> None:
    """OpenSSL answers it by the alert decode_error, which the client never reads."""
    bench.client_certificate()
    # Python before 3.11.3 sets it, and OpenSSL then takes the end for a close, and sends no alert.
    bench.server.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    report = bench.watched()
    assert any(isinstance(each, AlertSeen) for each in report.events)
    assert report.to_json()["failure"] is None


def test_a_client_that_does_not_know_the_authority(bench: Bench) -> None:
    """The authorities of `watch` show that the chain is complete."""
    bench.client = ssl.create_default_context(cafile=bench.other_ca())
    bench.client.keylog_filename = str(bench.keylog)
    told = bench.watched().to_json()
    assert told["failure"]["alert"] == "unknown_ca"
    assert told["failure"]["seen_from"] == "server"
    assert told["failure"]["blame"] == "client"
    assert "complete and valid" in told["failure"]["condition"]
    # OpenSSL sends the root, too, as it finds it among the authorities of the server.
    assert "CN=test root is not needed" in told["chain"][0]
    assert "which the client has itself or does not trust" in told["chain"][0]


def test_a_server_that_does_not_send_its_intermediate(bench: Bench) -> None:
    lower = bench.pki.intermediate("lower")
    bench.server_certificate(lower.issue(Leaf(["localhost"]), KEY.public_key()))
    told = bench.watched().to_json()
    assert told["failure"]["alert"] == "unknown_ca"
    # The same verdict as of the client itself, which knows no more.
    assert told["failure"]["blame"] == "unclear"
    condition = "the client, if CN=lower is a root that it is meant to trust; else the server"
    assert told["failure"]["condition"] == condition
    assert "CN=lower" in told["chain"][0]


def test_nothing_is_missing_in_a_chain_that_the_client_accepted(bench: Bench) -> None:
    """Its root is not known to `watch`, as without --ca."""
    bench.client_certificate()
    report = Report(bench.watched(b"a request").sighting, Pki().trust)
    assert report.explanation is not None
    assert not report.explanation.accepted
    assert not any("missing" in each for each in report.chain_findings)
    # The server refuses the client, and not the client the server.
    of_another_authority(bench)
    report = Report(bench.watched(b"a request").sighting, Pki().trust)
    assert report.sighting.has_failed
    assert not any("missing" in each for each in report.chain_findings)


def test_a_client_that_leaves_after_its_handshake(bench: Bench) -> None:
    bench.client_certificate()
    told = bench.watched().to_json()
    assert "after its handshake, without data, and without an alert" in told["notes"][0]
    assert "Perhaps it refused the server's certificate only then" in told["notes"][0]
    assert told["suspicion"] is None


@pytest.mark.parametrize("with_keys", [True, False])
@pytest.mark.parametrize("version", VERSIONS, ids=lambda each: each.name)
def test_a_client_that_leaves_a_server_with_another_name(
    bench: Bench, version: ssl.TLSVersion, with_keys: bool
) -> None:
    """As curl does, which compares the name after the handshake, and sends close_notify."""
    bench.server.maximum_version = version
    bench.server_certificate(bench.pki.issue(Leaf(["other.example"]), KEY.public_key()))
    bench.client_certificate()
    bench.client.check_hostname = False
    if not with_keys:
        bench.client = ssl.create_default_context(cafile=bench.ca)
        bench.client.verify_flags &= ~ssl.VERIFY_X509_STRICT
        bench.client.check_hostname = False
        bench.client_certificate()
        bench.keylog.write_bytes(b"")
    report = bench.watched()
    told = report.to_json()
    if version == ssl.TLSVersion.TLSv1_3 and not with_keys:
        assert told["suspicion"] is None  # Neither its certificate nor the end can be seen.
        return
    [note] = told["notes"]
    assert note.startswith("The client left ")
    assert "without an alert that gives a reason" in note
    assert "it is for other.example, not for localhost. Perhaps the client refused it" in note
    assert told["failure"] is None
    assert told["suspicion"]["fault"] == "CERTIFICATE_NAME_MISMATCH"
    assert told["suspicion"]["blame"] == "server"
    lines = report.lines()
    assert ("at fault", "if so: the server, unless it is meant to be reached by another name") in (
        lines
    )
    assert any(value.startswith("On the client: Connect by") for _, value in lines)
    assert bench.watched(b"a request").to_json()["suspicion"] is None


def test_a_client_that_talks_is_not_noted(bench: Bench) -> None:
    bench.client_certificate()
    told = bench.watched(b"a request").to_json()
    assert told["outcome"] == "complete"
    assert told["notes"] == []
