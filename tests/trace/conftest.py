"""The recorded handshakes that the tests here tell about."""

from __future__ import annotations

from tests.recorded import pki, plain, retried

__all__ = ["pki", "plain", "retried"]
