"""Coming back: what a client and a server keep of a connection, so that the next one is shorter.

It may import crypto, wire's reader and writer, errors and faults, and never a handshake. Start
with `session` (what a client keeps) and `tickets` (what a server gives away, sealed); `store` and
`ticket_keys` say where both are kept; `psk` has keys that were shared by other means.
"""
