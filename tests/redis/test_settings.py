"""Settings of what servers share in Redis: those that cannot be honoured are refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from handclasp.errors import ConfigurationError
from handclasp.redis import AsyncRedisReplayFilter, RedisReplayFilter, RedisTicketKeys

URL = "redis://127.0.0.1:1"

every_kind = pytest.mark.parametrize(
    "kind", [RedisTicketKeys, RedisReplayFilter, AsyncRedisReplayFilter]
)
no_seconds = pytest.mark.parametrize(
    "value", ["x", None, True, 0, -1, math.nan, math.inf, 1e10, 2**1000], ids=str
)


@no_seconds
@pytest.mark.parametrize("kind", [RedisReplayFilter, AsyncRedisReplayFilter])
def test_timeouts_that_cannot_be_waited_for(kind: Any, value: object) -> None:
    with pytest.raises(ConfigurationError, match="timeout must be a positive number of seconds"):
        kind(URL, timeout=value)


@no_seconds
@pytest.mark.parametrize("name", ["rotation", "lifetime", "poll"])
def test_times_of_keys_that_cannot_be(name: str, value: object) -> None:
    settings: dict[str, Any] = {name: value}
    with pytest.raises(ConfigurationError, match=f"{name} must be a positive number of seconds"):
        RedisTicketKeys(URL, **settings)


def test_times_are_kept_in_whole_milliseconds() -> None:
    with pytest.raises(ConfigurationError, match=r"poll .* from 0\.001 to 1e9"):
        RedisTicketKeys(URL, poll=0.0001)


@every_kind
@pytest.mark.parametrize("clock", [3, None, "time"])
def test_clocks_that_cannot_be_called(kind: Any, clock: object) -> None:
    with pytest.raises(ConfigurationError, match="clock must be a function"):
        kind(URL, clock=clock)


@every_kind
@pytest.mark.parametrize("prefix", ["", None, b"handclasp", "\ud800"])
def test_prefixes_that_cannot_be(kind: Any, prefix: object) -> None:
    with pytest.raises(ConfigurationError, match="prefix must be a text"):
        kind(URL, prefix=prefix)


@every_kind
def test_what_cannot_be_called_with_an_error(kind: Any) -> None:
    with pytest.raises(ConfigurationError, match="on_error must be a function"):
        kind(URL, on_error="log")


@pytest.mark.parametrize("value", ["x", None, True, -1, math.nan, math.inf, 1e10], ids=str)
def test_ready_waits_for_a_number_of_seconds(value: Any) -> None:
    with (
        RedisTicketKeys(URL) as keys,
        pytest.raises(ConfigurationError, match="timeout must be a number of seconds from 0"),
    ):
        keys.ready(value)


def test_ready_need_not_wait() -> None:
    with RedisTicketKeys(URL) as keys:
        assert keys.ready(0) is False
