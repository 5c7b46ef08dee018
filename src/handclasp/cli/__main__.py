"""`python -m handclasp.cli` is `handclasp`."""

from handclasp.cli import main

main()
