"""A picture of a run, as SVG: how many times as fast as `ssl`, a bar for each row.

The scale is logarithmic, so that twice as fast and half as fast are equally far from `ssl`. It ends
at `_LEAST` and `_MOST`; a bar that would go beyond is broken, and its figure has an arrow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from handclasp.cli.benchmarks.machine import IDLE_CONNECTIONS
from handclasp.cli.benchmarks.measure import Measured
from handclasp.cli.benchmarks.report import TITLES

SUMMARY = {
    "v1.3 full, ecdsa-p256, X25519": "full, ECDSA, X25519",
    "v1.3 full, rsa-2048, X25519": "full, RSA, X25519",
    "v1.3 full, ecdsa-p256, X25519MLKEM768": "full, X25519MLKEM768 (ssl: X25519)",
    "v1.3 resumed, X25519": "resumed, X25519",
    **{
        f"{verb} {size}, AES_256_GCM": f"{verb} {size}"
        for verb in ("write", "read")
        for size in ("100 B", "1 KB", "16 KB", "256 KB")
    },
    "a client's config with the system's authorities": "a client's config",
    "a fresh interpreter with the import": "import",
    f"an end of one of {IDLE_CONNECTIONS} idle connections": "memory of an idle connection",
}
_SUMMARY_TITLES = {
    "handshakes": "TLS 1.3 handshakes, both ends",
    "records": "Records, AES-256-GCM",
    "start": "To be ready, and at rest",
    "memory": "To be ready, and at rest",
}
_TITLE = "handclasp: how many times as fast as ssl"
_SMALL = 'fill="#666" font-size="11"'

_ROW, _BAR, _TOP = 20, 13, 58
_LEFT, _RIGHT, _WIDTH = 316, 700, 770
_LEAST, _MOST = 0.25, 4.0
_TICKS = {0.25: "¼", 0.5: "½", 1.0: "as ssl", 2.0: "2 times", 4.0: "4 times"}


@dataclass(frozen=True, slots=True)
class Bar:
    """A line of the picture."""

    section: str
    name: str
    ratio: float


def every_bar(measured: Sequence[Measured]) -> list[Bar]:
    """Return the bars of all rows with a comparison to `ssl`."""
    return [
        Bar(TITLES[row.section], row.name, row.ratio) for row in measured if row.ratio is not None
    ]


def summary(measured: Sequence[Measured]) -> list[Bar]:
    """Return the few most important rows, in words for readers who see only these."""
    return [
        Bar(_SUMMARY_TITLES[row.section], SUMMARY[row.name], row.ratio)
        for row in measured
        if row.name in SUMMARY and row.ratio is not None
    ]


def to_svg(bars: Sequence[Bar], where: str) -> str:
    """Bars to the right of `ssl` are faster, and to the left slower. `where` stands below."""
    drawn: list[str] = []
    top = _TOP
    for section, group in groupby(bars, key=lambda each: each.section):
        drawn.append(_text(16, top + 12, section, 'font-weight="600"'))
        top += _ROW
        for bar in group:
            drawn.append(_bar(bar, top))
            top += _ROW
        top += _ROW // 3
    drawn.append(_text(16, top + 14, where, _SMALL))
    return "\n".join([*_card(top + 26), *_ticks(top), *drawn, "</svg>"]) + "\n"


def _card(height: int) -> Iterator[str]:
    """White, with a border, so that it can be read on any page."""
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="#222">'
        f"<title>{escape(_TITLE)}</title>"
    )
    yield (
        f'<rect x=".5" y=".5" width="{_WIDTH - 1}" height="{height - 1}" rx="6" '
        f'fill="#fff" stroke="#d0d0d0"/>'
    )
    yield _text(16, 26, _TITLE, 'font-size="15" font-weight="600"')


def _ticks(bottom: int) -> Iterator[str]:
    for value, name in _TICKS.items():
        x, color = _x(value), "#333" if value == 1 else "#e2e2e2"
        yield f'<path d="M{x:.1f} {_TOP - 6}V{bottom}" stroke="{color}"/>'
        yield _text(x, _TOP - 12, name, f'text-anchor="middle" {_SMALL}')


def _bar(bar: Bar, top: int) -> str:
    one, end = _x(1.0), _x(bar.ratio)
    left, width = min(one, end), max(abs(end - one), 1)
    fill = "#1a7f5a" if bar.ratio >= 1 else "#c2703d"
    figure = f"{bar.ratio:.2f}" if bar.ratio < 10 else f"{bar.ratio:.0f}"
    drawn = [
        _text(_LEFT - 14, top + 11, bar.name, 'text-anchor="end"'),
        f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{_BAR}" fill="{fill}"/>',
    ]
    if bar.ratio > _MOST:
        drawn.append(_break(end - 14, top))
        figure += " →"
    elif bar.ratio < _LEAST:
        drawn.append(_break(end + 8, top))
        figure = f"← {figure}"
    halo = 'stroke="#fff" stroke-width="4" paint-order="stroke"'  # Over the lines behind it.
    drawn.append(_text(max(end, one) + 6, top + 11, figure, halo))
    return "".join(drawn)


def _break(x: float, top: int) -> str:
    return f'<path d="M{x:.1f} {top + _BAR + 1}l6 -{_BAR + 2}" stroke="#fff" stroke-width="3"/>'


def _text(x: float, y: int, text: str, attributes: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y}" {attributes}>{escape(text)}</text>'


def _x(value: float) -> float:
    """Return the position of a ratio, or the end of the scale that it exceeds."""
    within = min(max(value, _LEAST), _MOST)
    return _LEFT + math.log2(within / _LEAST) / math.log2(_MOST / _LEAST) * (_RIGHT - _LEFT)
