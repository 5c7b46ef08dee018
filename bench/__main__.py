"""`python -m bench`: handshakes, records and chains, handclasp and something else in turn.

Both sides of each connection run in this process, in memory. ssl resumes nothing here and both
sides take the same suite and group. A row's ratio is the other's median over handclasp's: above 1,
handclasp is faster. Verifying a chain has cryptography's verifier inside, so that its ratio can
only be below 1; 0.77 or more is what is wanted (at most 1.3 times as long). The last rows are
handclasp beside itself, without its hooks for tracing and with a recorder: see `tracing`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import chains, tracing
from bench.measure import Row, compare
from handclasp import ClientConfig, ClientConnection, DataReceived, ServerConfig, ServerConnection
from handclasp.certificates.authority import LocalAuthority
from handclasp.certificates.credentials import Credentials
from handclasp.certificates.trust import TrustStore


def main() -> None:
    """Measure every row and print it."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=60, help="measurements a row (default 60)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        for row in (*connections(place), *chains.rows(), *tracing.rows(place)):
            measured = results[row.name] = compare(row, options.rounds)
            if not options.json:
                print(
                    f"{row.name:42} handclasp {measured['handclasp_us']:8.0f} us   "
                    f"{row.other:12} {measured[f'{row.other}_us']:8.0f} us   "
                    f"ratio {measured['ratio']:.2f}"
                )
    if options.json:
        print(json.dumps(results, indent=2))


def connections(directory: Path) -> Iterator[Row]:
    """Handshakes with each kind of key, then data over the last of them."""
    authority = LocalAuthority.open_or_create(directory)
    ca_pem = authority.certificate_pem
    for key_type in ("ecdsa-p256", "rsa-2048", "ed25519"):
        issued = authority.issue(["localhost"], key_type=key_type)
        client = ClientConfig(
            trust=TrustStore.from_pem(ca_pem),
            groups=["X25519"],
            cipher_suites=["TLS_AES_256_GCM_SHA384"],
        )
        server = ServerConfig(credentials=Credentials.from_pem(issued.chain_pem, issued.key_pem))
        chain, key = directory / "chain.pem", directory / "key.pem"
        chain.write_bytes(issued.chain_pem)
        key.write_bytes(issued.key_pem)
        client_context = ssl.create_default_context(cadata=ca_pem.decode())
        server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_context.num_tickets = 0
        server_context.load_cert_chain(chain, key)
        yield Row(
            f"full handshake, {key_type}, X25519",
            lambda c=client, s=server: own_pair(c, s),
            "ssl",
            lambda c=client_context, s=server_context: ssl_pair(c, s),
        )
    own_client, own_server = own_pair(client, server)
    their_client = ssl_pair(client_context, server_context)
    for size in (100, 1024, 16384, 262_144):
        data = bytes(size)
        yield Row(
            f"write and read, {size} bytes",
            lambda d=data: own_transfer(own_client, own_server, d),
            "ssl",
            lambda d=data: ssl_transfer(their_client, d),
        )


def own_pair(
    client_config: ClientConfig, server_config: ServerConfig
) -> tuple[ClientConnection, ServerConnection]:
    """One full handshake, both ends."""
    client = ClientConnection(client_config, server_name="localhost")
    server = ServerConnection(server_config)
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    server.receive_data(client.data_to_send())
    if not (client.established and server.established):
        raise RuntimeError("the handshake did not complete")
    return client, server


def own_transfer(client: ClientConnection, server: ServerConnection, data: bytes) -> None:
    """`data` from the client to the server."""
    client.send_data(data)
    received = 0
    for event in server.receive_data(client.data_to_send()):
        if isinstance(event, DataReceived):
            received += len(event.data)
    if received != len(data):
        raise RuntimeError("data was lost")


SslPair = tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.SSLObject, ssl.MemoryBIO]


def ssl_pair(client_context: ssl.SSLContext, server_context: ssl.SSLContext) -> SslPair:
    """One full handshake of the standard library with itself."""
    client_in, client_out, server_in, server_out = (ssl.MemoryBIO() for _ in range(4))
    client = client_context.wrap_bio(client_in, client_out, server_hostname="localhost")
    server = server_context.wrap_bio(server_in, server_out, server_side=True)
    for _ in range(2):
        for side in (client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
            server_in.write(client_out.read())
            client_in.write(server_out.read())
    server.do_handshake()
    return client, client_out, server, server_in


def ssl_transfer(pair: SslPair, data: bytes) -> None:
    """`data` from the client to the server."""
    client, client_out, server, server_in = pair
    client.write(data)
    server_in.write(client_out.read())
    received = 0
    while received < len(data):
        received += len(server.read(262_144))


if __name__ == "__main__":
    main()
