"""What programs that come from `ssl` meet: docs/from-ssl.md, and errors that say what to use."""

from __future__ import annotations

import asyncio
import builtins
import dataclasses
import inspect
import operator
import re
import socket
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
from tests.adapters.pairs import tls_pair
from trio.testing import memory_stream_pair

import handclasp
from handclasp import ClientConfig, ConfigurationError, ServerConfig, aio, wrap_client, wrap_server
from handclasp.adapters import hints
from handclasp.trio import TLSListener, TLSStream, open_tls_stream, serve_tls

DOCUMENT = Path(__file__).parents[2] / "docs" / "from-ssl.md"


def rows() -> list[list[str]]:
    lines = DOCUMENT.read_text("utf-8").splitlines()
    return [[cell.strip() for cell in line.split("|")[1:4]] for line in lines if line[:1] == "|"]


def words_in(column: int) -> set[str]:
    return {
        word
        for row in rows()
        for code in re.findall(r"`([^`]+)`", row[column])
        for word in re.findall(r"\w+", code)
    }


def test_every_exception_of_ssl_is_there() -> None:
    names = [name for name, kind in vars(ssl).items() if isinstance(kind, type)]
    exceptions = {name for name in names if issubclass(getattr(ssl, name), Exception)}
    assert exceptions - words_in(0) == set()


def test_every_attribute_of_a_context_is_there() -> None:
    assert {name for name in dir(ssl.SSLContext) if not name.startswith("_")} - words_in(0) == set()


def test_every_field_and_name_of_this_library_exists() -> None:
    fields = {
        field.name for kind in (ClientConfig, ServerConfig) for field in dataclasses.fields(kind)
    }
    given = {name for row in rows() for name in re.findall(r"`(\w+)=", " ".join(row[1:]))}
    assert given - fields == {"server_name"}, "which is an argument of the functions"
    classes = {word for word in words_in(1) if word[0].isupper() and not word.isupper()}
    ours = {word for word in classes if not hasattr(builtins, word)}
    assert ours >= {"TLSError", "TrustStore"}
    assert {word for word in ours if not hasattr(handclasp, word)} == {"TLSv1"}


def test_the_refusal_of_a_context_names_fields_and_the_page() -> None:
    context: object = ssl.create_default_context()
    with pytest.raises(ConfigurationError) as caught:
        wrap_client(None, context)  # type: ignore[arg-type]
    message = str(caught.value)
    for field in re.findall(r"(\w+)=", message):
        assert field in {each.name for each in dataclasses.fields(ClientConfig)}
    for attribute in re.findall(r"= for (\w+)", message):
        assert hasattr(ssl.SSLContext, attribute)
    assert f"docs/{DOCUMENT.name}" in message


KEYWORDS = {
    "wrap_client": (
        "server_hostname",
        "do_handshake_on_connect",
        "suppress_ragged_eofs",
        "session",
    ),
    "wrap_server": ("server_side", "do_handshake_on_connect"),
    "connect": ("server_hostname", "context"),
    "open_tls_stream": ("server_hostname", "ssl_context"),
    "TLSStream": ("server_hostname", "server_side", "ssl_context"),
    "serve_tls": ("ssl_context", "server_side"),
    "aio.open_connection": ("server_hostname", "ssl"),
    "aio.start_server": ("ssl", "ssl_handshake_timeout"),
}


@pytest.mark.parametrize(
    ("function", "keyword"), [(name, each) for name, words in KEYWORDS.items() for each in words]
)
def test_an_argument_of_ssl_is_refused_with_what_takes_its_place(
    client_config: ClientConfig, server_config: ServerConfig, function: str, keyword: str
) -> None:
    nobody: Any = None
    calls: dict[str, Callable[..., Any]] = {
        "wrap_client": lambda **given: wrap_client(nobody, client_config, **given),
        "wrap_server": lambda **given: wrap_server(nobody, server_config, **given),
        "connect": lambda **given: handclasp.connect("127.0.0.1", 1, client_config, **given),
        "open_tls_stream": lambda **given: open_tls_stream("127.0.0.1", 1, client_config, **given),
        "TLSStream": lambda **given: TLSStream(nobody, client_config, **given),
        "serve_tls": lambda **given: serve_tls(nobody_serves, 0, server_config, **given),
        "aio.open_connection": lambda **given: aio.open_connection("127.0.0.1", 1, **given),
        "aio.start_server": lambda **given: aio.start_server(
            nobody_serves, "127.0.0.1", 0, config=server_config, **given
        ),
    }

    async def call(given: str) -> None:
        result = calls[function](**{given: "x"})
        if inspect.isawaitable(result):
            await result

    loop: Callable[..., Any] = trio.run if "tls" in function.lower() else run_in_asyncio
    with pytest.raises(
        ConfigurationError, match=rf"{keyword} is for the ssl module; here .*(=|Config)"
    ):
        loop(call, keyword)
    with pytest.raises(TypeError, match="colour"):
        loop(call, "colour")


