"""The tests of CPython that cannot pass on handclasp's contexts, each with the reason."""

from __future__ import annotations

import sys

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

_NO_PHA = "Post-handshake authentication (RFC 8446 section 4.6.2) is not there yet."
_NO_UNIQUE = "RFC 8446 section C.5 leaves tls-unique undefined in TLS 1.3, so it is None."

EXPECTED = {
    **{
        f"test.test_ssl.TestPostHandshakeAuth.{name}": _NO_PHA
        for name in (
            "test_bpo37428_pha_cert_none",
            "test_internal_chain_server",
            "test_pha_no_pha_client",
            "test_pha_no_pha_server",
            "test_pha_not_tls13",
            "test_pha_optional",
            "test_pha_optional_nocert",
            "test_pha_required",
        )
    },
    **{
        f"test.test_ssl.ThreadedTests.{name}": (
            "TLS 1.2 has no pre-shared keys here, and those of TLS 1.3 belong in a config: raises."
        )
        for name in ("test_psk", "test_psk_tls1_3")
    },
    "test.test_ssl.TestSSLDebug.test_msg_callback_tls12": (
        "_msg_callback is a private hook for debugging; traces take its place."
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

if sys.version_info < (3, 13):  # From then on, the tests do not ask for it in TLS 1.3.
    EXPECTED["test.test_ssl.SimpleBackgroundTests.test_bio_handshake"] = _NO_UNIQUE
    EXPECTED["test.test_ssl.ThreadedTests.test_tls_unique_channel_binding"] = _NO_UNIQUE
