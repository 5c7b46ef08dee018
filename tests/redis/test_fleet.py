"""Three servers, three processes and one Redis: whom they know again, and what happens without."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from tests.pki import Pki
from tests.redis.fleet import Fleet, Load, client_config, replay, visit
from tests.redis.redis_server import RedisServer, eventually
from tests.redis.sentinels import guarded
from tests.required import need_tool

pytestmark = pytest.mark.long

ROUNDS = 3
CLIENTS = 6
LOAD_SECONDS = 4.0


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


@pytest.fixture
def fleet(redis_server: RedisServer, pki: Pki, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(redis_server.url, pki, tmp_path) as fleet:
        yield fleet


def agree(fleet: Fleet) -> bool:
    """Whether all servers know the same keys, and there are some."""
    known = [set(member.keys) for member in fleet.members]
    return bool(known[0]) and all(each == known[0] for each in known)


def guarded_by_all(fleet: Fleet) -> bool:
    """Whether all servers know the same keys, and can ask Redis for first flights."""
    return agree(fleet) and all(member.guard_in_touch for member in fleet.members)


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_every_server_knows_every_client(fleet: Fleet, pki: Pki, version: str) -> None:
    fleet.start()
    eventually("all servers have the same keys", lambda: agree(fleet))
    resumed: list[bool] = []
    for number in range(CLIENTS):
        config = client_config(pki, version=version)
        for turn in range(ROUNDS * 3):
            member = fleet.members[(number + turn) % 3]
            resumed.append(visit(member, config).resumed)
    first, later = resumed[:: ROUNDS * 3], resumed.copy()
    del later[:: ROUNDS * 3]
    print(f"{version}: {sum(later)} of {len(later)} visits after the first were resumed")
    assert not any(first)
    assert all(later)


def test_keys_rotate_under_load(redis_server: RedisServer, pki: Pki, tmp_path: Path) -> None:
    with Fleet(redis_server.url, pki, tmp_path, rotation=1.0, lifetime=5.0) as fleet:
        fleet.start()
        eventually("all servers have the same keys", lambda: agree(fleet))
        seen = {key for member in fleet.members for key in member.keys[:1]}
        configs = [client_config(pki) for _ in range(CLIENTS)]
        with Load(fleet.members, configs).running() as load:
            end = time.monotonic() + LOAD_SECONDS
            while time.monotonic() < end:
                seen |= {key for member in fleet.members for key in member.keys[:1]}
                time.sleep(0.05)
    print(
        f"{len(load.visits)} handshakes in {LOAD_SECONDS:.0f} s, {len(load.failures)} failed, "
        f"{len(seen)} keys, {100 * load.hit_rate:.1f} % resumed"
    )
    assert load.failures == []
    assert len(seen) >= LOAD_SECONDS
    assert load.hit_rate == 1.0


def test_redis_goes_away_and_comes_back(fleet: Fleet, pki: Pki, redis_server: RedisServer) -> None:
    old = fleet.start()
    eventually("all servers have the same keys", lambda: agree(fleet))
    keys = set(old[0].keys)
    configs = [client_config(pki) for _ in range(CLIENTS)]
    with Load(old, configs).running() as load:
        eventually("every client came twice", lambda: len(load.visits) > 4 * CLIENTS)
        redis_server.kill()
        away_at = time.monotonic()
        for member in old:
            eventually("the outage is noticed", lambda m=member: not m.report()["in_touch"])
        (late,) = fleet.start(1)
        report = late.report()
        assert report["keys"] == []
        assert "no tickets are issued, and every handshake is a full one" in report["status"]
        assert report["errors"] == ["ConnectionError"]
        stranger = client_config(pki)
        assert [visit(late, stranger).resumed for _ in range(2)] == [False, False]
        eventually("many visits", lambda: len(load.since(away_at)) > 10 * CLIENTS)
        assert all(load.since(away_at))
        assert all(set(member.keys) == keys for member in old)

        # It remembers nothing, but the servers do.
        redis_server.start()
        eventually("the late server joins", lambda: keys <= set(late.keys) and agree(fleet))
        back_at = time.monotonic()
        for member in fleet.members:
            eventually("the end is noticed", lambda m=member: m.report()["in_touch"])
            report = member.report()
            assert "It was away from" in report["status"]
            assert report["errors"] == ["ConnectionError"]
        regular = client_config(pki)
        assert [visit(m, regular).resumed for m in (*old, late)] == [False, True, True, True]
        eventually("many visits", lambda: len(load.since(back_at)) > 5 * CLIENTS)
    print(
        f"{len(load.visits)} handshakes, {len(load.failures)} failed; {100 * load.hit_rate:.1f} %"
    )
    assert load.failures == []
    assert load.hit_rate == 1.0


def first_flights(fleet: Fleet) -> list[bool]:
    return [answer for member in fleet.members for answer in member.first_flights]


def test_early_data_are_taken_once(fleet: Fleet, pki: Pki, redis_server: RedisServer) -> None:
    redis_server.remember_long()
    fleet.start()
    eventually("all servers are in touch", lambda: guarded_by_all(fleet))
    for server in fleet.members:
        config = client_config(pki, early_data=True)
        assert visit(server, config).early_data == "none"
        before = len(first_flights(fleet))
        honest = visit(server, config, b"GET / once")
        assert (honest.resumed, honest.early_data) == (True, "accepted")
        # What was recorded comes to all servers at once, and twice.
        with ThreadPoolExecutor(6) as pool:
            flights = [honest.first_flight] * 6
            assert all(pool.map(replay, fleet.members * 2, flights))
        answers = first_flights(fleet)
        assert (len(answers) - before, sum(answers)) == (7, 1 + fleet.members.index(server))


def test_who_comes_after_a_replay_is_served(
    fleet: Fleet, pki: Pki, redis_server: RedisServer
) -> None:
    """The attacker is faster: the client's own first flight is the second one."""
    redis_server.remember_long()
    fleet.start()
    eventually("all servers are in touch", lambda: guarded_by_all(fleet))
    for index, server in enumerate(fleet.members):
        config = client_config(pki, early_data=True)
        visit(server, config)
        other = fleet.members[index - 1]
        late = visit(server, config, b"GET / once", partial(replay, other))
        assert (late.resumed, late.early_data) == (True, "rejected")
        assert other.first_flights.count(True) == 1


