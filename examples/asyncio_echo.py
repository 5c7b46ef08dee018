"""Serve and connect with the streams of asyncio."""

import asyncio
import tempfile

import handclasp
from handclasp import ClientConfig, ServerConfig
from handclasp.certificates.authority import LocalAuthority


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError as error:  # This client has gone, and others go on.
        print(error)
    writer.close()


async def main() -> None:
    authority = LocalAuthority.open_or_create(tempfile.mkdtemp())
    server_config = ServerConfig(credentials=authority.credentials(["localhost"]))
    config = ClientConfig(trust=authority.trust)

    async with await handclasp.aio.start_server(
        echo, "127.0.0.1", 0, config=server_config, on_handshake_error=lambda error, _: print(error)
    ) as server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await handclasp.aio.open_connection("localhost", port, config=config)
        writer.write(b"hello")
        writer.write_eof()
        print((await reader.read()).decode())
        print(writer.get_extra_info("handclasp").version)
        writer.close()
        await writer.wait_closed()


if __name__ == "__main__":
    asyncio.run(main())
