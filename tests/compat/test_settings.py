"""Every setting of `ssl.SSLContext` is honoured, refused, or listed here with its reason."""

from __future__ import annotations

import os
import re
import ssl
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.compat.pairs import CONTEXTS, Bios, Files, client_context, server_context
from tests.pki import Leaf, Pki, self_signed

from handclasp import Recorder
from handclasp.compat import SSLContext
from handclasp.compat.authorities import KNOWN_FLAGS
from handclasp.compat.context import settings_of

HONOURED = {
    "check_hostname",
    "keylog_filename",
    "load_cert_chain",
    "load_default_certs",
    "load_verify_locations",
    "maximum_version",
    "minimum_version",
    "num_tickets",
    "options",
    "protocol",
    "set_alpn_protocols",
    "set_ciphers",
    "set_default_verify_paths",
    "set_ecdh_curve",
    "set_servername_callback",
    "sni_callback",
    "verify_flags",
    "verify_mode",
}
REFUSED = {
    "load_dh_params": "there are no finite-field groups",
    "set_groups": "new in Python 3.15",
    "set_ciphersuites": "new in Python 3.15",
    "set_client_sigalgs": "new in Python 3.15",
    "set_server_sigalgs": "new in Python 3.15",
}
WITHOUT_EFFECT = {
    "hostname_checks_common_name": "a common name never counts (RFC 9525), which is stricter",
    "post_handshake_auth": "without it a client shows its certificate to nobody afterwards",
    "security_level": "cannot be set; the one of set_ciphers is honoured up to 2, or raises",
    "set_npn_protocols": "ssl itself has none of it any more",
    "sslobject_class": "ssl.py's own",
    "sslsocket_class": "ssl.py's own",
}
READ_ONLY = {
    "cert_store_stats",
    "get_ca_certs",
    "get_ciphers",
    "get_groups",
    "session_stats",
    "wrap_bio",
    "wrap_socket",
}
OURS = {
    "ask_about_name",
    "config_of",
    "make_trace",
    "max_early_data",
    "message_callback",
    "note_handshake",
    "resume",
    # `ssl` has them since Python 3.13.
    "set_psk_client_callback",
    "set_psk_server_callback",
}

OPTIONS = {
    "OP_ALL": "works around what is not there",
    "OP_CIPHER_SERVER_PREFERENCE": "honoured",
    "OP_ENABLE_KTLS": "the records are made here, which is slower and no less safe",
    "OP_ENABLE_MIDDLEBOX_COMPAT": "always on",
    "OP_IGNORE_UNEXPECTED_EOF": "a truncation is always told, which is stricter",
    "OP_LEGACY_SERVER_CONNECT": "such servers are refused, which is stricter",
    "OP_NO_COMPRESSION": "there is none",
    "OP_NO_RENEGOTIATION": "there is none",
    "OP_NO_SSLv2": "there is none",
    "OP_NO_SSLv3": "there is none",
    "OP_NO_TICKET": "honoured",
    "OP_NO_TLSv1": "there is none",
    "OP_NO_TLSv1_1": "there is none",
    "OP_NO_TLSv1_2": "honoured",
    "OP_NO_TLSv1_3": "honoured",
    "OP_SINGLE_DH_USE": "there are no finite-field groups",
    "OP_SINGLE_ECDH_USE": "each handshake has a key of its own",
}


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(Pki(), tmp_path)


def test_every_setting_is_known() -> None:
    public = {name for name in dir(SSLContext) if not name.startswith("_")}
    known = HONOURED | READ_ONLY | OURS | REFUSED.keys() | WITHOUT_EFFECT.keys()
    assert public <= known


def test_every_option_is_known() -> None:
    assert set(ssl.Options.__members__) <= OPTIONS.keys()


def test_every_flag_is_honoured_or_refused() -> None:
    for flag in ssl.VerifyFlags:
        context = SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if int(flag) & ~int(KNOWN_FLAGS):
            with pytest.raises(ValueError, match="cannot be honoured"):
                context.verify_flags |= flag
        else:
            context.verify_flags |= flag


@pytest.mark.parametrize("level", [3, 4, 5])
@pytest.mark.parametrize("side", ["server", "client"])
def test_a_security_level_that_cannot_be_honoured(files: Files, side: str, level: int) -> None:
    make = server_context if side == "server" else client_context
    context = make("handclasp", files)
    before, known = context.get_ciphers(), context.security_level
    with pytest.raises(ssl.SSLError, match=f"security level {level}"):
        context.set_ciphers(f"DEFAULT@SECLEVEL={level}")
    assert context.get_ciphers() == before
    assert context.security_level == known
    context.set_ciphers("DEFAULT@SECLEVEL=2")
    assert context.security_level == 2


def test_a_security_level_of_the_system_that_cannot_be_honoured(files: Files) -> None:
    """openssl.cnf may set one, too: then a new context has it from the start."""
    context = client_context("handclasp", files)
    from handclasp.compat.native import Native

    Native.set_ciphers(context, "DEFAULT@SECLEVEL=3")
    with pytest.raises(ssl.SSLError, match="security level 3"):
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")


def test_more_tickets_than_are_ever_sent(files: Files) -> None:
    context = server_context("handclasp", files, num_tickets=16)
    with pytest.raises(ValueError, match="num_tickets 17 cannot be honoured"):
        context.num_tickets = 17
    assert context.num_tickets == 16
    with pytest.raises(ValueError, match="non-negative"):
        context.num_tickets = -1


