"""rustls through rtls, which has the surface of `ssl`."""

from __future__ import annotations

from collections.abc import Mapping

from handclasp.cli.benchmarks.stacks import Setup, StandardLibrary


class Rtls(StandardLibrary):
    """rtls. Neither its groups nor its sessions can be set."""

    curves: Mapping[str, str] = {}

    def fits(self, setup: Setup) -> bool:
        return super().fits(setup) and setup.group == "X25519" and not setup.resumes
