"""The dialogues of every protocol: what the client says, and each way that they go wrong."""

from __future__ import annotations

import random

import pytest
from tests.starttls.scripts import BAD, GOOD

from handclasp.starttls import PROTOCOLS, opening
from handclasp.starttls.dialogue import MOST_BYTES, Dialogue, DialogueError
from handclasp.starttls.proxy import Proxy

PROXY = Proxy.of("http://me:p%40ss@proxy.example:3128")


def test_every_protocol_has_a_script() -> None:
    assert set(PROTOCOLS) == set(GOOD) == {protocol for protocol, _, _ in BAD}


@pytest.mark.parametrize("protocol", GOOD)
@pytest.mark.parametrize("size", [1, 3, 1 << 20])
def test_a_server_that_begins_tls(protocol: str, size: int) -> None:
    talk = opening(protocol, "example.com")
    for exchange in GOOD[protocol]:
        assert talk.data_to_send() == exchange.client
        for at in range(0, len(exchange.server), size):
            assert not talk.is_over
            talk.receive_data(exchange.server[at : at + size])
    assert talk.is_over
    assert talk.data_to_send() == b""


@pytest.mark.parametrize("protocol", GOOD)
def test_bytes_after_the_go_ahead_are_refused(protocol: str) -> None:
    talk = opening(protocol, "example.com")
    *before, last = [exchange.server for exchange in GOOD[protocol] if exchange.server]
    for said in before:
        talk.receive_data(said)
    with pytest.raises(DialogueError) as failed:
        talk.receive_data(last + b"* OK [ALERT] inserted\r\n")
    assert failed.value.name == "STARTTLS_INJECTION"
    assert "inserted" in failed.value.message


@pytest.mark.parametrize(("protocol", "name", "said"), BAD)
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_a_server_that_does_not(protocol: str, name: str, said: bytes, size: int) -> None:
    talk = opening(protocol, "example.com")
    with pytest.raises(DialogueError) as failed:
        for at in range(0, len(said), size):
            talk.data_to_send()
            talk.receive_data(said[at : at + size])
    assert failed.value.name == name
    assert failed.value.fix
    assert failed.value.message.isprintable()


@pytest.mark.parametrize("protocol", GOOD)
def test_a_server_that_closes_or_is_silent(protocol: str) -> None:
    talk = opening(protocol, "example.com")
    assert talk.time_out(5).name == "STARTTLS_TIMEOUT"
    assert "5 s" in str(talk.time_out(5))
    with pytest.raises(DialogueError) as failed:
        talk.receive_data(b"")
    assert failed.value.name == "STARTTLS_CLOSED"


@pytest.mark.parametrize("protocol", GOOD)
@pytest.mark.parametrize("said", ["1503030002022f", "1503010002", "160303003a02"])
def test_a_server_that_speaks_tls_from_the_start(protocol: str, said: str) -> None:
    # A server of PostgreSQL answers with one byte, and is refused by the first that is another.
    for size in (7,) if protocol == "postgres" else (1, 7):
        talk = opening(protocol, "example.com")
        data = bytes.fromhex(said)
        with pytest.raises(DialogueError, match="speaks TLS from the start") as failed:
            for at in range(0, len(data), size):
                talk.receive_data(data[at : at + size])
        assert failed.value.fix.startswith("Leave --starttls out")
        assert failed.value.blame == "client"


def test_a_silent_end_is_the_one_that_it_is() -> None:
    direct = opening("smtp", "example.com")
    by_proxy = opening("smtp", "example.com", 25, proxy=PROXY)
    for talk, end, option in ((direct, "server", True), (by_proxy, "proxy", False)):
        errors = [talk.time_out(5)]
        with pytest.raises(DialogueError, match=f"The {end} closed the connection") as closed:
            talk.receive_data(b"")
        errors.append(closed.value)
        for error in errors:
            assert f"The {end} " in error.message
            assert ("leave --starttls out" in error.fix) == option
            assert error.blame == "unclear"
    with pytest.raises(DialogueError, match="The proxy speaks TLS") as failed:
        opening("smtp", "h", 25, proxy=PROXY).receive_data(b"\x15\x03\x03")
    assert "--starttls" not in failed.value.fix
    # Behind the proxy it is the server again.
    by_proxy = opening("smtp", "h", 25, proxy=PROXY)
    by_proxy.receive_data(b"HTTP/1.1 200 OK\r\n\r\n")
    with pytest.raises(DialogueError, match="The server speaks TLS from the start"):
        by_proxy.receive_data(b"\x15\x03\x03\x00\x02")


