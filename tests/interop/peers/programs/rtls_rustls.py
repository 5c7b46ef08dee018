"""rustls through rtls, which has the surface of ssl."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .spine import main
from .stdlib_ssl import StandardLibrary


class WithEch(StandardLibrary):
    """A module like ssl, whose contexts take configurations for Encrypted Client Hello."""

    def _context(self, protocol: Any, flags: argparse.Namespace) -> Any:
        context = super()._context(protocol, flags)
        if flags.ech_configs and flags.role == "client":
            context = context.set_ech_configs(Path(flags.ech_configs).read_bytes())
        return context

    def configure(self, context: Any, flags: argparse.Namespace) -> None:
        """Name neither groups nor suites, which rtls cannot: the other end chooses."""


if __name__ == "__main__":
    import rtls

    main(WithEch(rtls))
