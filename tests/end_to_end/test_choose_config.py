"""A server that chooses its config by the ClientHello.

That every path goes on with the chosen one, however the answer comes, is in `test_three_ways`.
"""

from __future__ import annotations

import pytest
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import (
    ChooseConfig,
    ClientConfig,
    ConfigurationError,
    Fault,
    Limits,
    PeerAlertError,
    ProtocolError,
    ServerConfig,
)

VERSIONS = ("TLSv1.2", "TLSv1.3")


class Choices:
    """A callback that remembers what it was asked."""

    def __init__(self, answer: object = None) -> None:
        self.answer = answer
        self.asked: list[ChooseConfig] = []

    def __call__(self, question: ChooseConfig) -> object:
        self.asked.append(question)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("version", VERSIONS)
def test_it_is_asked_once_and_told_what_the_hello_says(pki: Pki, version: str) -> None:
    choices = Choices()
    client = ClientConfig(trust=pki.trust, versions=[version], alpn=["h2", "odd\x7f"])
    server = ServerConfig(
        credentials=pki.server("localhost"),
        groups=["secp384r1"],
        alpn=["h2"],
        choose_config=choices,
    )
    pair = Pair(client, server).run()
    assert pair.server.info.hello_retry is (version == "TLSv1.3")
    [question] = choices.asked
    assert question.server_name == "localhost"
    assert version in question.versions
    assert question.alpn == ("h2", "odd\\x7f")
    assert pair.server.info.cipher_suite in question.cipher_suites


@pytest.mark.parametrize("version", VERSIONS)
def test_the_chosen_config_is_the_connections(pki: Pki, version: str) -> None:
    lines: list[str] = []
    chosen = ServerConfig(
        credentials=pki.server("localhost"),
        alpn=["chosen"],
        keylog=lines.append,
        limits=Limits(max_records_per_key=100),
        record_padding=0 if version == "TLSv1.2" else 4096,
        choose_config=Choices(AssertionError("it was asked again")),
    )
    asks = ServerConfig(
        credentials=pki.server("other.test"), alpn=["first"], choose_config=Choices(chosen)
    )
    client = ClientConfig(trust=pki.trust, versions=[version], alpn=["first", "chosen"])
    pair = Pair(client, asks).run()
    assert pair.server.connection.config is chosen
    assert pair.client.info.alpn == pair.server.info.alpn == "chosen"
    assert lines
    before = len(pair.server.sent)
    pair.say(pair.server, b"x")
    assert (len(pair.server.sent) - before > 4096) is (version == "TLSv1.3")
    if version == "TLSv1.2":
        with pytest.raises(ProtocolError, match="as many records as"):
            for _ in range(120):
                pair.say(pair.server, b"x")


@pytest.mark.parametrize("version", VERSIONS)
def test_an_exception_refuses_the_client(pki: Pki, version: str) -> None:
    for failure, fault, alert in (
        (OSError("gone"), Fault.CALLBACK_FAILED, "internal_error"),
        (ProtocolError(Fault.UNRECOGNIZED_NAME), Fault.UNRECOGNIZED_NAME, "unrecognized_name"),
        (
            ProtocolError(Fault.UNRECOGNIZED_NAME, alert=49),
            Fault.UNRECOGNIZED_NAME,
            "access_denied",
        ),
        (ProtocolError(Fault.UNRECOGNIZED_NAME, alert=250), Fault.UNRECOGNIZED_NAME, "alert 250"),
    ):
        server = ServerConfig(credentials=pki.server("localhost"), choose_config=Choices(failure))
        pair = Pair(ClientConfig(trust=pki.trust, versions=[version]), server).run()
        assert isinstance(pair.server.error, ProtocolError)
        assert pair.server.error.fault is fault
        assert pair.server.error.alert == alert
        assert isinstance(pair.client.error, PeerAlertError)
        assert pair.client.error.alert == alert


def test_another_answer_is_an_error(pki: Pki) -> None:
    server = ServerConfig(credentials=pki.server("localhost"), choose_config=Choices(pki.client()))
    pair = Pair(ClientConfig(trust=pki.trust), server).run()
    assert "choose_config" in str(pair.server.error)
    with pytest.raises(ConfigurationError, match="choose_config must be a callable"):
        ServerConfig(credentials=pki.server("localhost"), choose_config=server)  # type: ignore[arg-type]


def test_the_limits_of_a_hello_are_those_of_the_config_that_asks(pki: Pki) -> None:
    choices = Choices()
    server = ServerConfig(
        credentials=pki.server("localhost"),
        limits=Limits(max_extensions=2),
        choose_config=choices,
    )
    pair = Pair(ClientConfig(trust=pki.trust), server).run()
    assert pair.server.error is not None
    assert not choices.asked
