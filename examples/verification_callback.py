"""Verify a server as always, and then by a rule of this application."""

import socket
import tempfile
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from cryptography import x509

import handclasp
from handclasp import (
    CertificateError,
    ClientConfig,
    Fault,
    ServerConfig,
    VerifiedPeer,
    VerifyPeer,
    verify_server_chain,
)
from handclasp.certificates.authority import LocalAuthority

MOST_DAYS = 400


def serve(listener: socket.socket, config: ServerConfig, failures: list[str]) -> None:
    for _ in range(2):
        sock, _ = listener.accept()
        try:
            with handclasp.wrap_server(sock, config) as tls:
                tls.sendall(b"hello")
        except handclasp.TLSError as error:
            failures.append(error.message)


def main() -> None:
    authority = LocalAuthority.open_or_create(tempfile.mkdtemp())
    server_config = ServerConfig(credentials=authority.credentials(["localhost"]))

    def verifier(most_days: int) -> Callable[[VerifyPeer], VerifiedPeer]:
        def verify(question: VerifyPeer) -> VerifiedPeer:
            peer = verify_server_chain(
                question.chain_der, authority.trust, question.server_name, datetime.now(UTC)
            )
            leaf = x509.load_der_x509_certificate(peer.chain_der[0])
            days = (leaf.not_valid_after_utc - leaf.not_valid_before_utc).days
            if days > most_days:
                detail = f"it is valid for {days} days, and {most_days} are enough"
                raise CertificateError(Fault.CERTIFICATE_REFUSED, detail)
            return peer

        return verify

    failures: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener, server_config, failures))
        server.start()
        for most_days in (MOST_DAYS, 1):
            config = ClientConfig(verify=verifier(most_days))
            try:
                with handclasp.connect("localhost", listener.getsockname()[1], config) as tls:
                    print(tls.recv(1024).decode())
            except handclasp.TLSError as error:
                print("The client refuses:", error.message)
        server.join()
    print("The server reports:", *failures)


if __name__ == "__main__":
    main()
