"""The lists of a hello, by name, however often they come."""

from __future__ import annotations

from handclasp.handshake import offered
from handclasp.iana import MOST_UNNAMED, GroupCode, SignatureSchemeCode, offered_names
from handclasp.wire import extensions as ext
from handclasp.wire.writer import uint16s


def test_names_in_the_client_s_order() -> None:
    for _ in range(2):
        assert offered.offered_versions(bytes.fromhex("04 0304 0303")) == ("TLSv1.3", "TLSv1.2")
        groups = ext.write_supported_groups([0x2A2A, GroupCode.x25519])
        assert offered.offered_groups(groups) == ("GREASE 0x2a2a", "X25519")
        schemes = ext.write_signature_algorithms([SignatureSchemeCode.ed25519, 0x1234])
        assert offered.offered_schemes(schemes) == ("ed25519", "0x1234")
        assert offered.offered_protocols(ext.write_alpn([b"h2", b"\xff"])) == (b"h2", b"\xff")
        assert offered.asked_name(ext.write_server_name("a.example")) == "a.example"


def test_suites_of_a_long_list_too() -> None:
    assert offered.offered_suites(uint16s((0x1301, 0x1302))) == offered.offered_suites(
        uint16s((0x1301, 0x1302))
    )
    long = tuple(range(0x1000, 0x1000 + MOST_UNNAMED))
    assert offered.offered_suites(uint16s((*long, 0x1301)))[-1] == "TLS_AES_128_GCM_SHA256"


def test_each_name_stands_once_where_it_came_first() -> None:
    for times in (1, 1000):  # What is long is not kept in the cache.
        assert offered.offered_suites(uint16s((0x1302, 0x1301, 0x1302) * times)) == (
            "TLS_AES_256_GCM_SHA384",
            "TLS_AES_128_GCM_SHA256",
        )
        groups = ext.write_supported_groups([GroupCode.x25519, 0x1234, GroupCode.x25519] * times)
        assert offered.offered_groups(groups) == ("X25519", "0x1234")
        schemes = ext.write_signature_algorithms([SignatureSchemeCode.ed25519] * times)
        assert offered.offered_schemes(schemes) == ("ed25519",)
        protocols = ext.write_alpn([b"h2", b"x", b"h2"] * times)
        assert offered.offered_protocols(protocols) == (b"h2", b"x")
    assert offered.offered_versions(bytes.fromhex("06 0304 0303 0304")) == ("TLSv1.3", "TLSv1.2")


def test_of_what_has_no_name_the_first_are_kept_and_of_what_has_one_all() -> None:
    # Those of two drafts have names.
    unnamed = [each for each in range(0x6000, 0x6000 + 16_000) if each not in (0x6399, 0x639A)]
    groups = ext.write_supported_groups([*unnamed, GroupCode.x448, GroupCode.secp256r1])
    names = offered.offered_groups(groups)
    assert names == (*(f"0x{each:04x}" for each in unnamed[:MOST_UNNAMED]), "X448", "secp256r1")


def test_a_long_list_for_people() -> None:
    assert offered_names((), 2) == "nothing"
    assert offered_names(("a", "b"), 2) == "a, b"
    assert offered_names(("a", "b", "c"), 2) == "a, b and 1 more"
    # Of so many, some may be left out already.
    assert offered_names(("a",) * MOST_UNNAMED, 2) == f"a, a and at least {MOST_UNNAMED - 2} more"
