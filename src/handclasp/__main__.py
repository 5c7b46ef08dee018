"""`python -m handclasp`: the command line."""

from __future__ import annotations

from handclasp.cli import main

if __name__ == "__main__":
    main()
