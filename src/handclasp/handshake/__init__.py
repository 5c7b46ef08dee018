"""The handshakes: one straight-line coroutine for each role and version.

A handshake speaks to the world only through the few verbs of `context`: receive, send, install,
ask, settle. It may import wire, keys, crypto and the types of certificates, and never record.
Start with `client13`, which reads in the order of RFC 8446 section 2; `driver` runs it.
"""
