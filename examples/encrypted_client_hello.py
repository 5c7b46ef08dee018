"""Hide the server's name with Encrypted Client Hello, and get the current key after a rotation."""

import asyncio
import socket
import tempfile
import threading
from dataclasses import replace

import handclasp
from handclasp import ClientConfig, EchConfigList, EchKey, EchRejectedError, ServerConfig
from handclasp.certificates.authority import LocalAuthority

PUBLIC, HIDDEN = "public.example", "secret.example"


def serve(listener: socket.socket, config: ServerConfig, connections: int) -> None:
    for _ in range(connections):
        sock, _ = listener.accept()
        try:
            with handclasp.wrap_server(sock, config) as tls:
                tls.recv(1024)
                tls.sendall(f"{tls.info.server_name}, encrypted: {tls.info.ech_accepted}".encode())
        except OSError:
            pass  # A client whose hello was not accepted has left, and connects once more.


def fetch(port: int, config: ClientConfig) -> str:
    with handclasp.connect("127.0.0.1", port, config, server_name=HIDDEN) as tls:
        tls.sendall(b"Who are you?")
        return tls.recv(1024).decode()


def with_sockets(client: ClientConfig, server: ServerConfig, connections: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=serve, args=(listener, server, connections))
        serving.start()
        port = listener.getsockname()[1]
        try:
            print("client:", fetch(port, client))
        except EchRejectedError as error:
            # Nothing of this program has left. Without retry_configs, the library connects no
            # more: to show the name to everybody would be the program's own decision.
            if error.retry_configs is None:
                raise
            print("client: rejected, and once more:", error.retry_configs[0].public_name)
            print("client:", fetch(port, replace(client, ech=error.retry_configs)))
        serving.join()


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    info = writer.get_extra_info("handclasp")
    writer.write(f"{info.server_name}, encrypted: {info.ech_accepted}".encode())
    await writer.drain()
    writer.close()


async def with_asyncio(client: ClientConfig, server: ServerConfig) -> None:
    async with await handclasp.aio.start_server(greet, "127.0.0.1", 0, config=server) as serving:
        port = serving.sockets[0].getsockname()[1]
        reader, writer = await handclasp.aio.open_connection(
            "127.0.0.1", port, config=client, server_name=HIDDEN
        )
        print("asyncio:", (await reader.read()).decode())
        writer.close()
        await writer.wait_closed()


def main() -> None:
    authority = LocalAuthority.open_or_create(tempfile.mkdtemp())
    credentials = authority.credentials([HIDDEN, PUBLIC])

    old = EchKey.generate(PUBLIC)
    published = EchConfigList(old.configs).to_base64()  # for the HTTPS record of HIDDEN
    client = ClientConfig(trust=authority.trust, ech=EchConfigList.from_base64(published))

    server = ServerConfig(credentials=credentials, ech=[old])
    with_sockets(client, server, connections=1)
    asyncio.run(with_asyncio(client, server))

    # A rotation that forgets the old key: `ech=[new, old]`, the old one with send_as_retry=False,
    # would have accepted this client, which has the configuration from before.
    new = EchKey.generate(PUBLIC, avoid=[old])
    with_sockets(client, replace(server, ech=[new]), connections=2)


if __name__ == "__main__":
    main()
