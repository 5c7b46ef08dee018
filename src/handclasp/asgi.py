"""ASGI applications over TLS: `handclasp.asgi.serve`, for uvicorn, and `serve_hypercorn`.

A short name for `handclasp.adapters.asgi`, which holds the code. uvicorn comes with the extra
`handclasp[asgi]`, and hypercorn with `handclasp[hypercorn]`.
"""

from __future__ import annotations

from handclasp.adapters.asgi import (
    RefuseEarlyData,
    make_server,
    serve,
    serve_hypercorn,
    tls_extension,
)

__all__ = ["serve", "make_server", "serve_hypercorn", "tls_extension", "RefuseEarlyData"]
