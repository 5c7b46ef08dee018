"""Derive the same key at both ends, and bind another protocol to this connection.

An exporter (RFC 9846 section 7.5) gives keys that only the two ends of one connection know. A
channel binding (RFC 9266) names the connection: a login that includes it cannot be relayed.
"""

import hmac
import socket
import tempfile
import threading

import handclasp
from handclasp import ClientConfig, ServerConfig
from handclasp.certificates.authority import LocalAuthority

LABEL = "EXPORTER-example-key"
PASSWORD_KEY = b"what both ends know from a password"


def serve(listener: socket.socket, config: ServerConfig) -> None:
    sock, _ = listener.accept()
    with handclasp.wrap_server(sock, config) as tls:
        proof = tls.recv(32)
        binding = tls.channel_binding("tls-exporter")
        expected = hmac.digest(PASSWORD_KEY, binding, "sha256")
        answer = b"welcome" if hmac.compare_digest(proof, expected) else b"go away"
        tls.sendall(answer + tls.export_keying_material(LABEL, b"context", 16))


def main() -> None:
    authority = LocalAuthority.open_or_create(tempfile.mkdtemp())
    server_config = ServerConfig(credentials=authority.credentials(["localhost"]))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener, server_config))
        server.start()
        config = ClientConfig(trust=authority.trust)
        with handclasp.connect("localhost", listener.getsockname()[1], config) as tls:
            binding = tls.channel_binding("tls-exporter")
            tls.sendall(hmac.digest(PASSWORD_KEY, binding, "sha256"))
            with tls.makefile("rb") as file:
                answer = file.read()
            key = tls.export_keying_material(LABEL, b"context", 16)
            print(answer[:-16].decode())
            print("The exported keys are", "equal" if answer[-16:] == key else "different")
        server.join()


if __name__ == "__main__":
    main()
