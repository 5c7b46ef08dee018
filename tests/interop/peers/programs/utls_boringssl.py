"""BoringSSL through utls, which has the surface of ssl for clients."""

from __future__ import annotations

import utls

from .rtls_rustls import WithEch
from .spine import main

if __name__ == "__main__":
    main(WithEch(utls))
