"""Conversations with independent TLS stacks, and the table that tells how they went.

Start at `matrix.py` (`python -m tests.interop.matrix`), which runs every cell and writes
docs/interop.md; `scenarios.py` says what a cell asks, `pair.py` runs one and judges it, and
`peers/` holds one module per stack. Handclasp itself is one of the peers (`peers/handclasp.py`),
so `--local NAME` sets any two stacks against each other: that tells whose fault a failure is.
"""
