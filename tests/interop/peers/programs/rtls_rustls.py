"""rustls through rtls, which has the surface of ssl."""

from __future__ import annotations

import argparse
from typing import Any

import rtls

from .spine import main
from .stdlib_ssl import StandardLibrary


class Rtls(StandardLibrary):
    def configure(self, context: Any, flags: argparse.Namespace) -> None:
        """rtls names neither groups nor TLS 1.3 suites: the other end chooses."""


if __name__ == "__main__":
    main(Rtls(rtls))
