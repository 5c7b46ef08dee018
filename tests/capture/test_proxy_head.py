"""The requests of clients to an HTTP proxy: what is read, and what is refused, within bounds."""

from __future__ import annotations

import pytest

from handclasp.capture.proxy_head import LONGEST_HEAD, ProxyRequestError, read_request

CONNECT = b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n"


def test_a_tunnel_is_read_and_what_follows_it_is_kept() -> None:
    request = read_request(CONNECT + b"\x16\x03\x01")
    assert request is not None
    assert (request.host, request.port, request.is_tunnel) == ("example.com", 443, True)
    assert request.first == b"\x16\x03\x01"


@pytest.mark.parametrize("size", range(0, len(CONNECT), 7))
def test_a_part_of_a_request_is_waited_for(size: int) -> None:
    assert read_request(CONNECT[:size]) is None


@pytest.mark.parametrize(
    ("target", "host", "port"),
    [
        ("[2001:db8::1]:8443", "2001:db8::1", 8443),
        ("192.0.2.1:443", "192.0.2.1", 443),
        ("a_b-c.example:1", "a_b-c.example", 1),
    ],
)
def test_addresses_of_tunnels(target: str, host: str, port: int) -> None:
    request = read_request(f"CONNECT {target} HTTP/1.0\r\n\r\n".encode())
    assert request is not None
    assert (request.host, request.port) == (host, port)


def test_a_request_for_a_page_takes_the_form_that_servers_know() -> None:
    request = read_request(
        b"GET http://example.com/a?b=c HTTP/1.1\r\nHost: example.com\r\n"
        b"Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eDp5\r\nX: y\r\n\r\nbody"
    )
    assert request is not None
    assert (request.host, request.port, request.is_tunnel) == ("example.com", 80, False)
    assert request.first == (
        b"GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nX: y\r\nConnection: close\r\n\r\nbody"
    )


def test_a_request_that_could_be_read_otherwise_is_made_plain() -> None:
    """RFC 9112 section 3.2.2 and RFC 9110 section 7.6.1."""
    request = read_request(
        b"GET http://a.example/x HTTP/1.1\r\nHost: b.example\r\n"
        b"Connection: x-secret, Upgrade\r\nX-Secret: 1\r\nUpgrade: h2c\r\n\r\n"
    )
    assert request is not None
    assert request.first == (b"GET /x HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
    with pytest.raises(ProxyRequestError):
        read_request(
            b"GET http://a.example/x HTTP/1.1\r\nContent-Length: 0\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )


@pytest.mark.parametrize("target", ["http://example.com?q=1", "HTTP://example.com"])
def test_a_page_without_a_path_is_asked_for_at_the_root(target: str) -> None:
    request = read_request(f"GET {target} HTTP/1.1\r\n\r\n".encode())
    assert request is not None
    assert request.first.startswith(b"GET /")


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET http://example.com/#part HTTP/1.1\r\n\r\n",
        b"GET ftp://example.com/ HTTP/1.1\r\n\r\n",
        b"CONNECT example.com HTTP/1.1\r\n\r\n",
        b"CONNECT example.com:0 HTTP/1.1\r\n\r\n",
        b"CONNECT example.com:65536 HTTP/1.1\r\n\r\n",
        b"CONNECT user@example.com:443 HTTP/1.1\r\n\r\n",
        b"CONNECT exa%6dple.com:443 HTTP/1.1\r\n\r\n",
        b"CONNECT example.com:443 HTTP/2.0\r\n\r\n",
        b"CONNECT  example.com:443 HTTP/1.1\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\nHost: x\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost : x\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\n folded\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nX: a\rb\r\n\r\n",
        b"GET http://user:secret@example.com/ HTTP/1.1\r\n\r\n",
        "CONNECT ex\xe4mple.com:443 HTTP/1.1\r\n\r\n".encode(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_not_well_formed_is_refused(data: bytes) -> None:
    with pytest.raises(ProxyRequestError) as failed:
        read_request(data)
    assert failed.value.status == "400 Bad Request"


def test_a_head_without_an_end_is_refused_at_the_bound() -> None:
    head = b"CONNECT example.com:443 HTTP/1.1\r\nX: "
    assert read_request(head.ljust(LONGEST_HEAD - 1, b"x")) is None
    with pytest.raises(ProxyRequestError, match="bytes") as failed:
        read_request(head.ljust(LONGEST_HEAD, b"x"))
    assert failed.value.status.startswith("431")
