"""Signed certificate timestamps: proof that a certificate was shown to the public (RFC 6962)."""

from __future__ import annotations

from typing import Any


class CtLog:
    """A certificate transparency log, known by its public key."""

    __slots__ = ("_public_key", "log_id", "name")

    def __init__(self, public_key: Any, name: str = "") -> None:
        self._public_key = public_key
        self.name = name
        self.log_id = b""
