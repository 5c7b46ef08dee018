"""The adapters between the sans-IO connection and transports: sockets and event loops.

An adapter moves bytes between a transport and a connection, and turns events into the calls of that
transport's API. It imports the public surface only (connection, config, events, errors, faults,
info), never a handshake or a record. Start with `sockets` and the `duplex` below it; `asyncio` and
the `pump` do the same for streams.
"""