def test_without_redis_no_early_data_are_taken(
    fleet: Fleet, pki: Pki, redis_server: RedisServer
) -> None:
    redis_server.remember_long()
    fleet.start()
    eventually("all servers are in touch", lambda: guarded_by_all(fleet))
    configs = [client_config(pki, early_data=True) for _ in fleet.members]
    for server, config in zip(fleet.members, configs, strict=True):
        visit(server, config)
        assert visit(server, config, b"GET / with Redis").early_data == "accepted"
    redis_server.kill()
    for server, config in zip(fleet.members, configs, strict=True):
        away = visit(server, config, b"GET / without")
        assert (away.resumed, away.early_data) == (True, "rejected")
    # It is back, but does not know what was here before: a replay would not be noticed.
    redis_server.start()
    eventually("all servers are in touch", lambda: guarded_by_all(fleet))
    for server, config in zip(fleet.members, configs, strict=True):
        back = visit(server, config, b"GET / too early")
        assert (back.resumed, back.early_data) == (True, "rejected")
    redis_server.remember_long()
    for server, config in zip(fleet.members, configs, strict=True):
        assert visit(server, config, b"GET / again").early_data == "accepted"


FAR_AWAY = 0.04
"""Seconds there and back."""


def rates(load: Load, since: float, until: float) -> tuple[int, float, float]:
    """Visits in a span of time, and the shares resumed and with early data accepted."""
    resumed = [was for at, was in load.visits if since < at <= until]
    early = [was for at, was in load.early if since < at <= until]
    return len(resumed), sum(resumed) / len(resumed), sum(early) / len(early)


def test_a_master_far_away_dies(pki: Pki, tmp_path: Path) -> None:
    """Redis is 40 ms away, clocks differ by up to 8 s, and a replica takes over: nobody fails."""
    clients = 3
    with (
        guarded(need_tool("redis-server"), tmp_path, FAR_AWAY) as redis_servers,
        Fleet(redis_servers.url, pki, tmp_path, timeout=0.2, ahead=(0, 4, -4)) as fleet,
    ):
        redis_servers.master.remember_long()
        fleet.start()
        eventually("all servers are in touch", lambda: guarded_by_all(fleet))
        configs = [client_config(pki, early_data=True) for _ in range(clients)]
        load = Load(fleet.members, configs, early_data=b"GET / once", pause=0.03)
        with load.running():
            began = time.monotonic()
            eventually("every client has a ticket", lambda: len(load.early) > 3 * clients)
            time.sleep(3)
            redis_servers.master.kill()
            killed = time.monotonic()
            replica = redis_servers.replica
            eventually("the replica takes over", lambda: redis_servers.current is replica)
            eventually("all servers are in touch", lambda: guarded_by_all(fleet))
            back = time.monotonic()
            # Marks of before may be missing, so it counts as a memory that has just begun.
            for member in fleet.members:
                assert "Early data are refused until" in member.report()["guard_status"]
            time.sleep(1)
            replica.remember_long()
            remembers = time.monotonic()
            time.sleep(3)
            ended = time.monotonic()
    spans = {
        "before": (began, killed),
        "without a master": (killed, back),
        "with a new one": (back, remembers),
        "once that remembers": (remembers, ended),
    }
    told = {name: rates(load, *span) for name, span in spans.items()}
    for name, (count, resumed, early) in told.items():
        since, until = spans[name]
        print(
            f"{name}, {until - since:.1f} s: {count} handshakes, {100 * resumed:.1f} % resumed, "
            f"{100 * early:.1f} % with early data"
        )
    print(f"{len(load.visits)} handshakes, {len(load.failures)} failed")
    assert load.failures == []
    assert load.hit_rate == 1.0
    assert told["before"][2] > 0.8
    assert told["with a new one"][2] == 0.0
    assert told["once that remembers"][2] > 0.8
