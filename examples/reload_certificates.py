"""Take a new certificate while the server runs: the next handshake has it."""

import socket
import tempfile
import threading
import time
from pathlib import Path

import handclasp
from handclasp import ClientConfig, Credentials, ServerConfig
from handclasp.certificates.authority import LocalAuthority


def renew(authority: LocalAuthority, directory: Path) -> None:
    """Write a new pair, as certbot does. The key may be read by its owner only."""
    issued = authority.issue(["localhost"])
    for name, content in (("key.pem", issued.key_pem), ("chain.pem", issued.chain_pem)):
        draft = directory / f"{name}.new"
        draft.touch(mode=0o600)
        draft.write_bytes(content)
        draft.replace(directory / name)


def serve(listener: socket.socket, config: ServerConfig) -> None:
    for _ in range(2):
        sock, _ = listener.accept()
        with handclasp.wrap_server(sock, config) as tls:
            tls.sendall(b"hello")


def main() -> None:
    directory = Path(tempfile.mkdtemp())
    authority = LocalAuthority.open_or_create(directory / "authority")
    renew(authority, directory)
    credentials = Credentials.auto_reload(directory / "chain.pem", directory / "key.pem")
    server_config = ServerConfig(credentials=credentials)
    config = ClientConfig(trust=authority.trust)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener, server_config))
        server.start()
        serials: list[int] = []
        for _ in range(2):
            with handclasp.connect("localhost", listener.getsockname()[1], config) as tls:
                tls.recv(1024)
                serials.append(tls.info.peer_chain[0].serial_number)
            renew(authority, directory)
            time.sleep(1)  # The files are looked at once a second at most.
        server.join()
    print("Another certificate after the renewal:", serials[0] != serials[1])


if __name__ == "__main__":
    main()
