"""Resumption: the sessions, tickets and keys that make the next connection shorter.

It may import crypto, wire's reader and writer, errors and faults, and never a handshake. Start with
`session` (of a client) and `tickets` (of a server); `store` and `ticket_keys` keep them; `psk` has
external pre-shared keys.
"""
