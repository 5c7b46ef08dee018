"""The defects of a chain that was sent, beside the reason for which it was refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from handclasp import TrustStore
    from handclasp.certificates.doctor import MendedChain
    from handclasp.faults import Role


def mended_chain(chain_der: Sequence[bytes], trust: TrustStore | None) -> MendedChain | None:
    """Return the chain that should have been sent; None if one of its certificates is unreadable.

    See `findings_of` for the words.
    """
    from handclasp.certificates.doctor import mend
    from handclasp.certificates.reading import certificate_of

    try:
        certificates = [certificate_of(der) for der in chain_der]
    except ValueError:
        return None
    return mend(certificates, trust) if certificates else None


def findings_of(
    mended: MendedChain | None,
    file: str = "the chain's file",
    verifier: str = "",
    *,
    role: Role = "server",
) -> list[str]:
    """Return the defects of a chain, and the command that mends it; none if it is as it should be.

    Args:
        file: what to call the file that the command reads.
        verifier: what to call the end that verifies the chain, if not by its role.
        role: of the end whose chain it is.
    """
    found = mended.findings(verifier, role=role) if mended is not None else []
    if mended is None or not found:
        return []
    fetch = " --fetch" if mended.missing is not None and mended.missing.urls else ""
    if mended.has_leaf and (mended.missing is None or fetch):
        found.append(f"`handclasp cert fix{fetch}` makes the right chain out of {file}.")
    return found
