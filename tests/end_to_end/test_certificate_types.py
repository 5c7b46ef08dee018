"""Two ends that share no certificate type are told so, with advice for the end that can act."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from tests.capture.test_observe import make_captured
from tests.pki import Pki, key_of_type, key_pem

from handclasp import ClientAuth, ClientConfig, Credentials, ServerConfig, TLSError
from handclasp.advice import worded
from handclasp.alerts import Situation, likely_causes
from handclasp.capture.observe import observe
from handclasp.capture.secrets import KeyLog
from handclasp.errors import ProtocolError
from handclasp.handshake.certificate_types import read_selected_types
from handclasp.iana import AlertDescription
from handclasp.story.diagnosis import diagnose

KEY = key_of_type("ecdsa-p256")


@pytest.fixture(scope="session")
def pki() -> Pki:
    return Pki()


def public_key(key: Any = KEY) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    data = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return bytes(data)


def raw() -> Credentials:
    return Credentials.raw_public_key(key_pem(KEY))


def failures(client: ClientConfig, server: ServerConfig) -> tuple[TLSError, TLSError, Any]:
    """What the client and the server say, and what the two were overheard to say."""
    heard = make_captured(client, server)
    heard._say(0, bytes(heard.client.data_to_send()))
    with pytest.raises(TLSError) as of_server:
        heard.server.receive_data(b"".join(piece.data for piece in heard.pieces))
    answer = bytes(heard.server.data_to_send())
    heard._say(1, answer)
    with pytest.raises(TLSError) as of_client:
        heard.client.receive_data(answer)
    return of_client.value, of_server.value, heard


@pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])
def test_a_client_that_expects_a_raw_key_of_a_server_with_a_certificate(
    version: str, pki: Pki
) -> None:
    client = ClientConfig(raw_public_keys=[public_key()], versions=[version])
    theirs, ours, heard = failures(client, ServerConfig(credentials=pki.server()))
    assert "The server has no raw public key" in theirs.explanation
    assert "extended key usage" not in str(theirs)
    assert (theirs.blame, ours.blame) == ("local", "peer")
    assert "On this end: Trust the server's certificate instead (--ca FILE)." in worded(
        theirs.fix, "connect"
    )
    told = worded(ours.fix, "serve")
    assert "On the other end: Trust the certificate of this server" in told
    assert "On this end" not in told  # There is no option for that.
    assert "not trusted" not in heard.notes.to_html("a page")
    # And the same of a capture.
    diagnosis = diagnose(observe(heard.stream, KeyLog()).events)
    assert diagnosis is not None
    assert diagnosis.cause == theirs.explanation
    assert diagnosis.evidence[-1].what.startswith("server_certificate_type")


@pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])
def test_a_client_that_expects_a_certificate_of_a_server_with_a_raw_key(
    version: str, pki: Pki
) -> None:
    client = ClientConfig(trust=pki.trust, versions=[version])
    theirs, ours, heard = failures(client, ServerConfig(credentials=raw()))
    assert "only a raw public key" in theirs.explanation
    assert "Expect the server's raw public key" in worded(theirs.fix, "connect")
    assert "(--raw-public-key FILE)" in worded(theirs.fix, "connect")
    assert "Give this server a certificate as well (--cert FILE --key FILE)" in worded(
        ours.fix, "serve"
    )
    assert "not trusted" not in heard.notes.to_html("a page")


def test_a_client_that_can_show_what_a_server_does_not_take(pki: Pki) -> None:
    client = ClientConfig(trust=pki.trust, credentials=raw())
    server = ServerConfig(
        credentials=pki.server(), client_auth=ClientAuth.REQUIRED, trust=pki.trust
    )
    theirs, ours, _ = failures(client, server)
    assert "offers to authenticate with a raw public key" in theirs.explanation
    assert "--cert FILE --key FILE" in worded(theirs.fix, "connect")
    assert "Show a certificate of an authority that this server trusts" in ours.fix


def test_a_server_that_knows_nothing_of_raw_keys() -> None:
    """As OpenSSL before 3.2 shows its certificate all the same."""
    with pytest.raises(ProtocolError) as caught:
        read_selected_types({}, ClientConfig(raw_public_keys=[public_key()]), resumes=False)
    told = worded(caught.value.fix, "connect")
    assert "On the other end: Give the server a raw public key" in told
    assert "On this end: Trust the server's certificate instead (--ca FILE)." in told
    assert "--cert" not in told
    assert caught.value.blame == "local"


@pytest.mark.parametrize(
    ("types", "word"), [(("RawPublicKey",), "raw public key"), (("X509",), "of this kind")]
)
def test_what_a_client_did_not_take_of_an_overheard_server(types: Sequence[str], word: str) -> None:
    situation = Situation(
        "server", "handshake", certificate="shown", server_certificate_types=tuple(types)
    )
    causes = likely_causes(AlertDescription.UNSUPPORTED_CERTIFICATE, situation)
    assert word in causes[0].sentence


def test_what_was_shown_is_still_told_as_that() -> None:
    situation = Situation("client", "handshake", certificate="shown")
    causes = likely_causes(AlertDescription.UNSUPPORTED_CERTIFICATE, situation)
    assert "extended key usage" in causes[0].sentence
    situation = Situation("client", "handshake", certificate="withheld")
    (cause,) = likely_causes(AlertDescription.UNSUPPORTED_CERTIFICATE, situation)
    assert "has sent none" in cause.sentence