@pytest.mark.parametrize("protocol", GOOD)
def test_anything_ends_in_a_typed_error_within_bounds(protocol: str) -> None:
    chance = random.Random(protocol)
    texts = [exchange.server for exchange in GOOD[protocol]]
    for _ in range(300):
        said = bytearray(b"".join(texts) + chance.randbytes(chance.randrange(40)))
        for _ in range(chance.randrange(4)):
            said[chance.randrange(len(said))] = chance.randrange(256)
        talk = opening(protocol, "example.com")
        try:
            while not talk.is_over:
                talk.receive_data(bytes(said))
                talk.data_to_send()
        except DialogueError:
            pass


def test_endless_bytes_end_at_the_bound() -> None:
    talk = opening("xmpp", "example.com")
    sent = 0
    with pytest.raises(DialogueError, match="more than"):
        while True:
            talk.receive_data(b"<a/>" * 1000)
            sent += 4000
    assert sent <= MOST_BYTES


def test_without_a_protocol_tls_begins_at_once() -> None:
    assert opening(None, "example.com").is_over


@pytest.mark.parametrize(
    ("host", "target"),
    [
        ("example.com", b"example.com:25"),
        ("2001:db8::1", b"[2001:db8::1]:25"),
        ("b\xfccher.example", b"xn--bcher-kva.example:25"),
    ],
)
def test_a_proxy_is_asked_for_a_tunnel(host: str, target: bytes) -> None:
    talk = opening("pop3", host, 25, proxy=PROXY)
    assert talk.data_to_send() == (
        b"CONNECT " + target + b" HTTP/1.1\r\nHost: " + target + b"\r\n"
        b"Proxy-Authorization: Basic bWU6cEBzcw==\r\n\r\n"
    )
    # The server's greeting may come together with the answer of the proxy.
    talk.receive_data(b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n+OK ready\r\n")
    assert talk.data_to_send() == b"STLS\r\n"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "502"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "100"),
        (b"220 mail\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200, "fields"),
    ],
)
def test_a_proxy_that_gives_no_tunnel(answer: bytes, words: str) -> None:
    talk = opening(None, "example.com", 443, proxy=PROXY)
    with pytest.raises(DialogueError, match=words) as failed:
        talk.receive_data(answer)
    assert failed.value.name == "PROXY_REFUSED"
    assert ("NAME:PASSWORD" in failed.value.fix) is (words == "407")


@pytest.mark.parametrize("host", ["a\r\nX: y", "a b", "", "x" * 300, "b\xfc\xdf" * 90])
def test_a_host_that_is_no_name_is_not_sent(host: str) -> None:
    with pytest.raises(DialogueError):
        opening(None, host, 443, proxy=PROXY)


@pytest.mark.parametrize("url", ["socks5://127.0.0.1:1080", "http://", "http://host:99999"])
def test_a_url_of_no_proxy(url: str) -> None:
    with pytest.raises(ValueError):
        Proxy.of(url)


def test_a_password_is_not_shown() -> None:
    assert "p@ss" not in repr(PROXY)
    assert isinstance(opening(None, "x", 1, proxy=PROXY), Dialogue)


def failure_after(protocol: str, said: bytes, *, is_closed: bool = False) -> DialogueError:
    dialogue = opening(protocol, "localhost", 1)
    with pytest.raises(DialogueError) as caught:
        dialogue.receive_data(said)
        assert is_closed
        dialogue.receive_data(b"")
    return caught.value


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        ("smtp", b"554 go away\r\n"),
        ("ftp", b"421 go away\r\n"),
        ("imap", b"* BYE go away\r\n"),
        ("pop3", b"-ERR go away\r\n"),
        ("mysql", b"\x0a\0\0\0\xff\x10\x04go away"),
    ],
)
def test_a_server_that_refuses_the_client_was_not_asked_for_tls(protocol: str, said: bytes) -> None:
    error = failure_after(protocol, said)
    assert error.message.startswith("The server refuses this client before TLS is asked for: ")
    assert "go away" in error.message
    assert "certificate" not in error.fix


def test_the_error_of_postgresql_is_no_other_protocol() -> None:
    error = failure_after("postgres", b"E")
    assert error.message == "The server answers with an error, and not whether it has TLS."
    assert "See the server's log" in error.fix


def test_what_was_said_before_a_close_is_not_called_nothing() -> None:
    said = failure_after("smtp", b"220 hi", is_closed=True)
    assert said.explanation == "The last that it said, '220 hi', is not whole."
    with pytest.raises(DialogueError, match="closed") as caught:
        opening("smtp", "localhost", 1).receive_data(b"")
    assert caught.value.explanation.startswith("It said nothing about the reason: perhaps ")
