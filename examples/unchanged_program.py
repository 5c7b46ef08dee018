"""Run code that knows nothing but `ssl` on handclasp, by one line."""

import http.server
import ssl
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path

import handclasp
import handclasp.compat
from handclasp.certificates.authority import LocalAuthority


class Quiet(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{self.connection.version()}\n".encode())

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        pass


def main() -> None:
    handclasp.compat.inject()  # this is the line; below, there is `ssl` as ever

    directory = Path(tempfile.mkdtemp())
    authority = LocalAuthority.open_or_create(directory / "authority")
    issued = authority.issue(["localhost"])
    for name, content in (("key.pem", issued.key_pem), ("chain.pem", issued.chain_pem)):
        (directory / name).touch(mode=0o600)
        (directory / name).write_bytes(content)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "chain.pem", directory / "key.pem")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    url = f"https://localhost:{server.server_port}/"
    trusting = ssl.create_default_context(cadata=authority.certificate_pem.decode())
    with urllib.request.urlopen(url, context=trusting) as answer:
        print(answer.read().decode().strip())
    try:
        urllib.request.urlopen(url, context=ssl.create_default_context())
    except urllib.error.URLError as error:
        print("A context that does not trust the authority:", error.reason)
        # The same class and words as with `ssl`. What follows is what `ssl` does not tell.
        if isinstance(error.reason, handclasp.TLSError):
            print("Why:", error.reason.explanation)
            print("What to do:", error.reason.fix)
            print("At fault:", error.reason.blame)
    server.shutdown()
    server.server_close()


if __name__ == "__main__":
    main()
