"""The rendering of templates, in which a peer's text cannot be anything but text.

Two defences ensure this, and each is sufficient. The templates escape every value (no text of a
peer is marked as safe), and the page's own policy allows only the scripts and styles whose hashes
it names: the files in `assets`, which the page contains unchanged.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from handclasp.errors import ConfigurationError

if TYPE_CHECKING:
    from jinja2 import Environment


_HERE = "handclasp.story.page"


class Renderer:
    """Renders pages from the templates of some packages.

    Args:
        packages: each with a folder `templates`, and maybe one `assets`; earlier ones take
            precedence. This package comes last.

    Raises:
        ConfigurationError: jinja2 is not installed.
    """

    def __init__(self, *packages: str) -> None:
        self._packages = (*packages, _HERE)
        self._environment = _environment(self._packages)

    def render(
        self,
        template: str,
        shown: Mapping[str, object],
        *,
        scripts: Sequence[str] = ("page.js",),
        styles: Sequence[str] = ("page.css",),
        connects: bool = False,
    ) -> str:
        """Return the page.

        Args:
            template: its name.
            shown: the values for the template; a missing one is an error.
            scripts, styles: the names of the assets to include.
            connects: whether its script may send requests to its own server.
        """
        code, looks = self._assets(scripts), self._assets(styles)
        page = self._environment.get_template(template).render(
            shown,
            policy=content_security_policy(code, looks, connects=connects),
            scripts=code,
            styles=looks,
        )
        return f"{page}\n"

    def policy(
        self,
        *,
        scripts: Sequence[str] = ("page.js",),
        styles: Sequence[str] = ("page.css",),
        connects: bool = False,
    ) -> str:
        """Return the policy of the page, for servers that send it over HTTP."""
        code, looks = self._assets(scripts), self._assets(styles)
        return content_security_policy(code, looks, connects=connects)

    def _assets(self, names: Sequence[str]) -> list[Any]:
        from markupsafe import Markup

        return [Markup(self._asset(name)) for name in names]  # noqa: S704 (our own files)

    def _asset(self, name: str) -> str:
        for package in self._packages:
            asset = files(package).joinpath("assets").joinpath(name)
            if asset.is_file():
                return f"\n{asset.read_text('utf-8')}"
        raise FileNotFoundError(name)


def content_security_policy(
    scripts: Sequence[str], styles: Sequence[str], *, connects: bool
) -> str:
    """Return a policy that allows only these scripts and styles, by their hashes (CSP level 3)."""
    allowed = {
        "default-src": ["'none'"],
        "style-src": [_hash(each) for each in styles],
        "script-src": [_hash(each) for each in scripts],
        "img-src": ["data:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }
    if connects:
        allowed["connect-src"] = ["'self'"]
    return "; ".join(f"{name} {' '.join(values)}" for name, values in allowed.items())


def milliseconds(nanoseconds: float) -> str:
    """Return a time in a readable unit."""
    if nanoseconds >= 1e9:
        return f"{nanoseconds / 1e9:,.1f} s"
    if nanoseconds >= 1e5:
        return f"{nanoseconds / 1e6:,.2f} ms"
    return f"{nanoseconds / 1e3:,.1f} µs"


def plural(count: int, noun: str) -> str:
    """Return a number with its noun, in words."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _environment(packages: tuple[str, ...]) -> Environment:
    """Return the environment, which is cached because it holds the compiled templates."""
    try:
        from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
    except ModuleNotFoundError:
        raise ConfigurationError("A page needs the package jinja2: pip install jinja2.") from None
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {"ms": milliseconds, "plural": plural}
    environment.filters.update(filters)
    return environment
