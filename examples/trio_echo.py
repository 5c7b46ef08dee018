"""Serve and connect with trio."""

import tempfile

import trio

import handclasp.trio
from handclasp import ClientConfig, ServerConfig
from handclasp.certificates.authority import LocalAuthority


async def echo(stream: handclasp.trio.TLSStream[trio.SocketStream]) -> None:
    try:
        async for data in stream:
            await stream.send_all(data)
    except trio.BrokenResourceError as error:  # This client has gone, and others go on.
        print(error.__cause__)


async def main() -> None:
    authority = LocalAuthority.open_or_create(tempfile.mkdtemp())
    server_config = ServerConfig(credentials=authority.credentials(["localhost"]))
    config = ClientConfig(trust=authority.trust)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(
            lambda task_status: handclasp.trio.serve_tls(
                echo, 0, server_config, host="127.0.0.1", task_status=task_status
            )
        )
        port = listeners[0].socket.getsockname()[1]
        stream = await handclasp.trio.open_tls_stream("localhost", port, config)
        async with stream:
            await stream.send_all(b"hello")
            print((await stream.receive_some()).decode())
            print(stream.info.version)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
