"""One Redis for all tests here, empty for each of them, and one authority."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from tests.redis.redis_server import RedisServer
from tests.required import lacking


@pytest.fixture(scope="session")
def running_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    binary = shutil.which("redis-server")
    if binary is None:
        lacking("redis-server is not installed")
    server = RedisServer(binary, tmp_path_factory.mktemp("redis"))
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture
def redis_server(running_redis: RedisServer) -> RedisServer:
    """It runs and is empty; a test may kill it."""
    running_redis.kill()
    running_redis.start()
    return running_redis
