"""What a connection notes of itself while it runs: events, and those who keep them.

It may import `wire`, `errors` and `info`; of the rest, everything below `connection` knows nothing
here but `hooks`. `hooks` says where tracing stands, `events` what is noted, `recorder` keeps it,
`format` writes it as JSON, `pcapng` as a capture; `annotate` has a reader note the fields of a
message, and `keylog` takes SSLKEYLOGFILE lines. What people read of that is in
`story`. Start with `recorder`.
"""
