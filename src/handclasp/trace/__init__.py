"""What a connection notes of itself while it runs: events, and those who keep them.

It may import `wire`, `errors` and `info`; of the rest, everything below `connection` knows nothing
here but `hooks`. `hooks` says where tracing stands, `events` what is noted, `recorder` keeps it,
`pcapng` makes a capture of it, `annotate` reads a message field by field, and `keylog` is the sink
for SSLKEYLOGFILE lines. What people read of it is told in `story`. Start with `recorder`.
"""
