"""curl_cffi: curl on BoringSSL, with the hello of a current Chrome."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import traceback
from pathlib import Path

from curl_cffi import CurlHttpVersion, CurlOpt, requests

from .spine import read_flags


def main() -> None:
    flags = read_flags()
    payload = Path(flags.payload).read_bytes()
    options: dict[CurlOpt, object] = {
        CurlOpt.RESOLVE: [f"localhost:{flags.port}:127.0.0.1"],
        CurlOpt.NOPROXY: b"*",
    }
    if flags.ech_configs:
        configs = base64.b64encode(Path(flags.ech_configs).read_bytes())
        options[CurlOpt.ECH] = b"ecl:" + configs
    if not flags.alpn:
        options[CurlOpt.SSL_ENABLE_ALPN] = 0
    try:
        with requests.Session(
            impersonate="chrome",
            verify=flags.ca,
            cert=(flags.cert, flags.key) if flags.cert else None,
            http_version=CurlHttpVersion.V1_1,
            curl_options=options,
            timeout=25,
        ) as session:
            received = []
            for _ in range(flags.rounds):
                response = session.post(
                    f"https://localhost:{flags.port}/echo",
                    data=payload,
                    headers={"Expect": "", "Accept-Encoding": "identity"},
                )
                response.raise_for_status()
                received.append(hashlib.sha256(response.content).hexdigest())
        print(json.dumps({"received": received}), flush=True)
    except Exception as error:
        traceback.print_exc()
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
