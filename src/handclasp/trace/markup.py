"""HTML out of values: whatever is not markup by its type gets escaped.

`Markup` is text that is HTML already. Everything else that goes into an element, such as what a
peer has sent, is escaped here and nowhere else, so that it cannot be forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


class Markup(str):
    """Text that is HTML, made by `tag` or out of pieces that were."""

    __slots__ = ()


Content = str | Markup | None | Iterable["Content"]
"""What an element may hold: text, markup, nothing, or several of those."""

_VOID = {"br", "meta", "link", "path", "rect", "line", "circle"}


def tag(name: str, /, *content: Content, **attributes: str | int | bool | None) -> Markup:
    """One element.

    Args:
        attributes: None and False leave an attribute out, True gives it no value; an underscore
            at the end of a name is dropped, one inside is a hyphen.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Markup(
            f"<{name}{written}>" if name in ("br", "meta", "link") else f"<{name}{written}/>"
        )
    return Markup(f"<{name}{written}>{markup(*content)}</{name}>")


def markup(*content: Content) -> Markup:
    """All of it, one after the other, with what is only text escaped."""
    return Markup("".join(_pieces(content)))


def _pieces(content: Iterable[Content]) -> Iterable[str]:
    for piece in content:
        if isinstance(piece, Markup):
            yield str(piece)
        elif isinstance(piece, str):
            yield escape(visible(piece))
        elif piece is not None:
            yield from _pieces(piece)


def visible(text: str) -> str:
    """The text with everything that has no shape of its own, such as a turn of the writing
    direction, written as its number."""
    return "".join(
        each if each.isprintable() or each == "\n" else f"\\u{ord(each):04x}" for each in text
    )


def _attribute(name: str, value: str | int | bool | None) -> str:
    if value is None or value is False:
        return ""
    key = name.rstrip("_").replace("_", "-")
    return f" {key}" if value is True else f' {key}="{escape(visible(str(value)))}"'
