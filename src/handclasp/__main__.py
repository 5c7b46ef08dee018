"""The command line as `python -m handclasp`."""

from __future__ import annotations

from handclasp.cli import main

if __name__ == "__main__":
    main()
