"""Connect to a server whose authority is unknown here, and print what the error explains."""

import socket
import tempfile
import threading

import handclasp
from handclasp import ClientConfig, ServerConfig
from handclasp.certificates.authority import LocalAuthority


def serve(listener: socket.socket, config: ServerConfig, failures: list[str]) -> None:
    sock, _ = listener.accept()
    try:
        handclasp.wrap_server(sock, config).close()
    except handclasp.TLSError as error:
        failures.append(error.message)


def main() -> None:
    ours = LocalAuthority.open_or_create(tempfile.mkdtemp())
    other = LocalAuthority.open_or_create(tempfile.mkdtemp())
    server_config = ServerConfig(credentials=other.credentials(["localhost"]))

    failures: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener, server_config, failures))
        server.start()
        port = listener.getsockname()[1]
        try:
            handclasp.connect("localhost", port, ClientConfig(trust=ours.trust))
        except handclasp.TLSError as error:
            print("The client finds:", error.message)
            print("  Fault:   ", error.fault_name)
            print("  Why:     ", error.explanation)
            print("  Fix:     ", error.fix)
            print("  At fault:", error.blame)
        server.join()
    print("The server reports:", *failures)


if __name__ == "__main__":
    main()
