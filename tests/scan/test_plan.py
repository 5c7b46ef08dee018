"""The plan of a scan against servers that are functions: each is found as it is configured."""

from __future__ import annotations

import pytest
from tests.pki import Pki
from tests.scan.model import Model

from handclasp.iana import TLS12, TLS13
from handclasp.scan.hello import SSL30, TLS10, TLS11
from handclasp.scan.steps import Ask

GOOD12 = (0xC02F, 0xC030, 0x009C)
OLD = (0x002F, 0x000A, 0x0005)


def test_versions_are_found_each_by_itself() -> None:
    report = Model({TLS13: (0x1301,), TLS11: OLD, SSL30: OLD}, ssl2=True).examine()
    assert [name for name, fact in report.versions.items() if fact.value] == [
        "TLSv1.3",
        "TLSv1.1",
        "SSLv3",
        "SSLv2",
    ]
    assert report.versions["TLSv1.2"].says == "it chose TLSv1.1"
    assert report.versions["TLSv1.3"].evidence.startswith(b"\x02\x00\x00")


@pytest.mark.parametrize(
    ("client_order", "order"), [(False, "server"), (True, "client")], ids=["server", "client"]
)
def test_the_order_of_suites_is_the_servers_or_the_clients(client_order: bool, order: str) -> None:
    # The model's order is neither that of the hello nor its reverse.
    suites = (0x009C, 0xC030, 0xC02F)
    report = Model({TLS12: suites}, client_order=client_order).examine()
    found = report.suites["TLSv1.2"]
    assert found.order == order
    names = ("TLS_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384")
    if order == "server":
        assert found.names[:2] == names
    assert set(names) < set(found.names)
    assert set(found.evidence) == set(found.names)


def test_suites_of_several_lists_get_one_order() -> None:
    rare = 0xC0AE  # TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8, which stands in a later list.
    report = Model({TLS12: (rare, 0xC02F)}).examine()
    assert report.suites["TLSv1.2"].names == (
        "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    )


def test_groups_come_from_retries_and_from_key_exchanges() -> None:
    model = Model({TLS13: (0x1301,), TLS12: GOOD12}, groups=(0x11EC, 0x001D), curves=(0x0018,))
    report = model.examine()
    assert report.groups == {
        "TLSv1.3": ("X25519MLKEM768", "X25519"),
        "TLSv1.2": ("secp384r1",),
    }
    # No hello of TLS 1.3 had a share: none of the two ends made a key.
    asked = [each.hello for each in model.asked if isinstance(each, Ask)]
    assert not any(hello.shares for hello in asked)


def test_schemes_and_protocols_of_tls12_are_read_in_the_clear() -> None:
    model = Model({TLS12: GOOD12}, schemes=(0x0601, 0x0201), alpn=(b"http/1.1", b"h2"))
    report = model.examine()
    assert report.schemes["TLSv1.2"] == ("rsa_pkcs1_sha512", "rsa_pkcs1_sha1")
    assert report.alpn == ("http/1.1", "h2")


def test_the_extensions_are_those_that_were_answered() -> None:
    extensions = {23: b"", 35: b"", 15: b"\1", 0xFF01: b"\0"}
    model = Model({TLS12: (*GOOD12, 0x002F)}, extensions=extensions, staple=b"0\3\2\1\1")
    model.compression = 1
    features = model.examine().features
    answered = {name for name, fact in features.items() if fact.value is True}
    assert answered == {
        "extended_master_secret",
        "session_ticket",
        "heartbeat",
        "secure_renegotiation",
        "compression",
        "ocsp_staple",
        "session_id",
    }
    assert features["encrypt_then_mac"].value is False


def test_encrypt_then_mac_is_unknown_without_cbc() -> None:
    # RFC 7366 section 3: a server answers it only with a suite of CBC.
    assert "encrypt_then_mac" not in Model({TLS12: GOOD12}).examine().features


def test_the_prime_of_dhe_is_measured() -> None:
    report = Model({TLS12: (0x009E, 0xC02F)}).examine()
    assert report.features["dh_bits"].value == 1024


@pytest.mark.parametrize("fallback", [True, False])
def test_the_fallback_signal_is_heeded_or_not(fallback: bool) -> None:
    report = Model({TLS12: GOOD12, TLS10: OLD}, fallback=fallback).examine()
    assert report.features["fallback_scsv"].value is fallback
    assert "fallback_scsv" not in Model({TLS12: GOOD12}).examine().features


@pytest.mark.parametrize(("end", "found"), [(b"DOWNGRD\1", True), (bytes(8), False)])
def test_the_sentinel_is_found_where_there_is_a_newer_version(end: bytes, found: bool) -> None:
    model = Model({TLS13: (0x1301,), TLS12: GOOD12}, random_end=end)
    assert model.examine().features["downgrade_sentinel"].value is found
    assert "downgrade_sentinel" not in Model({TLS12: GOOD12}).examine().features


def test_chains_are_kept_once_with_their_schemes() -> None:
    chain = Pki().server("example.com").chain_der
    report = Model({TLS12: GOOD12}, chain=chain).examine()
    (found,) = report.chains
    assert found.chain_der == chain
    assert found.schemes == ["rsa_pss_rsae_sha256", "rsa_pkcs1_sha256"]


def test_a_server_that_accepts_nothing_is_an_error_with_the_reason() -> None:
    report = Model({}).examine()
    assert report.error == "It accepts no version of TLS: alert protocol_version."


def test_a_server_that_chooses_what_was_not_offered_ends_the_rounds() -> None:
    class Wilful(Model):
        def reply(self, asked: Ask) -> bytes:
            answer = super().reply(asked)
            return (
                answer.replace(b"\xc0\x2f", b"\xc0\x30") if len(asked.hello.suites) < 9 else answer
            )

    model = Wilful({TLS12: (0xC02F, 0xC030)}, client_order=True)
    report = model.examine()
    assert len(model.asked) < 60
    assert report.suites["TLSv1.2"].names
