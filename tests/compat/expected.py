"""The tests of CPython and of trio that cannot pass on handclasp's contexts, with reasons."""

from __future__ import annotations

SUITES = [
    "test.test_ssl",
    "test.test_asyncio.test_ssl",
    "test.test_asyncio.test_sslproto",
    "test.test_asyncio.test_streams",
    "test.test_ftplib",
    "test.test_poplib",
    "test.test_imaplib",
    "test.test_httplib",
    "test.test_urllib2_localnet",
]
"""The suites of CPython that use `ssl`."""

SUITES_OF_TRIO = ["trio._tests.test_ssl", "trio._tests.test_highlevel_ssl_helpers"]

EXPECTED = {
    **{
        f"trio test_renegotiation_simple[{version}]": (
            "A renegotiation of TLS 1.2 is refused: it has been attacked, and TLS 1.3 has none."
        )
        for version in ("tls12", "tls13")
    },
    "test.test_ssl.ThreadedTests.test_psk": "TLS 1.2 has no pre-shared keys here: raises.",
    "test.test_ssl.ThreadedTests.test_psk_tls1_3": (
        "Its key has 4 bytes, and with fewer than 16 anybody could try all: raises."
    ),
    "test.test_ssl.ContextTests.test_load_dh_params": (
        "handclasp has no finite-field groups, so load_dh_params raises."
    ),
    "test.test_ssl.ThreadedTests.test_dh_params": (
        "handclasp has no finite-field groups, so load_dh_params raises."
    ),
    "test.test_ssl.ContextTests.test_min_max_version": (
        "A maximum below TLS 1.2 cannot be honoured, so it raises."
    ),
    "test.test_ssl.ContextTests.test_verify_flags": (
        "Proxy certificates (RFC 3820) are not supported, so their flag raises."
    ),
}
