"""One module per TLS stack, all behind the interface in `base.py`.

Imports nothing of handclasp except in `handclasp.py`, which uses the public surface only.
Stacks that come as libraries live in small programs (`programs/`, `go/`, `java/`, `node/`) that
all take the same flags and print the same JSON; start reading at `base.py`.
"""
