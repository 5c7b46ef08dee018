"""The fixtures of the plugin, which these tests use as others do."""

from __future__ import annotations

from handclasp.testing.pytest_plugin import tls_authority, tls_client, tls_server

__all__ = ["tls_authority", "tls_client", "tls_server"]
