"""`python -m tests.failures`: run the failures that users meet, and write docs/failures.md."""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.failures.live import table


def main() -> None:
    argparse.ArgumentParser(prog="python -m tests.failures", description=__doc__).parse_args()
    Path("docs/failures.md").write_text(table(), "utf-8")


if __name__ == "__main__":
    main()
