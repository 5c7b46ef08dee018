"""Pages as a parser sees them, and the handshakes that they are made of."""

from __future__ import annotations

from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from cryptography import x509
from tests.pki import Pki
from tests.recorded import Recorded, converse

from handclasp import ClientConfig, ServerConfig
from handclasp.certificates import explain
from handclasp.certificates.describe import describe as describe_certificate
from handclasp.story.facts import facts_of

_VOID = {"meta", "link", "col", "br", "img", "rect", "path", "circle"}


class Page(HTMLParser):
    """The elements of a page, in order; raises where tags do not match."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.document = document
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": [], "title": [], "i": []}
        self._open: list[str] = []
        self.feed(document)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)
        if tag in self.inside:
            self.inside[tag].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in self.inside:
            self.inside[self._open[-1]][-1] += data
        else:
            self.text.append(data)

    def all(self, tag: str, class_: str | None = None) -> list[dict[str, str | None]]:
        """The attributes of each element of a kind."""
        return [
            attrs
            for name, attrs in self.elements
            if name == tag and (class_ is None or class_ in (attrs.get("class") or "").split())
        ]

    @property
    def ids(self) -> list[str]:
        return [attrs["id"] or "" for _, attrs in self.elements if "id" in attrs]

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def described(der: bytes) -> dict[str, Any] | None:
    try:
        return describe_certificate(x509.load_der_x509_certificate(der))
    except ValueError:
        return None  # It was blanked.


@pytest.fixture(scope="session")
def with_secrets(pki: Pki) -> Recorded:
    """An ordinary handshake of which the secrets were kept."""
    return converse(
        ClientConfig(trust=pki.trust, alpn=("h2", "http/1.1")),
        ServerConfig(credentials=pki.server(), alpn=("http/1.1",)),
        secrets=True,
    )


@pytest.fixture(scope="session")
def classic(pki: Pki) -> Recorded:
    """A handshake of TLS 1.2 of which the secrets were kept."""
    return converse(
        ClientConfig(trust=pki.trust, versions=("TLSv1.2",)),
        ServerConfig(credentials=pki.server(), versions=("TLSv1.2",)),
        secrets=True,
    )


@pytest.fixture(scope="session")
def explanation(pki: Pki, with_secrets: Recorded) -> dict[str, Any]:
    """Every rule of the decision of that client."""
    info = facts_of(with_secrets.client.events).info
    assert info is not None
    chain = info.peer_chain_der
    return explain(chain, "localhost", pki.trust, datetime.now(UTC)).to_json()
