"""What people read of a handshake: its events as a story, in a terminal, on a page, in a diff.

It reads the events of `trace`, and nothing that a connection imports knows it. `recorded` reads a
message, `facts` draws the figures out of all, `fields` takes a message apart (`words`, `meanings`).
`narrate` tells a handshake in a terminal (`flights`, `sentences`), `page` in a browser;
`diagnosis` says why one failed (`situation`, `evidence`), `diff` how two differ, `redact` what of
one may be passed on; `recorder` is the recorder that can show all of it. Start with `facts`.
"""