def test_a_key_log_is_private_from_the_start(files: Files) -> None:
    path = files.directory / "keys.log"
    before = os.umask(0o022)
    try:
        server_context("handclasp", files, keylog_filename=os.fspath(path))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_log_that_others_could_read_is_made_private(files: Files) -> None:
    path = files.write("keys.log", b"")
    path.chmod(0o644)
    context: Any = server_context("handclasp", files, keylog_filename=os.fspath(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    context.keylog_filename = None
    link = files.directory / "link.log"
    link.symlink_to(path)
    with pytest.raises(OSError, match="link"):
        context.keylog_filename = os.fspath(link)
    assert context.keylog_filename is None


def list_of(pki: Pki, *revoked: int) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return pki.crl(revoked).public_bytes(Encoding.PEM)


def is_let_in(server: ssl.SSLContext, client: ssl.SSLContext) -> bool:
    try:
        pair = Bios(server, client).handshake()
        pair.client.write(b"x")
        return pair.server.read(1) == b"x"
    except ssl.SSLError:
        return False


def test_a_list_that_is_added_to_a_directory_counts(files: Files) -> None:
    """As with OpenSSL: the context lives on, and its directory changes."""
    alice = files.leaf("alice", Leaf(("alice.example",), purpose=None, serial_number=4711))
    directory = files.directory / "hashed"
    directory.mkdir()
    (directory / "0123abcd.0").write_bytes(files.pki.ca_pem)
    (directory / "0123abcd.r0").write_bytes(list_of(files.pki, 1))
    server = server_context("handclasp", files, verify_mode=ssl.CERT_REQUIRED)
    server.load_verify_locations(capath=directory)
    server.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    client = client_context("ssl", files)
    client.load_cert_chain(alice)
    assert is_let_in(server, client)
    (directory / "0123abcd.r1").write_bytes(list_of(files.pki, 1, 4711))
    assert not is_let_in(server, client)
    (directory / "0123abcd.r1").unlink()
    assert is_let_in(server, client)
    (directory / "0123abcd.r0").write_bytes(list_of(files.pki, 4711))  # In place.
    assert not is_let_in(server, client)


def test_an_authority_that_is_taken_from_a_directory_is_trusted_no_more(files: Files) -> None:
    directory = files.directory / "hashed"
    directory.mkdir()
    server = server_context("ssl", files)
    client = CONTEXTS["handclasp"](ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(capath=directory)
    assert not is_let_in(server, client)
    (directory / "0123abcd.0").write_bytes(files.pki.ca_pem)
    assert is_let_in(server, client)
    (directory / "0123abcd.0").write_bytes(Pki().ca_pem)
    assert not is_let_in(server, client)


@pytest.mark.parametrize("kind", ["SSL_CERT_DIR", "SSL_CERT_FILE"])
def test_a_default_authority_that_is_gone_is_trusted_no_more(
    files: Files, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    directory = files.directory / "defaults"
    directory.mkdir()
    path = directory / "0123abcd.0"
    path.write_bytes(files.pki.ca_pem)
    monkeypatch.setenv("SSL_CERT_DIR", os.fspath(directory))
    monkeypatch.setenv("SSL_CERT_FILE", os.fspath(path if "FILE" in kind else "/does/not/exist"))
    server = server_context("ssl", files)

    def trusts() -> bool:
        client: Any = CONTEXTS["handclasp"](ssl.PROTOCOL_TLS_CLIENT)
        client.load_default_certs()
        return is_let_in(server, client)

    assert trusts()
    path.write_bytes(b"")  # In place, so the directory has not changed.
    assert not trusts()


def test_a_default_certificate_that_is_no_authority(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL counts it, and does not show it among the authorities."""
    path = files.directory / "both.pem"
    lone, _ = self_signed(Leaf(("localhost",)))
    path.write_bytes(files.pki.ca_pem + lone.public_bytes(Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", os.fspath(path))
    context: Any = CONTEXTS["handclasp"](ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    assert len(context.get_ca_certs()) == 1
    settings: Any = settings_of(context)
    assert len(settings.loaded.defaults[0]) == 2


def test_a_connection_by_default_authorities_looks_at_no_file(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Suites that forbid Python code to do so in an event loop make contexts there, too."""
    path = files.directory / "defaults.pem"
    path.write_bytes(files.pki.ca_pem)
    monkeypatch.setenv("SSL_CERT_FILE", os.fspath(path))
    server = server_context("ssl", files)

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a file")

    assert is_let_in(server, client_context("handclasp", files))  # What is imported late is here.
    with monkeypatch.context() as patch:
        for name in ("os.stat", "os.scandir", "os.listdir", "builtins.open"):
            patch.setattr(name, refuse)
        client: Any = CONTEXTS["handclasp"](ssl.PROTOCOL_TLS_CLIENT)
        client.load_default_certs()
        assert is_let_in(server, client)


@pytest.mark.parametrize("name", ["X25519", "X448"])
def test_a_group_that_ssl_does_not_take(
    files: Files, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ssl` of Python 3.11.2 takes the curves of ECDSA only; handclasp does not depend on it."""

    def refuse(context: ssl.SSLContext, name: str) -> None:
        raise ssl.SSLError("[EC: UNKNOWN_GROUP] unknown group")

    context: Any = client_context("handclasp", files)
    context.make_trace = Recorder
    with monkeypatch.context() as patch:
        older = SimpleNamespace(set_ecdh_curve=refuse)
        patch.setattr("handclasp.compat.context.Native", older)
        context.set_ecdh_curve(name)
    pair: Any = Bios(server_context("ssl", files), context).handshake()
    assert re.search(rf"^Complete .* {name}\.", pair.client.explain(), re.MULTILINE)
    with pytest.raises(ValueError, match="unknown elliptic curve name 'none'"):
        context.set_ecdh_curve("none")
