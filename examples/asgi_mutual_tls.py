"""Tell an ASGI application who its client is: mutual TLS with Starlette on uvicorn."""

import asyncio
import tempfile

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import handclasp
from handclasp import ClientAuth, ClientConfig, ServerConfig, asgi
from handclasp.certificates.authority import LocalAuthority


async def greet(request: Request) -> PlainTextResponse:
    tls = request.scope["extensions"]["tls"]
    if not tls["client_cert_chain"]:
        return PlainTextResponse("Show a certificate.", status_code=403)
    return PlainTextResponse(f"Hello {tls['client_cert_name']}")


async def get(port: int, config: ClientConfig) -> str:
    reader, writer = await handclasp.aio.open_connection("localhost", port, config=config)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    return f"{head.split(maxsplit=2)[1].decode()} {body.decode()}"


async def main() -> None:
    authority = LocalAuthority.open_or_create(tempfile.mkdtemp())
    config = ServerConfig(
        credentials=authority.credentials(["localhost"]),
        client_auth=ClientAuth.OPTIONAL,  # or REQUIRED, which ends the handshake of others
        trust=authority.trust,
    )
    app = Starlette(routes=[Route("/", greet)])
    server = asgi.make_server(app, "127.0.0.1", 0, config, log_level="warning")
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]

    alice = authority.issue(["alice"], purpose="client")
    known = ClientConfig(trust=authority.trust, credentials=alice.credentials())
    print(await get(port, known))
    print(await get(port, ClientConfig(trust=authority.trust)))

    server.should_exit = True
    await serving


if __name__ == "__main__":
    asyncio.run(main())
