"""Scripted peers, and a private authority, for these tests."""

from __future__ import annotations

from tests.adversarial.conftest import client_config, meet_server, pki, server_config

__all__ = ["client_config", "meet_server", "pki", "server_config"]
