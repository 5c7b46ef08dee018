"""The handshake of TLS 1.3 (RFC 8446), and what may follow it.

Start with `client` and `server`: one coroutine each, in the order of the RFC's messages.
"""
