"""What people read of a handshake: its events as a story, in a terminal, on a page, in a diff.

It reads the events of `trace`, and nothing that a connection imports knows it. `facts` draws the
figures out of the events, `fields` takes each message apart, and `words` says what a field holds.
`narrate` tells a handshake in a terminal, `page` in a browser; `diagnosis` says why one failed,
`diff` how two differ, and `redact` what of one may be passed on. Start with `facts`.
"""
