"""ECH configurations out of HTTPS records (RFC 9460, RFC 9848), over the DNS and over HTTPS."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dns.asyncresolver
import dns.rcode
import dns.resolver
import pytest
from tests.dns.servers import (
    SECONDS,
    Zone,
    dns_server,
    doh_server,
    http_answer,
    resolver_at,
)
from tests.pki import Pki

from handclasp import ClientConfig, ConfigurationError, EchConfig, EchConfigList, EchKey
from handclasp.dns import (
    DnsError,
    HttpsEndpoint,
    NoEchError,
    check_lookup,
    lookup_ech,
    lookup_ech_async,
)
from handclasp.wire.ech import make_ech_config

NAME = "secret.test"
CONFIGS = EchConfigList(EchKey.generate("public.test").configs)
OTHERS = EchConfigList(EchKey.generate("other.test").configs)
UNKNOWN = EchConfigList([EchConfig(bytes.fromhex("fe0a0000"), 0xFE0A)])
ECH = f'ech="{CONFIGS.to_base64()}"'
WAYS = ("dns", "dns async", "doh", "doh async")

Lookup = Callable[..., HttpsEndpoint]


@pytest.fixture
def pki() -> Pki:
    return Pki()


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextmanager
def asking(way: str, zone: Zone, pki: Pki, **settings: Any) -> Iterator[Lookup]:
    """Give a function that looks up a name in one of the ways."""

    def lookup(*arguments: Any, **more: Any) -> HttpsEndpoint:
        call = lookup_ech_async if way.endswith("async") else lookup_ech
        found: Any = call(*arguments, **given | {"timeout": SECONDS} | more)
        endpoint: HttpsEndpoint = asyncio.run(found) if way.endswith("async") else found
        return endpoint

    if way.startswith("doh"):
        with doh_server(zone, pki, **settings) as url:
            trust = ClientConfig(trust=pki.trust)
            given: dict[str, Any] = {"doh": url, "doh_config": trust, "addresses": False}
            yield lookup
    else:
        with dns_server(zone) as port:
            module = dns.asyncresolver if way.endswith("async") else dns.resolver
            given = {"resolver": resolver_at(port, module)}
            yield lookup


def zone_of(*records: str | bytes, name: str = NAME) -> Zone:
    return Zone({(name, "HTTPS"): list(records)})


def test_a_record(way: str, pki: Pki) -> None:
    zone = zone_of(f"1 . alpn=h2 {ECH}")
    with asking(way, zone, pki) as lookup:
        assert lookup(NAME) == HttpsEndpoint(NAME, 443, CONFIGS)
    assert zone.asked == [(NAME, "HTTPS")]


@pytest.mark.parametrize("doh", ["doh", "doh async"])
def test_the_addresses_come_from_the_same_server_over_https(doh: str, pki: Pki) -> None:
    zone = zone_of(f"1 host.test. {ECH}")
    zone.records["host.test", "CNAME"] = ["canonical.test."]
    zone.records["canonical.test", "A"] = ["192.0.2.1", "192.0.2.2"]
    zone.records["canonical.test", "AAAA"] = ["2001:db8::1"]
    with asking(doh, zone, pki) as lookup:
        endpoint = lookup(NAME, addresses=True)
    assert endpoint.addresses[0] == "2001:db8::1"
    assert sorted(endpoint.addresses[1:]) == ["192.0.2.1", "192.0.2.2"]
    assert zone.asked[1:] == [("host.test", "AAAA"), ("host.test", "A")]


def test_the_resolver_is_not_asked_for_addresses(pki: Pki) -> None:
    zone = zone_of(f"1 . {ECH}")
    with asking("dns", zone, pki) as lookup:
        assert lookup(NAME, addresses=True).addresses == ()
    assert zone.asked == [(NAME, "HTTPS")]


@pytest.mark.parametrize(
    ("host", "rcode", "words"),
    [
        (NAME, dns.rcode.NXDOMAIN, f"has no address for {NAME}"),
        ("host.test", dns.rcode.NXDOMAIN, "has no address for host.test: it knows no such name"),
        ("host.test", dns.rcode.SERVFAIL, "The address (AAAA) of host.test cannot be looked up"),
    ],
)
def test_an_endpoint_without_an_address(pki: Pki, host: str, rcode: Any, words: str) -> None:
    zone = zone_of(f"1 {host}. {ECH}")
    zone.rcode = rcode
    with asking("doh", zone, pki) as lookup, pytest.raises(DnsError) as caught:
        lookup(NAME, addresses=True)
    assert not isinstance(caught.value, NoEchError)
    assert words in str(caught.value)


def test_another_port_has_another_name(way: str, pki: Pki) -> None:
    zone = zone_of(f"1 {NAME}. port=9443 {ECH}", name=f"_8443._https.{NAME}")
    with asking(way, zone, pki) as lookup:
        assert lookup(f"{NAME.upper()}.", 8443) == HttpsEndpoint(NAME, 9443, CONFIGS)


def test_an_answer_that_does_not_fit_into_a_datagram(way: str, pki: Pki) -> None:
    records = [f"{number} host{number}.test. {ECH}" for number in range(40, 0, -1)]
    with asking(way, zone_of(*records), pki) as lookup:
        assert lookup(NAME).host == "host1.test"


@pytest.mark.parametrize(
    ("records", "host"),
    [
        ([f"2 second.test. {ECH}", f"1 first.test. {ECH}"], "first.test"),
        (["1 first.test. alpn=h2", f"2 second.test. {ECH}"], "second.test"),
        # What has to be understood, and is not (RFC 9460 section 8).
        ([f"1 first.test. mandatory=key999 key999=x {ECH}", f"2 . {ECH}"], NAME),
        ([f"1 first.test. mandatory=ech,alpn alpn=h2 key999=x {ECH}", f"2 . {ECH}"], "first.test"),
        (
            [
                f'1 a.test. ech="{UNKNOWN.to_base64()}"',
                f"2 . {ECH}",
            ],
            NAME,
        ),
    ],
)
def test_the_first_record_that_can_be_used(pki: Pki, records: list[str], host: str) -> None:
    with asking("dns", zone_of(*records), pki) as lookup:
        assert lookup(NAME) == HttpsEndpoint(host, 443, CONFIGS)


def test_aliases_are_followed(way: str, pki: Pki) -> None:
    zone = Zone(
        {
            (f"_8443._https.{NAME}", "HTTPS"): ["0 alias.test."],
            ("alias.test", "CNAME"): ["canonical.test."],
            # In one with an alias, everything else is ignored (RFC 9460 section 2.4.1).
            ("canonical.test", "HTTPS"): [f"1 wrong.test. {ECH}", "0 service.test."],
            ("service.test", "HTTPS"): [f"1 . {ECH}"],
        }
    )
    with asking(way, zone, pki) as lookup:
        assert lookup(NAME, 8443) == HttpsEndpoint("service.test", 8443, CONFIGS)


def test_aliases_come_to_an_end(way: str, pki: Pki) -> None:
    zone = zone_of(f"0 {NAME}.")
    with asking(way, zone, pki) as lookup, pytest.raises(DnsError, match="more than 4 aliases"):
        lookup(NAME)
    assert len(zone.asked) == 5


@pytest.mark.parametrize("kind", ["resolver", "doh"])
def test_cnames_come_to_an_end(kind: str, pki: Pki) -> None:
    zone = Zone({(NAME, "CNAME"): [f"{NAME}."]})
    way = "dns" if kind == "resolver" else "doh"
    with asking(way, zone, pki) as lookup, pytest.raises(DnsError) as caught:
        lookup(NAME, timeout=3)
    assert not isinstance(caught.value, NoEchError)


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        (Zone(), "does not know the name secret.test"),
        (Zone({(NAME, "A"): ["127.0.0.1"]}), "has no HTTPS record"),
        (zone_of("0 ."), "there is no such service"),
        (zone_of("1 . alpn=h2"), "a record has no parameter ech"),
        (zone_of(f"1 . mandatory=key999 key999=x {ECH}"), "demands parameters"),
        (
            zone_of(f'1 . ech="{UNKNOWN.to_base64()}"'),
            "its version is 0xfe0a",
        ),
    ],
)
def test_names_without_a_configuration(way: str, pki: Pki, zone: Zone, words: str) -> None:
    with asking(way, zone, pki) as lookup, pytest.raises(NoEchError, match=words) as caught:
        lookup(NAME)
    assert caught.value.name == "DNS_NO_ECH"


def parameter(number: int, data: bytes) -> bytes:
    return b"\0\1\0" + number.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data


@pytest.mark.parametrize(
    "record",
    [
        parameter(5, b"\0\7\xfe\x0d\0\3abc"),
        parameter(5, b"\0\4\xfe\x0d\0"),
        parameter(5, b""),
        parameter(3, b"\0"),
        parameter(3, b"\0\1") + parameter(3, b"\0\1")[3:],
        parameter(0, b"\0\5"),
        b"\0",
        b"\0\1\7abc",
    ],
)
def test_malformed_records(way: str, pki: Pki, record: bytes) -> None:
    with (
        asking(way, zone_of(record), pki) as lookup,
        pytest.raises(DnsError, match="malformed") as caught,
    ):
        lookup(NAME, timeout=0.6)
    assert caught.value.name == "DNS_MALFORMED"
    assert not isinstance(caught.value, NoEchError)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ("1 " + r"\255" * 40 + f".test. {ECH}", "no host's name"),
        (rf"1 \027\[31mX.test. {ECH}", "no host's name"),
        (f"1 127.0.0.1. {ECH}", "'127.0.0.1' is no host's name"),
        (f"1 0x7f.1. {ECH}", "'0x7f.1' is no host's name"),
        (f"1 cdn.test. port=0 {ECH}", "port 0 for cdn.test"),
    ],
)
def test_places_where_nobody_can_connect(way: str, pki: Pki, record: str, words: str) -> None:
    with (
        asking(way, zone_of(record), pki) as lookup,
        pytest.raises(DnsError, match=words) as caught,
    ):
        lookup(NAME)
    assert caught.value.name == "DNS_MALFORMED"
    assert str(caught.value).isprintable()


def test_the_reasons_of_many_records_are_few(pki: Pki) -> None:
    config = CONFIGS[0]
    made = [
        make_ech_config(1, config.kem, config.public_key, [(1, 1)], 0, f"{number}_" * 60)
        for number in range(200)
    ]
    configs = EchConfigList(made)
    zone = zone_of(f'1 . ech="{configs.to_base64()}"')
    with asking("doh", zone, pki) as lookup, pytest.raises(NoEchError, match="more") as caught:
        lookup(NAME)
    assert len(str(caught.value)) < 600
    with pytest.raises(ConfigurationError, match="more") as refused:
        ClientConfig(ech=configs)
    assert len(str(refused.value)) < 600


def test_the_owner_behind_a_cname_is_the_host(way: str, pki: Pki) -> None:
    zone = zone_of(f"1 . {ECH}", name="cdn.test")
    zone.records[NAME, "CNAME"] = ["cdn.test."]
    with asking(way, zone, pki) as lookup:
        assert lookup(NAME).host == "cdn.test"


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED])
def test_servers_that_fail(way: str, pki: Pki, rcode: Any) -> None:
    with asking(way, Zone(rcode=rcode), pki) as lookup, pytest.raises(DnsError) as caught:
        lookup(NAME)
    assert not isinstance(caught.value, NoEchError)
    assert caught.value.name == "DNS_FAILED"
    assert dns.rcode.to_text(rcode) in str(caught.value)


def test_servers_that_do_not_answer(way: str, pki: Pki) -> None:
    began = time.monotonic()
    with (
        asking(way, Zone(is_silent=True), pki) as lookup,
        pytest.raises(DnsError, match=r"within 0\.5 seconds") as caught,
    ):
        lookup(NAME, timeout=0.5)
    assert caught.value.name == "DNS_TIMEOUT"
    assert time.monotonic() - began < SECONDS / 2


def right(message: bytes) -> bytes:
    answer = zone_of(f"1 . {ECH}").answer(message)
    assert answer is not None
    return answer


def chunked(message: bytes) -> bytes:
    body = right(message)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: Application/DNS-Message\r\n"
    parts = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:9], body[9:]))
    return head + b"transfer-encoding: chunked\r\n\r\n" + parts + b"0\r\n\r\n"


def until_the_end(message: bytes) -> bytes:
    return http_answer(right(message)).replace(b"Content-Length", b"X-Length")


@pytest.mark.parametrize("respond", [chunked, until_the_end])
@pytest.mark.parametrize("way", ["doh", "doh async"])
def test_forms_of_http_answers(way: str, pki: Pki, respond: Any) -> None:
    with asking(way, Zone(), pki, respond=respond) as lookup:
        assert lookup(NAME).configs == CONFIGS


@pytest.mark.parametrize(
    ("respond", "words"),
    [
        (lambda message: b"", "is not whole"),
        (lambda message: b"SSH-2.0-something\r\n", "is not whole, or no HTTP"),
        (lambda message: http_answer(right(message), status="404 Not Found"), "HTTP status 404"),
        (lambda message: http_answer(b"<html>", kind="text/html"), "'text/html'"),
        (lambda message: http_answer(right(message))[:-1], "is not whole"),
        (lambda message: http_answer(b""), "malformed|cannot be looked up"),
        (lambda message: http_answer(message), "cannot be looked up"),
        (
            lambda message: http_answer(right(message).replace(b"\6secret", b"\6public")),
            "about something else",
        ),
        (lambda message: http_answer(bytes(100_000)), "more than"),
        (lambda message: b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000, "is not whole"),
        (
            lambda message: chunked(message).partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + b"f" * 20,
            "is not whole",
        ),
        (lambda message: b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, "is not whole"),
    ],
)
@pytest.mark.parametrize("way", ["doh", "doh async"])
def test_http_answers_that_are_none(way: str, pki: Pki, respond: Any, words: str) -> None:
    with (
        asking(way, Zone(), pki, respond=respond) as lookup,
        pytest.raises(DnsError, match=words) as caught,
    ):
        lookup(NAME)
    assert not isinstance(caught.value, NoEchError)


@pytest.mark.parametrize("way", ["doh", "doh async"])
def test_a_server_over_https_is_verified(way: str, pki: Pki) -> None:
    with (
        asking(way, zone_of(f"1 . {ECH}"), pki) as lookup,
        pytest.raises(DnsError, match=r"Nobody|issued|trust") as caught,
    ):
        lookup(NAME, doh_config=ClientConfig(trust=Pki().trust))
    assert caught.value.name == "DNS_FAILED"


def test_queries_over_https_are_padded(pki: Pki) -> None:
    sizes: list[int] = []

    def respond(message: bytes) -> bytes:
        sizes.append(len(message))
        assert message[:2] == b"\0\0"
        return http_answer(b"")

    for name in ("a.test", "a-longer-name.of-the-same.server.test"):
        with asking("doh", Zone(), pki, respond=respond) as lookup, pytest.raises(DnsError):
            lookup(name)
    assert sizes == [128, 128]


@pytest.mark.parametrize(
    ("arguments", "settings", "words"),
    [
        (("127.0.0.1",), {}, "is an address"),
        (("::1",), {}, "is an address"),
        (("no host",), {}, "neither a DNS name"),
        ((NAME, 0), {}, "port must be"),
        ((NAME, "443"), {}, "port must be"),
        ((NAME,), {"timeout": 0}, "timeout must be"),
        ((NAME,), {"timeout": float("nan")}, "timeout must be"),
        ((NAME,), {"timeout": float("inf")}, "timeout must be"),
        ((NAME,), {"timeout": 1e10}, "timeout must be"),
        ((NAME,), {"resolver": 5}, "resolver must be"),
        ((NAME,), {"doh": "https://a..b/"}, "neither a DNS name"),
        ((NAME,), {"doh": f"https://{'a' * 64}.test/"}, "neither a DNS name"),
        ((NAME,), {"doh": "https://-a.test/"}, "begins or ends with a hyphen"),
        ((NAME,), {"doh": "https://:pw@127.0.0.1/"}, "is not the URL"),
        ((NAME,), {"doh": "https://127.0.0.1:0/"}, "is not the URL"),
        ((NAME,), {"doh": "http://127.0.0.1/dns-query"}, "is not the URL"),
        ((NAME,), {"doh": "https://127.0.0.1/dns query"}, "is not the URL"),
        ((NAME,), {"doh": "https://127.0.0.1/\r\nX: y"}, "is not the URL"),
        ((NAME,), {"doh": "https://127.0.0.1:99999/"}, "is not a URL"),
        ((NAME,), {"doh": "https://127.0.0.1/", "resolver": object()}, "exclude each other"),
        ((NAME,), {"doh_config": ClientConfig()}, "doh_config needs doh"),
        (
            (NAME,),
            {"doh": "https://127.0.0.1/", "doh_config": ClientConfig(ech=CONFIGS)},
            "leave it out",
        ),
    ],
)
def test_wrong_arguments(arguments: Any, settings: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        lookup_ech(*arguments, **settings)
    with pytest.raises(ConfigurationError, match=words):
        check_lookup(*arguments, **settings)
    with pytest.raises(ConfigurationError, match=words):
        asyncio.run(lookup_ech_async(*arguments, **settings))


def test_without_dnspython(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dns", None)
    for name in ("dns.asyncresolver", "dns.message"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ConfigurationError, match=r"pip install 'handclasp\[dns\]'"):
        lookup_ech(NAME)


def test_a_system_without_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: Any) -> None:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver.Resolver, "read_resolv_conf", read)
    with pytest.raises(DnsError, match="cannot be looked up"):
        lookup_ech(NAME)
