"""Scans over the network of this machine: our own server, and servers that mean harm."""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Any

import pytest
from tests.pki import Leaf, Pki
from tests.scan.serving import Serve, listening, ours

import handclasp
from handclasp import ClientConfig, ConfigurationError, ServerConfig
from handclasp.cli.scanned import report_text
from handclasp.scan import (
    Report,
    ScanSettings,
    Target,
    findings,
    profiles,
    runner,
    scan,
    scan_all,
)
from handclasp.scan.report import PORTS
from handclasp.scan.runner import Pace
from handclasp.testing import FaultyServer


def scanned(port: int, pki: Pki | None = None, **settings: Any) -> Report:
    trust = pki.trust if pki is not None else None
    made = ScanSettings(**({"trust": trust, "timeout": 5.0} | settings))
    return asyncio.run(scan(Target("127.0.0.1", port, "localhost"), made))


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


def test_our_server_is_found_as_it_is_configured(pki: Pki) -> None:
    config = ServerConfig(
        credentials=[pki.server("localhost"), pki.server("localhost", key_type="rsa-2048")],
        groups=["X25519MLKEM768", "X448"],
        cipher_suites=["TLS_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],
        alpn=["http/1.1", "h2"],
        allow_alpn_mismatch=True,
        max_early_data=4096,
        record_size_limit=8192,
        ticket_lifetime=1800,
    )
    answer = b"HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=63072000\r\n\r\n"
    with listening(ours(config, answer)) as port:
        report = scanned(port, pki)
    assert (report.error, report.incomplete) == ("", [])
    assert [name for name, fact in report.versions.items() if fact.value] == ["TLSv1.3", "TLSv1.2"]
    assert report.suites["TLSv1.3"].names == ("TLS_AES_256_GCM_SHA384",)
    assert report.suites["TLSv1.2"].names == ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",)
    assert report.groups == {"TLSv1.3": ("X25519MLKEM768", "X448"), "TLSv1.2": ("X448",)}
    assert report.schemes["TLSv1.3"] == (
        "ecdsa_secp256r1_sha256",
        "rsa_pss_rsae_sha256",
        "rsa_pss_rsae_sha384",
        "rsa_pss_rsae_sha512",
    )
    assert report.alpn == ("http/1.1", "h2")
    kinds = {(chain.described or {})["key_type"] for chain in report.chains}
    assert kinds == {"ECDSA secp256r1", "RSA"}
    assert all(chain.explanation and chain.explanation.accepted for chain in report.chains)
    features = {name: fact.value for name, fact in report.features.items()}
    assert features["hsts"] == 63072000
    assert features["certificate_compression"] in ("brotli", "zstd", "zlib")
    expected = {
        "extended_master_secret": True,
        "secure_renegotiation": True,
        "compression": False,
        "heartbeat": False,
        "fallback_scsv": True,
        "downgrade_sentinel": True,
        "early_data": True,
        "resumption": True,
        "resumption12": True,
        "record_size_limit": True,
        "client_certificate": False,
        "ech_retry_configs": False,
    }
    assert {name: features[name] for name in expected} == expected
    assert "valid for 1,800 s" in report.features["tickets"].says


def test_a_server_that_asks_for_a_certificate(pki: Pki) -> None:
    config = ServerConfig(
        credentials=pki.server("localhost"),
        client_auth="required",
        trust=pki.trust,
        send_authorities=True,
        versions=["TLSv1.3"],
    )
    with listening(ours(config)) as port:
        report = scanned(port, pki)
        shown = ClientConfig(verify_peer=False, credentials=pki.client())
        with_certificate = scanned(port, pki, config=shown)
    assert report.features["client_certificate"].value is True
    assert report.features["client_authorities"].value == ("CN=test root",)
    assert with_certificate.features["resumption"].value is True


def test_a_chain_that_is_not_trusted_says_why(pki: Pki) -> None:
    config = ServerConfig(credentials=pki.credentials(Leaf(("other.example",))))
    with listening(ours(config)) as port:
        (chain,) = scanned(port, pki).chains
    assert chain.explanation is not None
    assert not chain.explanation.accepted
    assert "other.example" in chain.explanation.broken[0].evidence


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    report = scanned(port)
    assert report.error == "no connection: Connection refused."
    assert not report.versions


@pytest.mark.parametrize(("alpn", "least", "most"), [((), 0.4, 1.5), (("http/1.1",), 1.9, 3)])
def test_a_server_that_did_not_promise_http_is_not_waited_for_long(
    pki: Pki, alpn: tuple[str, ...], least: float, most: float
) -> None:
    config = ServerConfig(credentials=pki.server("localhost"), versions=["TLSv1.3"], alpn=alpn)

    def serve(sock: socket.socket) -> None:
        with handclasp.wrap_server(sock, config) as tls:
            while tls.recv(65536):
                pass

    with listening(serve) as port:
        report = scanned(port, pki)
    found = re.fullmatch(
        r"no answer to a request of HTTP in ([\d.]+) s", report.features["hsts"].says
    )
    assert found is not None
    assert least <= float(found[1]) <= most
    assert not [each for each in findings(report, profiles()["modern"]) if each.kind == "hsts"]


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_no_request_of_http_is_sent_to_a_port_of_another_protocol(
    pki: Pki, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    heard = b""
    config = ServerConfig(credentials=pki.server("localhost"), versions=[version])

    def serve(sock: socket.socket) -> None:
        nonlocal heard
        with suppress(OSError), handclasp.wrap_server(sock, config) as tls:
            heard += tls.recv(65536)

    with listening(serve) as port:
        monkeypatch.setitem(PORTS, port, "imap")
        report = scanned(port, pki)
    assert ("hsts" in report.features, report.incomplete, heard) == (False, [], b"")


def silent(sock: socket.socket) -> None:
    while sock.recv(65536):
        pass


def hang_up(sock: socket.socket) -> None:
    sock.recv(65536)


def speak_http(sock: socket.socket) -> None:
    sock.recv(65536)
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def greet(greeting: bytes) -> Serve:
    def serve(sock: socket.socket) -> None:
        sock.sendall(greeting)
        silent(sock)

    return serve


@pytest.mark.parametrize(
    ("greeting", "speaks", "option"),
    [
        (b"220 mail.example.com ESMTP ready\r\n", "SMTP", "--starttls smtp"),
        (b"220 (vsFTPd 3.0.3)\r\n", "FTP", "--starttls ftp"),
        (b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready.\r\n", "IMAP", "--starttls imap"),
        (b"+OK ready\r\n", "POP3", "--starttls pop3"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH", ""),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP", ""),
    ],
)
def test_a_server_that_speaks_in_the_clear_is_named_with_the_option_that_it_needs(
    greeting: bytes, speaks: str, option: str
) -> None:
    with listening(greet(greeting)) as port:
        report = scanned(port, timeout=2)
    assert speaks in report.error
    assert f"({option})" in report.fix if option else "--starttls" not in report.fix
    assert report.to_json()["fix"] == report.fix
    assert report.fix in " ".join(report_text(report).split())


def drip(sock: socket.socket) -> None:
    sock.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")
    while True:
        sock.sendall(b"x")
        time.sleep(0.05)


def flood(sock: socket.socket) -> None:
    while True:
        sock.sendall(b"\x16\x03\x03\x40\x00" + b"\x0b\x00\x3f\xfc" + bytes(16380))


HOSTILE = {
    "silent": (silent, "Silent: it takes the connection, and nothing more came for 0.2 s"),
    "hangs up": (hang_up, "closed the connection"),
    "speaks HTTP": (speak_http, "the answer is no TLS"),
    "drips": (drip, "nothing more came for 0.2 s"),
    "floods": (flood, "in place of a ServerHello"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_server_holds_a_scan_up(kind: str) -> None:
    serve, says = HOSTILE[kind]
    with listening(serve) as port:
        began = time.monotonic()
        report = scanned(port, timeout=0.2)
    assert time.monotonic() - began < 10
    assert says in report.error
    assert report.connections < 30


def test_a_silent_port_takes_two_connections() -> None:
    accepted: list[bytes] = []

    def serve(sock: socket.socket) -> None:
        accepted.append(sock.recv(65536))
        silent(sock)

    with listening(serve) as port:
        report = scanned(port, timeout=0.2)
    assert report.connections == len(accepted) == 2
    # The second hello is one that no server stumbles over (RFC 7685 has the reason for 255).
    assert len(accepted[1]) - 5 < 256 < len(accepted[0])
    assert "in two attempts" in report.error
    assert "--starttls" in report.fix
    assert report.versions == {}


def test_a_server_that_is_silent_to_tls13_alone_is_asked_for_the_rest(pki: Pki) -> None:
    config = ServerConfig(credentials=pki.server("localhost"), versions=["TLSv1.2"])

    def serve(sock: socket.socket) -> None:
        if b"\x00\x2b\x00\x03\x02\x03\x04" in sock.recv(65536, socket.MSG_PEEK):
            silent(sock)
        ours(config)(sock)

    with listening(serve) as port:
        report = scanned(port, pki, timeout=0.5)
    assert report.speaks("TLSv1.2")
    assert report.versions["TLSv1.3"].value is None
    assert (report.error, report.fix) == ("", "")


def test_a_server_that_is_silent_before_tls_is_told_from_one_without_a_connection() -> None:
    def hang_up_early(sock: socket.socket) -> None:
        sock.sendall(b"220 mail.example.com ready\r\n")
        sock.recv(100)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with listening(silent) as port:
        report = scanned(port, starttls="smtp", timeout=0.2)
    assert report.error == "The server said nothing more for 0.2 s."
    assert "--starttls" in report.fix
    assert report.connections == 1
    with listening(hang_up_early) as port:
        report = scanned(port, starttls="smtp", timeout=5)
    assert report.error.startswith("the connection broke before TLS began: ")


def test_a_host_has_a_time_and_a_number_of_connections(pki: Pki) -> None:
    config = ServerConfig(credentials=pki.server("localhost"))
    with listening(ours(config)) as port:
        few = scanned(port, pki, host_connections=12)
        short = scanned(port, pki, host_seconds=0.005)
    assert few.connections == 12
    assert "12 connections were not enough" in few.incomplete[0]
    assert few.speaks("TLSv1.3")
    assert "0.005 s were not enough" in short.incomplete[0]
    assert (few.broken_off, short.broken_off) == (True, True)


def test_starttls_comes_before_each_hello(pki: Pki) -> None:
    config = ServerConfig(credentials=pki.server("localhost"), versions=["TLSv1.3"])

    def serve(sock: socket.socket) -> None:
        sock.sendall(b"+OK ready\r\n")
        if sock.recv(100) == b"STLS\r\n":
            sock.sendall(b"+OK begin\r\n")
            ours(config)(sock)

    with listening(serve) as port:
        report = scanned(port, pki, starttls="pop3")
        assert report.speaks("TLSv1.3")
        assert (report.incomplete, report.broken_off) == ([], False)
        refused = scanned(port, pki, starttls="ftp", timeout=0.5)
    assert refused.error


def test_many_hosts_are_scanned_at_once_and_one_failure_stays_one(pki: Pki) -> None:
    config = ServerConfig(credentials=pki.server("localhost"), versions=["TLSv1.3"])
    with listening(ours(config)) as port:
        targets = [Target(f"127.0.0.{n}", port, "localhost") for n in range(1, 7)]
        targets += [Target("not a name", port), Target("127.0.0.1", 1, "localhost")]

        async def all_of_them() -> list[Report]:
            settings = ScanSettings(trust=pki.trust, concurrency=3)
            return [report async for report in scan_all(targets, settings)]

        reports = asyncio.run(all_of_them())
    assert {report.target for report in reports} == set(targets)
    assert [report.speaks("TLSv1.3") for report in reports].count(True) == 6
    errors = {report.target.host: report.error for report in reports if report.error}
    assert errors.keys() == {"not a name", "127.0.0.1"}


@pytest.mark.parametrize("host", ["fe80::1%lo", "::1%1", "1.2.3.4%5"])
def test_no_resolver_is_asked_for_an_address(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []

    def lookup(*arguments: object, **options: int) -> list[object]:
        asked.append((options.get("flags", 0), threading.current_thread()))
        raise socket.gaierror(socket.EAI_NONAME, "no such address")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    report = asyncio.run(scan(Target(host, 1, "localhost")))
    assert report.error == "no connection: no such address."
    assert set(asked) == {(socket.AI_NUMERICHOST, threading.main_thread())}


def test_no_more_hosts_are_scanned_at_once_than_there_are_descriptors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = most = 0

    async def count(target: Target, *_: object) -> Report:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return Report(target)

    async def number() -> int:
        targets = (Target(f"127.0.0.{each}") for each in range(9))
        return len([report async for report in scan_all(targets, ScanSettings(concurrency=9))])

    monkeypatch.setattr(runner, "scan_any", count)
    monkeypatch.setattr(runner, "connections_possible", lambda: 2)
    assert (asyncio.run(number()), most) == (9, 2)


def test_a_pace_spreads_the_connections() -> None:
    async def turns() -> float:
        pace, began = Pace(50), time.monotonic()
        await asyncio.gather(*(pace.turn() for _ in range(11)))
        return time.monotonic() - began

    assert 0.19 < asyncio.run(turns()) < 2


def test_a_scan_does_not_verify_by_its_config() -> None:
    with pytest.raises(ConfigurationError, match="verify_peer"):
        ScanSettings(config=ClientConfig())


def test_the_wait_for_the_rate_is_no_time_of_the_host(pki: Pki) -> None:
    config = ServerConfig(credentials=pki.server("localhost"), versions=["TLSv1.3"])
    with listening(ours(config)) as port:
        report = scanned(port, pki, rate=40.0, host_seconds=1.5, host_connections=80)
    assert (report.error, report.broken_off) == ("", False)
    assert report.elapsed > report.connections / 40.0 - 0.5


def test_endless_tickets_are_told_as_this_sides_limit() -> None:
    with FaultyServer("endless-tickets") as server:
        report = scanned(server.port)
    tickets = report.features["tickets"]
    assert tickets.value is None
    assert report.features["early_data"].value is None
    assert "this scan gave up: " in tickets.says


def test_a_server_whose_handshake_fails_shows_nothing_of_tls13() -> None:
    with FaultyServer("bad-finished") as server:
        report = scanned(server.port)
    assert [each for each in report.incomplete if each.startswith("What TLS 1.3 encrypts: ")]
    assert not {"tickets", "early_data", "resumption"} & set(report.features)


def test_names_without_an_answer_hold_up_no_other_host(
    pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up, ended = socket.getaddrinfo, threading.Event()

    def slow(host: str, *arguments: Any, **named: Any) -> Any:
        if host.endswith("dead.example"):
            ended.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return looked_up(host, *arguments, **named)

    async def reports(targets: list[Target], settings: ScanSettings) -> list[Report]:
        return [report async for report in scan_all(targets, settings)]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    dead = [Target(f"{number}.dead.example") for number in range(12)]
    config = ServerConfig(credentials=pki.server("localhost"), versions=["TLSv1.3"])
    with listening(ours(config)) as port:
        settings = ScanSettings(trust=pki.trust, timeout=2.0, concurrency=13)
        found = asyncio.run(reports([*dead, Target("localhost", port)], settings))
    ended.set()
    errors = {report.target.host: report.error for report in found}
    assert errors.pop("localhost") == ""
    assert set(errors.values()) == {
        f"the name {each.host} was not resolved within 2 s: no DNS server answered."
        for each in dead
    }


def test_the_wait_for_a_thread_is_no_time_of_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(host: str, *arguments: Any, **named: Any) -> Any:
        time.sleep(0.4)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def reports() -> list[Report]:
        pace, settings = Pace(0, lookups=1), ScanSettings(timeout=0.8, host_seconds=0.8)
        targets = [Target(f"{number}.example") for number in range(5)]
        return await asyncio.gather(*(scan(each, settings, pace=pace) for each in targets))

    monkeypatch.setattr(socket, "getaddrinfo", refused)
    assert {each.error for each in asyncio.run(reports())} == {
        "no connection: Name or service not known."
    }


def test_too_many_open_files_are_this_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*arguments: Any) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    async def one() -> Report:
        settings = ScanSettings()
        loop_sockets = socket.socket
        monkeypatch.setattr("handclasp.scan.runner.socket.socket", none_left)
        try:
            return await scan(Target("127.0.0.1", 9), settings)
        finally:
            monkeypatch.setattr("handclasp.scan.runner.socket.socket", loop_sockets)

    assert "this machine's limit of open files" in asyncio.run(one()).error
