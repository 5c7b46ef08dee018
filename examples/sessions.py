"""Resume a session, from memory and from a file, so that the server sends no certificate again."""

import socket
import tempfile
import threading
from pathlib import Path

import handclasp
from handclasp import ClientConfig, ServerConfig, SessionStore
from handclasp.certificates.authority import LocalAuthority

CONNECTIONS = 4


def serve(listener: socket.socket, config: ServerConfig) -> None:
    for _ in range(CONNECTIONS):
        sock, _ = listener.accept()
        with handclasp.wrap_server(sock, config) as tls:
            tls.sendall(b"hello")


def main() -> None:
    directory = Path(tempfile.mkdtemp())
    authority = LocalAuthority.open_or_create(directory / "authority")
    server_config = ServerConfig(credentials=authority.credentials(["localhost"]))
    stores = {
        "in memory": SessionStore(),
        "in a file": SessionStore.file(directory / "sessions"),  # only you can read it
    }

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener, server_config))
        server.start()
        for where, store in stores.items():
            config = ClientConfig(trust=authority.trust, sessions=store)
            for visit in ("first", "second"):
                with handclasp.connect("localhost", listener.getsockname()[1], config) as tls:
                    tls.recv(1024)  # The tickets come behind the handshake, with the first data.
                    how = "resumed" if tls.info.resumed else "full handshake"
                    print(f"{where}, {visit} visit: {how}")
        server.join()


if __name__ == "__main__":
    main()
