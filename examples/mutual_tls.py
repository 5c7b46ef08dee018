"""Ask clients for a certificate, and tell by it who they are."""

import socket
import tempfile
import threading

import handclasp
from handclasp import ClientAuth, ClientConfig, ServerConfig
from handclasp.certificates.authority import LocalAuthority


def serve(listener: socket.socket, config: ServerConfig, failures: list[str]) -> None:
    for _ in range(2):
        sock, _ = listener.accept()
        try:
            with handclasp.wrap_server(sock, config) as tls:
                # Names of the verified certificate; the common name in its subject never counts.
                known = "alice.clients.internal" in tls.info.peer_names.dns
                names = ", ".join(tls.info.peer_names.dns)
                tls.sendall(f"Hello {names}, you are {'' if known else 'not '}known".encode())
        except handclasp.TLSError as error:
            failures.append(error.message)


def main() -> None:
    servers = LocalAuthority.open_or_create(tempfile.mkdtemp())
    clients = LocalAuthority.open_or_create(tempfile.mkdtemp())
    server_config = ServerConfig(
        credentials=servers.credentials(["localhost"]),
        client_auth=ClientAuth.REQUIRED,
        trust=clients.trust,  # the authorities of the clients, and no other
    )
    alice = clients.issue(["alice.clients.internal"], purpose="client")
    known = ClientConfig(trust=servers.trust, credentials=alice.credentials())
    unknown = ClientConfig(trust=servers.trust)

    failures: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener, server_config, failures))
        server.start()
        port = listener.getsockname()[1]
        with handclasp.connect("localhost", port, known) as tls:
            print(tls.recv(1024).decode())
        try:
            # In TLS 1.3 a client learns that it was refused when it reads for the first time.
            with handclasp.connect("localhost", port, unknown) as tls:
                tls.recv(1024)
        except handclasp.TLSError as error:
            print("The client without a certificate:", error.explanation)
        server.join()
    print("The server reports:", *failures)


if __name__ == "__main__":
    main()
