"""`python -m bench`: handshakes and records, handclasp and ssl in turn.

Both sides of each connection run in this process, in memory. ssl resumes nothing here and both
sides take the same suite and group. A row's ratio is ssl's median over handclasp's: above 1,
handclasp is faster.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import ssl
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from handclasp import ClientConfig, ClientConnection, DataReceived, ServerConfig, ServerConnection
from handclasp.certificates.authority import LocalAuthority
from handclasp.certificates.credentials import Credentials
from handclasp.certificates.trust import TrustStore

Action = Callable[[], object]


def main() -> None:
    """Measure every row and print it."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=60, help="measurements a row (default 60)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as directory:
        for name, ours, theirs in rows(Path(directory)):
            results[name] = compare(ours, theirs, options.rounds)
            if not options.json:
                row = results[name]
                print(
                    f"{name:42} handclasp {row['handclasp_us']:8.0f} us   "
                    f"ssl {row['ssl_us']:8.0f} us   ratio {row['ratio']:.2f}"
                )
    if options.json:
        print(json.dumps(results, indent=2))


def compare(ours: Action, theirs: Action, rounds: int) -> dict[str, float]:
    """Both actions in turn, so that a drift of the machine meets both alike."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for action, collected in zip((ours, theirs), times, strict=True):
            started = time.perf_counter()
            action()
            collected.append((time.perf_counter() - started) * 1e6)
    own, other = statistics.median(times[0]), statistics.median(times[1])
    return {"handclasp_us": own, "ssl_us": other, "ratio": other / own}


def rows(directory: Path) -> Iterator[tuple[str, Action, Action]]:
    """Name, our action, ssl's action."""
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
        yield (
            f"full handshake, {key_type}, X25519",
            lambda c=client, s=server: own_pair(c, s),
            lambda c=client_context, s=server_context: ssl_pair(c, s),
        )
    own_client, own_server = own_pair(client, server)
    their_client = ssl_pair(client_context, server_context)
    for size in (100, 1024, 16384, 262_144):
        data = bytes(size)
        yield (
            f"write and read, {size} bytes",
            lambda d=data: own_transfer(own_client, own_server, d),
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
