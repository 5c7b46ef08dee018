"""docs/from-ssl.md leaves nothing of `ssl` out, and names nothing that is not there."""

from __future__ import annotations

import builtins
import dataclasses
import re
import ssl
from pathlib import Path

import pytest

import handclasp
from handclasp import ClientConfig, ConfigurationError, ServerConfig, wrap_client

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
