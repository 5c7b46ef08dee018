"""The page docs/interop-programs.md."""

from __future__ import annotations

def as_page(results, servers):
    return ""
