"""TLS for trio: `handclasp.trio.open_tls_stream`, `serve_tls` and `TLSStream`.

A short name for `handclasp.adapters.trio`, which holds the code. It needs the extra
`handclasp[trio]`.
"""

from __future__ import annotations

from handclasp.adapters.trio import (
    HandshakeNeeded,
    TLSListener,
    TLSStream,
    open_tls_stream,
    serve_tls,
)

__all__ = ["open_tls_stream", "serve_tls", "TLSStream", "TLSListener", "HandshakeNeeded"]
