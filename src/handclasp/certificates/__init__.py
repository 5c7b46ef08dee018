"""Authentication: this side's credentials, the authorities it trusts, and the verdict on a peer.

It may import `crypto`, `errors`, `faults`, `iana` and `wire.reader`. cryptography.x509 costs
more to import than all of the rest, so it is imported only when the first chain is verified. Start
with `verify` and `decision`, which make the trust decision; `explanation` gives the reasons.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handclasp.certificates.describe import describe_certificate
    from handclasp.certificates.explanation import Explanation, explain

__all__ = ["Explanation", "describe_certificate", "explain"]


def __getattr__(name: str) -> Any:
    # They need cryptography.x509, which is imported only where it is needed.
    if name in __all__:
        room = "describe" if name == "describe_certificate" else "explanation"
        return getattr(import_module(f"handclasp.certificates.{room}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
