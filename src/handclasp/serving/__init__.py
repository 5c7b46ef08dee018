"""The server of the command line: files over HTTPS, an echo, and the processes that run them.

Everything is asynchronous, over the asyncio server of this library. `server` runs one process,
`supervisor` several. `http` is HTTP/1.1 by uvicorn and h11, `files` the application that sends
files, of which `site` decides what may be sent. `crowd` bounds the connections, and `clerk` writes
what is reported. The room is not public: `handclasp.asgi` is what other programs use.
"""
