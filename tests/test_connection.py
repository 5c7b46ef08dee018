"""The contract of the sans-IO connection: what may be called when, and what it then says."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import (
    DEFER,
    ClientAuth,
    ClientConfig,
    ClientConnection,
    ConfigurationError,
    DataReceived,
    Fault,
    HandshakeCompleted,
    HandshakeTimeoutError,
    PeerAlertError,
    PeerClosed,
    ProtocolError,
    ServerConfig,
    ServerConnection,
    SessionStore,
    Sign,
    StateError,
    TLSError,
    TruncationError,
    TrustStore,
)
from handclasp.certificates.verify import vouch_for
from handclasp.keys.schedule13 import ExporterSecret
from handclasp.keys.transcript import Transcript
from handclasp.record.protection13 import Protection13
from handclasp.trace.events import AlertSeen, Failed


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


@pytest.fixture(scope="module")
def client_config(pki: Pki) -> ClientConfig:
    return ClientConfig(trust=pki.trust)


@pytest.fixture(scope="module")
def server_config(pki: Pki) -> ServerConfig:
    return ServerConfig(credentials=pki.server("localhost"))


@pytest.fixture
def pair(client_config: ClientConfig, server_config: ServerConfig) -> Pair:
    return Pair(client_config, server_config)


# From the start


def test_a_client_speaks_first(pair: Pair) -> None:
    assert pair.server.connection.data_to_send() == b""
    hello = pair.client.take()
    assert hello[:3] == b"\x16\x03\x01"
    assert pair.client.connection.data_to_send() == b""


def test_before_the_handshake_is_complete(pair: Pair) -> None:
    for connection in (pair.client.connection, pair.server.connection):
        assert not connection.established
        assert connection.info is None
        assert connection.failure is None
        assert connection.question is None
        assert not connection.closed
        assert not connection.peer_closed
        for call in (
            lambda connection=connection: connection.send_data(b"x"),
            connection.update_keys,
            connection.channel_binding,
            lambda connection=connection: connection.channel_binding("tls-server-end-point"),
            lambda connection=connection: connection.export_keying_material("x", None, 1),
        ):
            with pytest.raises(ConfigurationError):
                call()
    assert pair.run().established


def test_after_the_handshake(pair: Pair, client_config: ClientConfig) -> None:
    pair.run()
    for end in (pair.client, pair.server):
        assert end.events == [HandshakeCompleted(end.info)]
        assert end.connection.established
    assert pair.client.connection.config is client_config
    assert pair.client.info.peer_chain[0].version.name == "v3"


def test_what_wants_to_be_sent(pair: Pair) -> None:
    client, server = pair.client.connection, pair.server.connection
    assert client.wants_to_send  # its hello
    assert not server.wants_to_send
    pair.run()
    assert not client.wants_to_send
    client.send_data(b"data")
    assert client.wants_to_send
    client.update_keys()
    server.receive_data(client.data_to_send())
    assert not client.wants_to_send
    assert server.wants_to_send  # the answer that it owes
    server.close()
    server.data_to_send()
    client.update_keys()
    server.receive_data(client.data_to_send())
    assert not server.wants_to_send  # It has closed: no answer any more.


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client needs nothing but a name; its trust is then that of the system."""
    monkeypatch.setattr(TrustStore, "system", classmethod(lambda cls: "the system's"))
    connection = ClientConnection(server_name="example.org")
    assert connection.config == ClientConfig()
    with pytest.raises(ConfigurationError, match="server_name"):
        ClientConnection()


def test_names_in_any_form(server_config: ServerConfig, pki: Pki) -> None:
    config = ServerConfig(credentials=pki.server("xn--bcher-kva.example"))
    for name in ("xn--bcher-kva.example", "XN--Bcher-KVA.example.", "bücher.example"):
        pair = Pair(ClientConfig(trust=pki.trust), config, name).run()
        assert pair.client.info.server_name == "xn--bcher-kva.example"
        assert pair.server.info.server_name == "xn--bcher-kva.example"


# Failing


def test_rounds_a_failure_are_given_first(pair: Pair) -> None:
    pair.run()
    pair.client.connection.send_data(b"good")
    stream = pair.client.take() + b"\x17\x03\x03\x00\x20" + bytes(32)
    server = pair.server.connection
    assert server.receive_data(stream) == [DataReceived(b"good")]
    assert isinstance(server.failure, ProtocolError)
    assert not server.established
    for call in (
        lambda: server.receive_data(b""),
        lambda: server.receive_data(b"x"),
        server.receive_eof,
        lambda: server.send_data(b"x"),
        server.update_keys,
    ):
        with pytest.raises(ProtocolError) as caught:
            call()
        assert caught.value is server.failure
    pair.client.receive(pair.server.take())
    assert isinstance(pair.client.error, PeerAlertError)
    assert pair.client.error.alert == "bad_record_mac"
    assert server.data_to_send() == b""


