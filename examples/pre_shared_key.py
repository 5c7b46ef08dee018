"""Connect two devices that share a random key, without certificates (RFC 9846 section 2.2)."""

import secrets
import socket
import threading

import handclasp
from handclasp import ClientConfig, PreSharedKey, ServerConfig


def serve(listener: socket.socket, config: ServerConfig) -> None:
    sock, _ = listener.accept()
    with handclasp.wrap_server(sock, config) as tls:
        tls.sendall(b"hello, " + (tls.info.psk_identity or b"stranger"))


def main() -> None:
    # A password will not do: who observes one handshake could try all of them (RFC 9257).
    key = PreSharedKey(b"sensor 7", secrets.token_bytes(32))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener, ServerConfig(psks=[key])))
        server.start()
        sock = socket.create_connection(listener.getsockname())
        with handclasp.wrap_client(sock, ClientConfig(psks=[key])) as tls:
            print(tls.recv(1024).decode())
            print("Certificates:", len(tls.info.peer_chain_der))
            print("Key exchange besides the shared key:", tls.info.group)
        server.join()


if __name__ == "__main__":
    main()
