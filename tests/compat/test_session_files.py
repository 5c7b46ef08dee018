"""Sessions of contexts in a file: the next process resumes them, if it verifies in the same way."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.compat.pairs import Files, client_context, meet, server_context

from handclasp import SessionStore


def visit(server: ssl.SSLContext, files: Files, change: Callable[[Any], object]) -> bool:
    """Whether a context that was made anew, as in another process, resumes from the file."""
    client: Any = client_context("handclasp", files)
    client.resume = SessionStore.file(files.directory / "sessions")
    change(client)

    def talk(sock: ssl.SSLSocket) -> bool:
        sock.sendall(b"hello")
        assert sock.recv(5) == b"hello"
        return bool(sock.session_reused)

    met = meet(server, client, lambda sock: sock.sendall(sock.recv(5)), talk)
    assert isinstance(met.client, bool), met
    return met.client


def nothing(_: Any) -> None:
    pass


def strict(context: Any) -> None:
    context.verify_flags |= ssl.VERIFY_X509_STRICT


def without_names(context: Any) -> None:
    context.check_hostname = False


def without_verification(context: Any) -> None:
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_next_process_resumes(files: Files, version: ssl.TLSVersion) -> None:
    server = server_context("handclasp", files, maximum_version=version)
    assert [visit(server, files, nothing) for _ in range(3)] == [False, True, True]


@pytest.mark.parametrize("change", [strict, without_names, without_verification])
def test_a_context_that_verifies_otherwise_does_not(
    files: Files, change: Callable[[Any], object]
) -> None:
    server = server_context("handclasp", files)
    assert visit(server, files, nothing) is False
    assert visit(server, files, change) is False
    assert visit(server, files, nothing) is True


def test_nor_does_one_with_other_authorities(files: Files, tmp_path: Path) -> None:
    server = server_context("handclasp", files)
    more = Files(type(files.pki)(), tmp_path)
    other = more.write("other.pem", more.pki.ca_pem)
    assert visit(server, files, nothing) is False
    assert visit(server, files, lambda context: context.load_verify_locations(other)) is False
