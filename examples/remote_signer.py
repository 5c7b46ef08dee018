"""Keep the private key elsewhere: the handshake waits for a signature, and the loop goes on.

`Kms` stands for a service that signs and never gives the key away: a cloud's key management, a
hardware module, another process.
"""

import asyncio
import tempfile
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key

import handclasp
from handclasp import ClientConfig, Credentials, LocalSigner, ServerConfig
from handclasp.certificates.authority import LocalAuthority


class Kms:
    """A signer that answers over the network, so to speak."""

    def __init__(self, private_key: Any) -> None:
        self._local = LocalSigner(private_key)
        self.schemes = self._local.schemes
        self.signatures = 0

    async def sign(self, scheme: str, data: bytes) -> bytes:
        await asyncio.sleep(0.02)  # the way there and back
        self.signatures += 1
        return self._local.sign(scheme, data)


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello")
    writer.close()


async def main() -> None:
    authority = LocalAuthority.open_or_create(tempfile.mkdtemp())
    issued = authority.issue(["localhost"])
    kms = Kms(load_pem_private_key(issued.key_pem, None))
    config = ServerConfig(credentials=Credentials.from_signer(issued.chain_pem, kms))

    async with await handclasp.aio.start_server(greet, "127.0.0.1", 0, config=config) as server:
        port = server.sockets[0].getsockname()[1]
        client_config = ClientConfig(trust=authority.trust)
        for _ in range(3):
            reader, writer = await handclasp.aio.open_connection(
                "localhost", port, config=client_config
            )
            print((await reader.read()).decode())
            writer.close()
            await writer.wait_closed()
    print("Signatures:", kms.signatures)


if __name__ == "__main__":
    asyncio.run(main())
