"""A picture of a run, as SVG: how many times as fast as `ssl`, a bar for each row."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from handclasp.cli.benchmarks.measure import Measured

_ROW, _LEFT, _WIDTH, _MOST = 22, 330, 760, 3.0


def to_svg(measured: Sequence[Measured], title: str) -> str:
    """Bars to the right of 1 are faster than `ssl`, and to the left slower."""
    rows = [each for each in measured if each.ratio is not None]
    height = 60 + _ROW * len(rows)
    one = _x(1.0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="12">',
        f'<title>{escape(title)}</title><rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="16" y="24" font-size="15" font-weight="600">{escape(title)}</text>',
    ]
    for number, row in enumerate(rows):
        top, value = 44 + _ROW * number, row.ratio or 0.0
        end = _x(min(value, _MOST))
        left, width = min(one, end), max(abs(end - one), 1)
        fill = "#1a7f5a" if value >= 1 else "#c2703d"
        parts.append(
            f'<text x="{_LEFT - 10}" y="{top + 13}" text-anchor="end">{escape(row.name)}</text>'
            f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="16" fill="{fill}"/>'
            f'<text x="{max(end, one) + 6:.1f}" y="{top + 13}">{value:.2f}</text>'
        )
    parts.append(
        f'<line x1="{one:.1f}" x2="{one:.1f}" y1="36" y2="{height - 12}" stroke="#333"/>'
        f'<text x="{one:.1f}" y="{height - 2}" text-anchor="middle">ssl = 1</text></svg>'
    )
    return "\n".join(parts) + "\n"


def _x(value: float) -> float:
    return _LEFT + value / _MOST * (_WIDTH - _LEFT - 60)
