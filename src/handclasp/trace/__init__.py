"""What a connection did, kept for people: recorded as events, read back, told as a story.

It may import `wire`, `errors` and `info`; of the rest, everything below `connection` knows nothing
here but `hooks`. `hooks` says where tracing stands, `events` what is noted, `recorder` keeps it,
`facts` and `fields` draw figures and fields out of it, `narrate` tells it in a terminal, `page` in
a browser, and `keylog` is the sink for SSLKEYLOGFILE lines. Start with `recorder`.
"""
