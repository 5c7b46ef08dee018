"""The handshakes: one straight-line coroutine for each role and version.

A handshake speaks to the world only through the few verbs of `context`: receive, send, install,
ask. What carries its messages is a `port`, and `loop` resumes it. It may import wire, keys, crypto
and the types of certificates, and never record. Start with `tls13.client`, which reads in the order
of RFC 9846 section 2.
"""
