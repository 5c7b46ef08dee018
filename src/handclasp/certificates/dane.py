"""TLSA records that the caller brings: the DNS says which certificate or authority is right.

RFC 6698, as RFC 7671 puts it into practice, for the usages 2 (DANE-TA) and 3 (DANE-EE).
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TlsaRecord:
    """One TLSA record (RFC 6698 section 2.1)."""

    usage: int
    selector: int
    matching_type: int
    data: bytes = field(repr=False)