def test_what_is_known_survives_a_failure(pair: Pair) -> None:
    pair.run()
    info = pair.server.info
    pair.server.receive(b"\x17\x03\x03\x00\x20" + bytes(32))
    assert pair.server.connection.info is info
    pair.server.connection.close()
    assert not pair.server.connection.closed
    assert pair.server.connection.abort(Fault.HANDSHAKE_TIMEOUT) is pair.server.error


def test_alert_after_our_close_is_heard(pair: Pair) -> None:
    pair.run()
    pair.client.connection.close()
    pair.client.take()
    pair.server.connection.abort(Fault.INTERNAL_ERROR)
    pair.client.receive(pair.server.take())
    assert isinstance(pair.client.error, PeerAlertError)


def test_a_received_alert_is_not_answered(pair: Pair) -> None:
    pair.carry(pair.client, pair.server)
    pair.server.take()
    pair.server.receive(b"\x15\x03\x03\x00\x02\x02\x28")
    assert isinstance(pair.server.error, PeerAlertError)
    assert pair.server.take() == b""
    alerts = [event for event in pair.server.trace.events if isinstance(event, AlertSeen)]
    assert [(alert.direction, alert.description) for alert in alerts] == [("received", 40)]
    assert isinstance(pair.server.trace.events[-1], Failed)


@pytest.mark.parametrize("rounds", [0, 1, 2])
def test_abort(pair: Pair, rounds: int) -> None:
    for _ in range(rounds):
        pair.carry(pair.client, pair.server)
        pair.carry(pair.server, pair.client)
    error = pair.client.connection.abort(Fault.HANDSHAKE_TIMEOUT)
    assert isinstance(error, HandshakeTimeoutError)
    assert isinstance(error, TimeoutError)
    assert error is pair.client.connection.failure
    assert pair.client.connection.abort(Fault.INTERNAL_ERROR) is error
    pair.server.receive(pair.client.take())


def test_abort_for_another_reason(pair: Pair) -> None:
    pair.run()
    error = pair.server.connection.abort(Fault.CERTIFICATE_REFUSED)
    assert type(error) is ProtocolError
    pair.run()
    assert isinstance(pair.client.error, PeerAlertError)
    assert pair.client.error.alert == "certificate_unknown"


