"""Random schedules of threads that share a `TLSSocket`, or a socket of compat: none may be stuck.

`python -m tests.schedules --count 10000` is the long run, `make schedules`.
"""
