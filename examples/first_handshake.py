"""Serve and connect over a socket, and save the page that explains the handshake."""

import socket
import tempfile
import threading
from pathlib import Path

import handclasp
from handclasp import ClientConfig, Recorder, ServerConfig
from handclasp.certificates.authority import LocalAuthority


def serve(listener: socket.socket, config: ServerConfig) -> None:
    sock, _ = listener.accept()
    with handclasp.wrap_server(sock, config) as tls:
        request = tls.recv(1024)
        tls.sendall(b"You said: " + request)


def main() -> None:
    directory = Path(tempfile.mkdtemp())
    authority = LocalAuthority.open_or_create(directory / "authority")
    server_config = ServerConfig(credentials=authority.credentials(["localhost"]))
    client_config = ClientConfig(trust=authority.trust)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener, server_config))
        server.start()
        recorder = Recorder()
        port = listener.getsockname()[1]
        with handclasp.connect("localhost", port, client_config, trace=recorder) as tls:
            tls.sendall(b"hello")
            print(tls.recv(1024).decode())
            print(tls.info.version, tls.info.cipher_suite, tls.info.group)
        server.join()

    page = directory / "handshake.html"
    recorder.save_html(page, "localhost")
    print(f"Open {page} in a browser: it has every message of this handshake, byte by byte.")


if __name__ == "__main__":
    main()
