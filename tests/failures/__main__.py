"""Write docs/failures.md: python -m tests.failures."""

from __future__ import annotations

from pathlib import Path

from tests.failures.live import table

Path("docs/failures.md").write_text(table(), "utf-8")
