"""Keys and filters whose Redis is found by a Sentinel."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.redis.redis_server import eventually
from tests.redis.sentinels import guarded
from tests.required import need_tool

import redis
from handclasp.redis import RedisReplayFilter, RedisTicketKeys


def test_nothing_is_left_open_at_a_sentinel(tmp_path: Path) -> None:
    with guarded(need_tool("redis-server"), tmp_path, 0.0) as servers:
        servers.master.remember_long()
        with redis.Redis(port=servers.sentinel) as sentinel:

            def clients() -> int:
                return len(sentinel.client_list())

            before = clients()
            with RedisTicketKeys(servers.url) as keys, RedisReplayFilter(servers.url) as guard:
                assert keys.ready(20)
                eventually("the filter is in touch", lambda: guard.in_touch)
                assert clients() > before
            # Before anything is collected.
            eventually("they have gone", lambda: clients() <= before)
            assert keys.status == "Closed, with 1 key."


@pytest.mark.parametrize("kind", [RedisTicketKeys, RedisReplayFilter])
def test_a_name_that_no_sentinel_knows(
    kind: type[RedisTicketKeys | RedisReplayFilter], tmp_path: Path
) -> None:
    with (
        guarded(need_tool("redis-server"), tmp_path, 0.0) as servers,
        kind(servers.url.replace("mymaster", "other")) as each,
    ):
        sentence = "no Sentinel answers that has a master of this name"
        eventually("it is told", lambda: sentence in each.status)
