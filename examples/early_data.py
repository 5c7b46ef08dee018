"""Send a request together with the hello (0-RTT), and mark at the server what came so.

Early data can be replayed by an attacker who has recorded them, so that a server acts on them only
where a repetition does no harm (RFC 8446 section 8). They are never sent a second time by the
library: what the server did not take is in `early_data_rejected`.
"""

import socket
import tempfile
import threading

import handclasp
from handclasp import ClientConfig, ServerConfig, SessionStore
from handclasp.certificates.authority import LocalAuthority

REQUEST = b"GET /time"


def serve(listener: socket.socket, config: ServerConfig) -> None:
    for _ in range(2):
        sock, _ = listener.accept()
        with handclasp.wrap_server(sock, config) as tls:
            request, early = tls.early_data, True
            while len(request) < len(REQUEST):  # The rest comes, or all of it, after the handshake.
                request, early = request + tls.recv(1024), False
            tls.sendall(b"early: " + request if early else b"in time: " + request)


def main() -> None:
    authority = LocalAuthority.open_or_create(tempfile.mkdtemp())
    server_config = ServerConfig(
        credentials=authority.credentials(["localhost"]), max_early_data=16384
    )
    config = ClientConfig(trust=authority.trust, sessions=SessionStore(), allow_early_data=True)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener, server_config))
        server.start()
        port = listener.getsockname()[1]
        for _ in range(2):
            with handclasp.connect("localhost", port, config, early_data=REQUEST) as tls:
                if tls.early_data_rejected:  # on the first visit, all of it
                    tls.sendall(tls.early_data_rejected)
                print(tls.recv(1024).decode(), f"({tls.info.early_data_status})")
        server.join()


if __name__ == "__main__":
    main()
