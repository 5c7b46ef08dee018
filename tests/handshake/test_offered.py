"""The lists of a hello, by name, however often they come."""

from __future__ import annotations

from handclasp.handshake import offered
from handclasp.wire import extensions as ext
from handclasp.wire.iana import GroupCode, SignatureSchemeCode


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
    assert offered.suite_names((0x1301, 0x1302)) == offered.suite_names((0x1301, 0x1302))
    assert offered.suite_names((0x1301,) * 1000) == ("TLS_AES_128_GCM_SHA256",) * 1000
