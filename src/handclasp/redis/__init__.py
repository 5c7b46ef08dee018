"""State that the servers of a fleet share in Redis: ticket keys, and the memory of early data.

    keys = RedisTicketKeys("redis://10.0.0.5/0", wrapping_key=wrapping_key)
    ServerConfig(credentials=[...], ticket_keys=keys)

It needs the extra `handclasp[redis]`. Start with `keys`; docs/fleet.md is for operators.
"""

from __future__ import annotations

from handclasp.redis.keys import RedisTicketKeys
from handclasp.redis.replay import AsyncRedisReplayFilter, RedisReplayFilter
from handclasp.redis.troubles import FleetError

__all__ = ["RedisTicketKeys", "RedisReplayFilter", "AsyncRedisReplayFilter", "FleetError"]
