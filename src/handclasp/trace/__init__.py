"""The events that a connection reports while it runs, and the recorders that keep them.

It may import `wire`, `errors` and `info`; modules below `connection` import only `hooks`. `hooks`
defines the calls of tracing, `events` the events; `recorder` keeps them, `format` writes them as
JSON, `pcapng` as a capture; `annotate` records the fields of a message, and `keylog` takes
SSLKEYLOGFILE lines. The output for people is in `story`. Start with `recorder`.
"""
