"""Handshakes for people: the recorded events as a story, in a terminal, on a page, or as a diff.

It reads the events of `trace`, and no module that a connection needs imports it. `recorded` reads a
message, `facts` computes the figures of a handshake, `fields` splits a message into fields
(`words`, `meanings`). `narrate` writes for a terminal (`flights`, `sentences`), `page` for a
browser; `diagnosis` explains a failure (`situation`, `evidence`), `diff` compares two handshakes,
`redact` removes what is private; `guides` has the page of each fault and alert; `recorder` is
the recorder with all of these. Start with `facts`.
"""