def test_defect_of_ours_is_a_typed_error(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but TLSError comes out, and the peer is told: here inside and beside a handshake."""

    def broken(*_: object, **__: object) -> bytes:
        raise ZeroDivisionError

    hello = pair.client.take()
    with monkeypatch.context() as patch:
        patch.setattr(Transcript, "choose_hash", broken)
        pair.server.receive(hello)
    pair.run()
    assert pair.server.error is not None
    assert pair.server.error.fault_name == "INTERNAL_ERROR"
    assert isinstance(pair.server.error.__cause__, ZeroDivisionError)
    assert isinstance(pair.client.error, PeerAlertError)

    client, server = pair.client.connection.config, pair.server.connection.config
    assert isinstance(client, ClientConfig)
    assert isinstance(server, ServerConfig)
    other = Pair(client, server).run()
    monkeypatch.setattr(Protection13, "open_record", broken)
    other.client.receive(b"\x17\x03\x03\0\1x")
    assert other.client.error is not None
    assert other.client.error.fault_name == "INTERNAL_ERROR"
    assert isinstance(other.client.error.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("moment", ["at once", "later"])
def test_interrupt_passes_through(
    client_config: ClientConfig, server_config: ServerConfig, moment: str
) -> None:
    """Ctrl-C is not a fault of the connection, but it ends it: a message may be lost."""

    def interrupted(question: object) -> object:
        raise KeyboardInterrupt

    config = ServerConfig(
        choose_credentials=interrupted if moment == "at once" else lambda question: DEFER
    )
    pair = Pair(client_config, config)
    hello = pair.client.take()
    server = pair.server.connection
    if moment == "at once":
        with pytest.raises(KeyboardInterrupt):
            server.receive_data(hello)
    else:
        pair.server.receive(hello)
        pair.server.refuse(KeyboardInterrupt())
    assert server.failure is not None
    assert isinstance(server.failure.__cause__, KeyboardInterrupt)
    expected = "INTERRUPTED" if moment == "at once" else "CALLBACK_FAILED"
    assert server.failure.fault_name == expected
    pair.client.receive(pair.server.take())
    assert isinstance(pair.client.error, PeerAlertError)
    assert pair.client.error.alert == "internal_error"


# The end


@pytest.mark.parametrize("role", ["client", "server"])
def test_eof_in_the_handshake(pair: Pair, role: str) -> None:
    end = pair.client if role == "client" else pair.server
    end.receive_eof()
    assert isinstance(end.error, TruncationError)
    assert end.error.fault is Fault.CLOSED_DURING_HANDSHAKE


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize(
    ("start", "fault", "told"),
    [
        (b"x", Fault.NOT_TLS, "the first byte is b'x'"),
        (b"\x16\x02", Fault.NOT_TLS, "the first bytes are b'\\x16\\x02'"),
        (b"-ERR", Fault.NOT_TLS, "as of a POP3 or Redis server"),
        (b"GET ", Fault.PLAINTEXT_HTTP, "b'GET '"),
        (b"CON", Fault.NOT_TLS, "b'CON'"),
        (b"\x16", Fault.CLOSED_DURING_HANDSHAKE, "of which 1 byte had come"),
        (b"\x15\x03\x01\0", Fault.CLOSED_DURING_HANDSHAKE, "of which 4 bytes had come"),
    ],
)
def test_eof_after_less_than_a_header(
    pair: Pair, role: str, start: bytes, fault: Fault, told: str
) -> None:
    end = pair.client if role == "client" else pair.server
    end.receive(start)
    end.receive_eof()
    assert isinstance(end.error, TLSError)
    assert end.error.fault is fault
    assert told in str(end.error)


@pytest.mark.parametrize("role", ["client", "server"])
def test_silence_and_resets_after_less_than_a_header(pair: Pair, role: str) -> None:
    """The end is what it was, and nobody is told of a record."""
    end = pair.client if role == "client" else pair.server
    end.receive(b"x")
    told = "what had come is not TLS: the first byte is b'x'"
    if role == "client":
        assert told in str(end.connection.abort(Fault.HANDSHAKE_TIMEOUT))
        return
    with pytest.raises(TruncationError, match=told) as caught:
        end.connection.receive_eof(reset=True)
    assert caught.value.fault is Fault.RESET_DURING_HANDSHAKE


def test_close_is_said_once(pair: Pair) -> None:
    pair.run()
    pair.client.connection.close()
    pair.client.connection.close()
    assert len(pair.client.take()) == 5 + 2 + 1 + 16
    assert pair.client.connection.closed
    assert pair.client.connection.established


def test_close_before_anything(pair: Pair) -> None:
    pair.server.connection.close()
    assert pair.server.connection.closed
    assert pair.server.connection.peer_closed
    assert pair.server.connection.receive_data(b"\x16\x03\x01") == []
    assert pair.server.connection.receive_eof() == []
    pair.client.receive(pair.server.take())
    assert isinstance(pair.client.error, PeerAlertError)
    assert pair.client.error.alert == "user_canceled"


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("rest", [0, 3])
def test_user_canceled_without_close_notify(pair: Pair, reset: bool, rest: int) -> None:
    pair.server.connection.close()
    said = pair.server.take()
    canceled = 5 + 2  # The alert user_canceled; close_notify, of which `rest` bytes come, follows.
    pair.client.receive(said[: canceled + rest])
    assert pair.client.error is None
    with pytest.raises(PeerAlertError) as caught:
        pair.client.connection.receive_eof(reset=reset)
    assert caught.value.alert == "user_canceled"
    assert pair.client.connection.failure is caught.value


@pytest.mark.parametrize("how", ["end", "reset", "timeout", "other bytes"])
@pytest.mark.parametrize("said", [0, 1])
def test_another_service_is_suspected_only_before_a_server_hello(
    pair: Pair, how: str, said: int
) -> None:
    pair.server.receive(pair.client.take())
    flight = pair.server.take()
    client = pair.client.connection
    if said:
        client.receive_data(flight[: 5 + int.from_bytes(flight[3:5], "big")])
    if how == "timeout":
        error: TLSError = client.abort(Fault.HANDSHAKE_TIMEOUT)
    elif how == "other bytes":
        with pytest.raises(ProtocolError) as caught:
            client.receive_data(b"SSH-2.0-OpenSSH_10.0 and more of it\r\n")
        error = caught.value
    else:
        with pytest.raises(TLSError) as ended:
            client.receive_eof(reset=how == "reset")
        error = ended.value
    told = f"{error.condition} {error.fix}"
    words = ("another service", "a TLS service", "TLS on this port", "TLS on that port")
    assert any(word in told for word in words) is not bool(said)


def test_both_close(pair: Pair) -> None:
    pair.run()
    pair.client.connection.close()
    pair.server.connection.close()
    pair.run()
    for end in (pair.client, pair.server):
        assert end.events[-1] == PeerClosed()
        assert end.connection.receive_eof() == []
        assert end.error is None


# Configs of servers


def test_server_without_trust_cannot_judge(pki: Pki) -> None:
    with pytest.raises(ConfigurationError, match="trust"):
        ServerConfig(credentials=pki.server(), client_auth=ClientAuth.REQUIRED)
    with pytest.raises(ConfigurationError, match="client_auth"):
        ServerConfig(credentials=pki.server(), trust=pki.trust)


def test_the_clock_is_that_of_the_config(pki: Pki, server_config: ServerConfig) -> None:
    late = ClientConfig(trust=pki.trust, clock=lambda: pki.now + timedelta(days=99))
    pair = Pair(late, server_config).run()
    assert pair.client.error is not None
    assert pair.client.error.fault_name == "CERTIFICATE_EXPIRED"
    naive = ClientConfig(trust=pki.trust, clock=lambda: pki.now.replace(tzinfo=None))
    pair = Pair(naive, server_config).run()
    assert not pair.established
    assert pair.client.error is not None
    assert isinstance(pair.client.error.__cause__, ConfigurationError)


def test_a_config_serves_many_connections(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    pairs = [Pair(client_config, server_config) for _ in range(5)]
    for pair in pairs:
        pair.carry(pair.client, pair.server)
    for pair in reversed(pairs):
        assert pair.run().established
    secrets = {pair.client.connection.channel_binding() for pair in pairs}
    assert len(secrets) == 5


def test_entropy_is_that_of_the_config(pki: Pki, server_config: ServerConfig) -> None:
    def hello(byte: int) -> bytes:
        config = ClientConfig(trust=pki.trust, entropy=lambda size: bytes([byte]) * size)
        return Pair(config, server_config).client.take()

    assert hello(7) == hello(7)
    assert hello(7) != hello(8)


def test_secrets_do_not_show(pair: Pair) -> None:
    pair.run()
    exporter_secret = pair.client.connection._exporter
    assert isinstance(exporter_secret, ExporterSecret)
    secret = exporter_secret.secret
    for text in (repr(exporter_secret), str(secret), f"{secret}", repr(pair.client.info)):
        assert secret.hex() not in text
        assert bytes(secret).__repr__() not in text
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_server_name_may_be_left_out(server_config: ServerConfig, pki: Pki) -> None:
    config = ClientConfig(verify=lambda question: vouch_for(question.chain_der))
    pair = Pair(config, server_config, None).run()
    assert pair.established
    assert pair.server.info.server_name is None
    assert replace(config, alpn=["h2"]).alpn == ("h2",)


def test_a_call_at_the_wrong_time_is_a_state_error_and_does_no_harm(
    pki: Pki, server_config: ServerConfig
) -> None:
    config = ClientConfig(trust=pki.trust, sessions=SessionStore(), allow_early_data=True)
    pair = Pair(config, server_config)
    client, server = pair.client.connection, pair.server.connection
    assert isinstance(client, ClientConnection)
    assert isinstance(server, ServerConnection)
    question = Sign(server_config.credential_list[0], "ecdsa_secp256r1_sha256", b"")
    too_early: list[Callable[[], object]] = [
        lambda: client.send_data(b"x"),
        client.update_keys,
        lambda: client.send_early_data(b"x"),
        lambda: client.export_keying_material("EXPORTER-test", None, 32),
        client.channel_binding,
        lambda: client.channel_binding("tls-unique"),
        lambda: client.channel_binding("tls-server-end-point"),
        lambda: client.answer(question, b""),
        lambda: client.refuse(question, ValueError()),
        server.send_tickets,
    ]
    for call in too_early:
        with pytest.raises(StateError):
            call()
    pair.run()
    for call in (lambda: client.send_early_data(b"x"), lambda: client.answer(question, b"")):
        with pytest.raises(StateError):
            call()
    client.close()
    for call in (lambda: client.send_data(b"x"), client.update_keys):
        with pytest.raises(StateError, match="closed"):
            call()
    assert client.established


def test_a_wrong_setting_is_no_state_error() -> None:
    with pytest.raises(ConfigurationError) as refused:
        ClientConnection(port="https")  # type: ignore[arg-type]
    assert not isinstance(refused.value, StateError)
    assert issubclass(StateError, ConfigurationError)


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_an_echo_is_no_server(pki: Pki, version: str) -> None:
    config = ClientConfig(trust=pki.trust, versions=[version])
    client = ClientConnection(config, server_name="localhost")
    with pytest.raises(ProtocolError, match="sends back what it gets") as caught:
        client.receive_data(client.data_to_send())
    assert "update" not in caught.value.fix
    assert "host and port" in caught.value.fix
