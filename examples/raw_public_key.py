"""Know a server by its public key alone, without any authority (RFC 7250)."""

import socket
import threading

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

import handclasp
from handclasp import ClientConfig, Credentials, ServerConfig


def serve(listener: socket.socket, config: ServerConfig) -> None:
    sock, _ = listener.accept()
    with handclasp.wrap_server(sock, config) as tls:
        tls.sendall(b"hello")


def main() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    key_pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public_key = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    server_config = ServerConfig(credentials=Credentials.raw_public_key(key_pem))
    config = ClientConfig(raw_public_keys=[public_key])  # what was learned beforehand

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener, server_config))
        server.start()
        sock = socket.create_connection(listener.getsockname())
        with handclasp.wrap_client(sock, config, server_name="sensor.internal") as tls:
            print(tls.recv(1024).decode())
            print("The server was known by its", tls.info.peer_certificate_type)
        server.join()


if __name__ == "__main__":
    main()
