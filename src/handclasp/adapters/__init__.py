"""Where the sans-IO connection meets a transport: the only place with sockets and event loops.

An adapter moves bytes between a transport and a connection, and turns events into what the users
of that transport expect. It imports the public surface only (connection, config, events, errors,
faults, info), never a handshake or a record. Start with `sockets` and the `duplex`
below it; `asyncio` and the `pump` do the same for streams.
"""