async def nobody_serves(*_: object) -> None: ...


def run_in_asyncio(call: Callable[[str], Coroutine[Any, Any, None]], given: str) -> None:
    asyncio.run(call(given))


METHODS = ("version", "cipher", "getpeercert", "selected_alpn_protocol", "server_hostname")


@pytest.mark.parametrize("name", METHODS)
def test_a_method_of_ssl_is_missing_with_a_hint(
    client_config: ClientConfig, server_config: ServerConfig, name: str
) -> None:
    with tls_pair(client_config, server_config) as (tls, _):
        given: Any = tls
        stream: Any = TLSStream(memory_stream_pair()[0], client_config, server_name="localhost")
        for each in (given, stream):
            assert not hasattr(each, name)
            with pytest.raises(AttributeError, match=r"here it is (info\.\w+)") as caught:
                getattr(each, name)
            (hint,) = re.findall(r"here it is info\.(\w+)", str(caught.value))
            assert hasattr(tls.info, hint)
            with pytest.raises(AttributeError, match=r"call recorder\.to_text\(\)") as caught:
                _ = each.explain
            assert "ssl module" not in str(caught.value)
            with pytest.raises(AttributeError) as caught:
                _ = each.colour
            assert "ssl" not in str(caught.value)


def test_every_hint_is_about_something_that_is_there(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    with tls_pair(client_config, server_config) as (_, other):
        for name, hint in vars(hints)["_ATTRIBUTES"].items():
            assert name in dir(ssl.SSLSocket) or name in ("server_hostname", *ADDED_LATER)
            first = hint.partition("(")[0].partition("[")[0].partition(",")[0]
            if first.startswith(("info.", "connection.", "channel_", "request_")):
                assert operator.attrgetter(first)(other) is not NotImplemented


ADDED_LATER = ("get_verified_chain", "get_unverified_chain")
"""From Python 3.13 on."""


def test_a_config_of_the_other_role_is_named_and_not_quoted_in_part(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    wrong: Any = server_config
    with pytest.raises(ConfigurationError) as caught:
        handclasp.connect("127.0.0.1", 1, wrong)
    assert str(caught.value) == "A client needs a ClientConfig, not a ServerConfig."
    wrong = client_config
    with pytest.raises(ConfigurationError, match=r", not a ClientConfig\.$"):
        wrap_server(wrong, wrong)
    wrong = "x" * 200
    with pytest.raises(ConfigurationError, match=r", not a str\.$"):
        wrap_server(wrong, wrong)


def test_what_is_no_stream_of_trio_is_refused_at_the_call(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    with socket.socket() as sock:
        for wrong in (sock, ("localhost", 443), None):
            given: Any = wrong
            with pytest.raises(ConfigurationError, match="A stream of trio is needed") as caught:
                TLSStream(given, client_config, server_name="localhost")
            assert ("from_stdlib_socket" in str(caught.value)) == (wrong is sock)
            with pytest.raises(ConfigurationError, match="A listener of trio is needed"):
                TLSListener(given, server_config)


WRONG_EXPORTS: list[tuple[tuple[Any, Any, Any], str]] = [
    ((b"x", b"", 32), "label is a str, not bytes; the arguments are label, context"),
    (("x", "y", 32), "context of an exporter is bytes or None, not str"),
    (("x", 32, b""), "not int; the arguments are label, context and length"),
    (("x", b"", "32"), "length is a whole number of bytes, not str"),
    (("x", b"", 1.5), "length is a whole number of bytes, not float"),
]


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize(("arguments", "words"), WRONG_EXPORTS)
def test_an_exporter_says_which_argument_is_of_a_wrong_kind(
    client_config: ClientConfig,
    server_config: ServerConfig,
    version: str,
    arguments: tuple[Any, Any, Any],
    words: str,
) -> None:
    only = replace(client_config, versions=[version])
    with (
        tls_pair(only, server_config) as (tls, _),
        pytest.raises(ConfigurationError, match=words),
    ):
        tls.export_keying_material(*arguments)
