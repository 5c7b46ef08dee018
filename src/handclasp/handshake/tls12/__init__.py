"""The handshake of TLS 1.2 (RFC 5246), and what may follow it.

Start with `client` and `server`: one coroutine each, in the order of the RFC's messages.
"""
