"""s2n-tls through awscrt, whose only conversation with a choosable end is its HTTP client."""

from __future__ import annotations

import hashlib
import json
import sys
import traceback
from io import BytesIO
from pathlib import Path

from awscrt import http, io

from .spine import read_flags


def main() -> None:
    flags = read_flags()
    payload = Path(flags.payload).read_bytes()
    try:
        connection = _connect(flags)
        received = [_post(connection, payload) for _ in range(flags.rounds)]
        connection.close().result(10)
        report = {"received": received}
        print(json.dumps(report), flush=True)
    except Exception as error:
        traceback.print_exc()
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
        sys.exit(1)


def _connect(flags) -> http.HttpClientConnection:  # type: ignore[no-untyped-def]
    if flags.cert:
        options = io.TlsContextOptions.create_client_with_mtls_from_path(flags.cert, flags.key)
    else:
        options = io.TlsContextOptions()
    options.override_default_trust_store_from_path(None, flags.ca)
    options.min_tls_ver = io.TlsVersion[flags.tls.replace(".", "_")]
    tls = io.ClientTlsContext(options).new_connection_options()
    tls.set_server_name("localhost")
    if flags.alpn:
        tls.set_alpn_list(flags.alpn)
    loop = io.EventLoopGroup(1)
    bootstrap = io.ClientBootstrap(loop, io.DefaultHostResolver(loop))
    return http.HttpClientConnection.new(
        host_name="127.0.0.1", port=flags.port, bootstrap=bootstrap, tls_connection_options=tls
    ).result(20)


def _post(connection: http.HttpClientConnection, payload: bytes) -> str:
    headers = http.HttpHeaders([("Host", "localhost"), ("Content-Length", str(len(payload)))])
    request = http.HttpRequest("POST", "/echo", headers, BytesIO(payload))
    body = bytearray()
    stream = connection.request(request, None, lambda http_stream, chunk, **_: body.extend(chunk))
    stream.activate()
    status = stream.completion_future.result(25)
    if status != 200:
        raise ValueError(f"status {status}")
    return hashlib.sha256(body).hexdigest()


if __name__ == "__main__":
    main()
