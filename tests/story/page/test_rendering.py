"""The two walls: whatever a peer says is escaped, and only the page's own script may run."""

from __future__ import annotations

import hashlib
import sys
from base64 import b64encode

import pytest
from tests.recorded import Recorded
from tests.story.page.conftest import Page

from handclasp import ConfigurationError
from handclasp.story.page import Renderer, rendering
from handclasp.story.page.rendering import milliseconds, plural


def digest(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def directives(policy: str) -> dict[str, list[str]]:
    return {name: values for name, *values in (each.split() for each in policy.split(";"))}


def test_the_policy_names_the_very_script_and_style_of_the_page(plain: Recorded) -> None:
    page = Page(plain.client.to_html("localhost"))
    (policy,) = [
        attrs["content"] or ""
        for attrs in page.all("meta")
        if attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    (script,), (style,) = page.inside["script"], page.inside["style"]
    assert directives(policy) == {
        "default-src": ["'none'"],
        "style-src": [digest(style)],
        "script-src": [digest(script)],
        "img-src": ["data:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }
    assert Renderer().policy() == policy


def test_a_page_that_asks_its_server_says_so() -> None:
    assert directives(Renderer().policy(connects=True))["connect-src"] == ["'self'"]
    assert "connect-src" not in Renderer().policy()


def test_the_page_loads_nothing(plain: Recorded) -> None:
    page = Page(plain.client.to_html("localhost"))
    for _, attrs in page.elements:
        for name in ("src", "srcset", "data", "action", "poster"):
            assert name not in attrs
        target = attrs.get("href")
        assert target is None or target.startswith(("#", "data:image/svg+xml,"))
    assert "url(" not in "".join(page.inside["style"])
    assert "@import" not in "".join(page.inside["style"])


def test_no_element_brings_style_or_script_of_its_own(plain: Recorded) -> None:
    for _, attrs in Page(plain.client.to_html("localhost")).elements:
        assert "style" not in attrs
        assert not [name for name in attrs if name.startswith("on")]


def test_a_value_that_is_missing_is_an_error() -> None:
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        Renderer().render("page.html", {"title": "only"})


def test_an_asset_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.js"):
        Renderer().policy(scripts=["nothing.js"])


def test_without_jinja2_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, plain: Recorded
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    rendering._environment.cache_clear()
    with pytest.raises(ConfigurationError, match="pip install jinja2"):
        plain.client.to_html("localhost")


@pytest.mark.parametrize(
    ("nanoseconds", "told"),
    [
        (0, "0.0 µs"),
        (1_500, "1.5 µs"),
        (99_900, "99.9 µs"),
        (100_000, "0.10 ms"),
        (12_345_678, "12.35 ms"),
        (1_500_000_000, "1.5 s"),
    ],
)
def test_times(nanoseconds: int, told: str) -> None:
    assert milliseconds(nanoseconds) == told


def test_numbers_of_things() -> None:
    assert [plural(count, "byte") for count in (0, 1, 2, 1234)] == [
        "0 bytes",
        "1 byte",
        "2 bytes",
        "1,234 bytes",
    ]
