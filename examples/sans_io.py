"""Let a client and a server talk to each other through two variables, without any transport."""

import tempfile

from handclasp import (
    ClientConfig,
    ClientConnection,
    DataReceived,
    HandshakeCompleted,
    ServerConfig,
    ServerConnection,
)
from handclasp.certificates.authority import LocalAuthority


def main() -> None:
    authority = LocalAuthority.open_or_create(tempfile.mkdtemp())
    client = ClientConnection(ClientConfig(trust=authority.trust), server_name="localhost")
    server = ServerConnection(ServerConfig(credentials=authority.credentials(["localhost"])))

    to_server = bytes(client.data_to_send())
    to_client = b""
    while to_server or to_client:
        for event in server.receive_data(to_server) if to_server else ():
            print("server:", type(event).__name__)
            if isinstance(event, DataReceived):
                server.send_data(event.data.upper())
        to_client = bytes(server.data_to_send())
        for event in client.receive_data(to_client) if to_client else ():
            print("client:", type(event).__name__)
            if isinstance(event, HandshakeCompleted):
                client.send_data(b"hello")
            elif isinstance(event, DataReceived):
                print(event.data.decode())
        to_server = bytes(client.data_to_send())


if __name__ == "__main__":
    main()
