"""Shared ticket keys with a real Redis, and with clocks that the tests turn."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import pytest
from redis.backoff import NoBackoff
from redis.retry import Retry
from tests.redis.fleet import ROOT
from tests.redis.redis_server import RedisServer, eventually

import redis
from handclasp.crypto.secret import Secret
from handclasp.errors import ConfigurationError
from handclasp.redis import FleetError, RedisReplayFilter, RedisTicketKeys
from handclasp.redis.shared_keys import make_key, write_entry
from handclasp.sessions.tickets import SessionState, open_ticket, seal_ticket

NAME = "handclasp:ticket-keys"
NOW = 1_800_000_000.0
ROTATION, LIFETIME, POLL = 100.0, 60.0, 0.01
WRAPPING_KEY = bytes(range(32))
STATE = SessionState(
    0x0304, 0x1301, Secret(bytes(32)), 0, 0, 100, 0, 0, "localhost", "", bytes(32)
)  # fmt: skip


class Clock:
    """Seconds since 1970, as the test has it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(redis_server: RedisServer, clock: Clock) -> Iterator[Callable[..., RedisTicketKeys]]:
    """Makes servers' keys, which are closed in the end."""
    with ExitStack() as stack:

        def make(**changes: Any) -> RedisTicketKeys:
            options: dict[str, Any] = {
                "rotation": ROTATION,
                "lifetime": LIFETIME,
                "poll": POLL,
                "clock": clock,
            }
            url = changes.pop("url", redis_server.url)
            return stack.enter_context(RedisTicketKeys(url, **(options | changes)))

        yield make


def ids(keys: RedisTicketKeys) -> list[str]:
    known = keys.keys()
    return [key.key_id.hex() for key in known]


def entries(server: RedisServer) -> dict[bytes, bytes]:
    with server.client() as client:
        found: Any = client.hgetall(NAME)
        return dict(found)


def has_keys(keys: RedisTicketKeys, count: int) -> None:
    eventually(f"{count} keys are known", lambda: len(keys.keys()) == count)


# Making keys


def test_servers_that_start_at_once_make_one_key(
    make: Callable[..., RedisTicketKeys], redis_server: RedisServer
) -> None:
    for _ in range(5):
        with redis_server.client() as client:
            client.flushall()
        # A prefix of its own would be as good; these know nothing of each other but through Redis.
        with ExitStack() as stack:
            servers = [stack.enter_context(make()) for _ in range(8)]
            assert all(server.ready() for server in servers)
            assert {tuple(ids(server)) for server in servers} == {tuple(ids(servers[0]))}
            assert len(entries(redis_server)) == 1


def test_one_server_makes_the_next_key_and_all_hear_of_it_first(
    make: Callable[..., RedisTicketKeys], redis_server: RedisServer, clock: Clock
) -> None:
    servers = [make() for _ in range(6)]
    assert all(server.ready() for server in servers)
    ((first,),) = {tuple(ids(server)) for server in servers}
    clock.now += ROTATION / 2
    for server in servers:
        has_keys(server, 2)
    assert len(entries(redis_server)) == 2
    assert {ids(server)[0] for server in servers} == {first}
    (second,) = {ids(server)[1] for server in servers}
    (key,) = servers[0].keys()[1:]
    assert key.seals_from == NOW + ROTATION >= clock.now + 2 * POLL
    assert key.opens_until == NOW + 2 * ROTATION + LIFETIME

    clock.now = NOW + ROTATION - 0.001
    assert {ids(server)[0] for server in servers} == {first}
    clock.now = NOW + ROTATION
    assert {tuple(ids(server)) for server in servers} == {(second, first)}
    clock.now = NOW + ROTATION + LIFETIME - 0.001
    for server in servers:
        has_keys(server, 3)
        assert ids(server)[0] == second
        assert first in ids(server)
    clock.now = NOW + ROTATION + LIFETIME
    assert all(first not in ids(server) for server in servers)


def test_what_is_over_is_cleared_away(
    make: Callable[..., RedisTicketKeys], redis_server: RedisServer, clock: Clock
) -> None:
    with make(wrapping_key=WRAPPING_KEY) as wrapped, make() as plain:
        assert wrapped.ready()
        assert plain.ready()
        (gone,) = ids(wrapped)
    keys = make()
    assert keys.ready()
    # Whoever wrapped it: that it is over can be seen.
    clock.now += ROTATION + LIFETIME + 60
    eventually("it is gone", lambda: gone.encode() not in entries(redis_server))
    with redis_server.client() as client:
        left: Any = client.pttl(NAME)
    assert 0 < left <= 1000 * (2 * ROTATION + LIFETIME + 60)


def test_a_lost_memory_is_restored(
    make: Callable[..., RedisTicketKeys], redis_server: RedisServer, clock: Clock
) -> None:
    servers = [make() for _ in range(3)]
    assert all(server.ready() for server in servers)
    clock.now += ROTATION / 2
    for server in servers:
        has_keys(server, 2)
    before = entries(redis_server)
    with redis_server.client() as client:
        client.flushall()
    eventually("it is written again", lambda: entries(redis_server) == before)
    assert {tuple(ids(server)) for server in servers} == {tuple(ids(servers[0]))}


def test_what_cannot_be_called_with_an_error_is_refused() -> None:
    wrong: Any = "log"
    with pytest.raises(ConfigurationError, match="on_error must be a function"):
        RedisTicketKeys("redis://127.0.0.1:1", on_error=wrong)


# Without Redis


def test_without_redis_there_are_no_keys_until_it_is_there(
    make: Callable[..., RedisTicketKeys], redis_server: RedisServer
) -> None:
    redis_server.kill()
    errors: list[FleetError] = []
    keys = make(on_error=errors.append)
    assert not keys.ready()
    assert list(keys.keys()) == []
    assert seal_ticket(STATE, keys.keys(), lambda size: bytes(size)) is None
    assert not keys.in_touch
    assert "no keys" in keys.status
    assert "no tickets are issued, and every handshake is a full one" in keys.status
    time.sleep(5 * POLL)
    redis_server.start()
    has_keys(keys, 1)
    eventually("it says so", lambda: keys.in_touch)
    assert keys.status.startswith("In touch with Redis: 1 key. It was away from 2027-01-15 ")
    assert [error.kind for error in errors] == ["ConnectionError"]
    # The next outage is told again.
    redis_server.kill()
    eventually("the next one is told", lambda: len(errors) == 2)
    assert "1 key; if it stays so, tickets are issued until 2027-01-15 08:01:40" in keys.status


def test_known_keys_do_their_time_and_no_more(
    make: Callable[..., RedisTicketKeys], redis_server: RedisServer, clock: Clock
) -> None:
    keys = make()
    assert keys.ready()
    (known,) = ids(keys)
    redis_server.kill()
    eventually("it is noticed", lambda: not keys.in_touch)
    clock.now = NOW + ROTATION - 0.001
    ticket = seal_ticket(STATE, keys.keys(), lambda size: bytes(size))
    assert ticket is not None
    assert open_ticket(ticket, keys.keys()) == STATE
    # It must not seal any more, and no server makes a key that others do not know.
    clock.now = NOW + ROTATION
    assert seal_ticket(STATE, keys.keys(), lambda size: bytes(size)) is None
    assert open_ticket(ticket, keys.keys()) == STATE
    assert ids(keys) == [known]
    assert "no tickets are issued, and those of before open until" in keys.status
    clock.now = NOW + ROTATION + LIFETIME
    assert list(keys.keys()) == []
    redis_server.start()
    has_keys(keys, 1)
    assert ids(keys) != [known]
    assert keys.keys()[0].seals_from == clock.now


def test_nobody_waits_for_a_redis_that_does_not_answer(
    make: Callable[..., RedisTicketKeys], redis_server: RedisServer
) -> None:
    once = Retry(NoBackoff(), 0)
    with redis.Redis(port=redis_server.port, socket_timeout=1.0, retry=once) as client:
        keys = make(url=client)
        assert keys.ready()
        redis_server.freeze()
        try:
            answered = 0
            while keys.in_touch:
                assert keys.keys()
                answered += 1
            # If each waited for the time-out, there would be one or two.
            assert answered > 20
            assert "TimeoutError" in keys.status
        finally:
            redis_server.thaw()
        eventually("it answers again", lambda: keys.in_touch)


def test_a_fault_in_on_error_changes_nothing(
    make: Callable[..., RedisTicketKeys], redis_server: RedisServer
) -> None:
    def fail(error: Exception) -> None:
        raise RuntimeError("in the callback")

    redis_server.kill()
    keys = make(on_error=fail)
    keys.ready()
    redis_server.start()
    has_keys(keys, 1)


def test_a_value_of_another_kind_is_an_outage(
    make: Callable[..., RedisTicketKeys], redis_server: RedisServer
) -> None:
    with redis_server.client() as client:
        client.set(NAME, "this is no hash")
        keys = make()
        assert not keys.ready()
        assert "WRONGTYPE" in keys.status
        client.delete(NAME)
    has_keys(keys, 1)


def test_who_may_only_read_uses_what_is_there(
    make: Callable[..., RedisTicketKeys], redis_server: RedisServer, clock: Clock
) -> None:
    writer = make()
    assert writer.ready()
    with redis_server.client() as client:
        client.acl_setuser(
            "reader", enabled=True, nopass=True, keys=["*"], categories=["+@all", "-@write"]
        )
    reader = make(url=redis_server.url.replace("//", "//reader:any@"))
    has_keys(reader, 1)
    clock.now += ROTATION / 2
    has_keys(reader, 2)
    assert ids(reader) == ids(writer)


# What others put there


@pytest.mark.parametrize("wrapping_key", [None, WRAPPING_KEY], ids=["plain", "wrapped"])
def test_broken_entries_are_ignored(
    make: Callable[..., RedisTicketKeys], redis_server: RedisServer, wrapping_key: bytes | None
) -> None:
    with make(wrapping_key=wrapping_key) as first:
        assert first.ready()
        (good,) = ids(first)
    broken = {
        b"": b"",
        b"nonsense": b"nonsense",
        b"\xff\xfe": b"\xff",
        b"00" * 8: b"01",
        b"11" * 8: b"01" * 57,
        b"22" * 8: b"ff" * 200,
    }
    with redis_server.client() as client:
        client.hset(NAME, mapping=broken)
    keys = make(wrapping_key=wrapping_key)
    assert keys.ready()
    assert ids(keys) == [good]
    assert "6 entries cannot be read: is wrapping_key the same everywhere?" in keys.status
    assert entries(redis_server).keys() >= broken.keys()


def test_a_known_key_cannot_be_changed(
    make: Callable[..., RedisTicketKeys], redis_server: RedisServer
) -> None:
    keys = make()
    assert keys.ready()
    (before,) = keys.keys()
    good = entries(redis_server)
    with redis_server.client() as client:
        other = make_key(int(NOW * 1000), 99_000, 99_000)
        client.hset(NAME, before.key_id.hex(), write_entry(other, None))
        time.sleep(5 * POLL)
        assert list(keys.keys()) == [before]
        client.hset(NAME, before.key_id.hex(), "broken")
    eventually("it is mended", lambda: entries(redis_server) == good)


def test_wrapped_keys_are_for_those_who_can_unwrap_them(
    make: Callable[..., RedisTicketKeys], redis_server: RedisServer
) -> None:
    one, same = make(wrapping_key=WRAPPING_KEY), make(wrapping_key=WRAPPING_KEY)
    assert one.ready()
    assert same.ready()
    assert ids(one) == ids(same)
    (key,) = one.keys()
    assert key.key.hex().encode() not in b"".join(entries(redis_server).values())
    # Others go on by themselves, as in the middle of a change of the wrapping key.
    strangers = [make(), make(wrapping_key=b"k" * 32)]
    for stranger in strangers:
        assert stranger.ready()
        assert not set(ids(stranger)) & set(ids(one))
    for each in (one, same, *strangers):
        eventually("each says so", lambda e=each: "2 entries cannot be read" in e.status)
        assert len(each.keys()) == 1


def test_prefixes_keep_fleets_apart(make: Callable[..., RedisTicketKeys]) -> None:
    one, other = make(prefix="one"), make(prefix="other")
    assert one.ready()
    assert other.ready()
    assert ids(one) != ids(other)


def test_clients_that_make_texts_of_everything(
    make: Callable[..., RedisTicketKeys], redis_server: RedisServer
) -> None:
    one = make()
    assert one.ready()
    with redis.Redis(port=redis_server.port, decode_responses=True) as client:
        other = make(url=client)
        assert other.ready()
        assert ids(other) == ids(one)
        other.close()
        assert client.ping()


# The end


@contextmanager
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def test_close_ends_the_thread(redis_server: RedisServer) -> None:
    with no_thread_is_left():
        keys = RedisTicketKeys(redis_server.url)
        assert keys.ready()
        known = keys.keys()
        began = time.monotonic()
        keys.close()
        keys.close()
        assert time.monotonic() - began < 1.0
        assert keys.keys() == known
        assert not keys.in_touch
        assert keys.status == "Closed, with 1 key."
        assert "1 key" in repr(keys)
        assert known[0].key.hex() not in repr(keys)
    with no_thread_is_left(), RedisTicketKeys(redis_server.url) as keys:
        assert keys.ready()


def test_the_callback_may_close(redis_server: RedisServer) -> None:
    redis_server.kill()
    made, told = threading.Event(), threading.Event()

    def close(error: Exception) -> None:
        made.wait(5)  # The thread may well be faster than the constructor.
        keys.close()
        told.set()

    with no_thread_is_left():
        keys = RedisTicketKeys(redis_server.url, on_error=close)
        made.set()
        assert told.wait(5)
        keys.close()


FORKED = """
import os, sys, time
from handclasp.redis import FleetError, RedisReplayFilter, RedisTicketKeys

keys = RedisTicketKeys(sys.argv[1], poll=0.01)
assert keys.ready()
before = keys.keys()
if pid := os.fork():
    assert os.waitpid(pid, 0)[1] == 0
    assert keys.in_touch
    keys.close()
else:
    try:
        assert keys.keys() == before
        assert keys.ready()
        assert keys.in_touch
        keys.close()
    except BaseException:
        os._exit(1)
    os._exit(0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_process_has_a_thread_of_its_own(redis_server: RedisServer) -> None:
    command = [sys.executable, "-c", FORKED, redis_server.url]
    subprocess.run(command, check=True, timeout=20, env={"PYTHONPATH": str(ROOT / "src")})


# Settings


def test_settings_that_cannot_be(redis_server: RedisServer) -> None:
    url, make = redis_server.url, cast(Any, RedisTicketKeys)
    for wrong in (0, -1, float("nan"), float("inf"), "8"):
        for name in ("rotation", "lifetime", "poll"):
            with pytest.raises(ConfigurationError, match=name):
                make(url, **{name: wrong})
    with pytest.raises(ConfigurationError, match="four times poll"):
        RedisTicketKeys(url, rotation=19.9)
    with pytest.raises(ConfigurationError, match="a thousand times"):
        RedisTicketKeys(url, rotation=20, lifetime=20_001)
    with pytest.raises(ConfigurationError, match="32 random bytes"):
        RedisTicketKeys(url, wrapping_key=b"short")
    with pytest.raises(ConfigurationError, match="all zeros"):
        RedisTicketKeys(url, wrapping_key=bytes(32))
    with pytest.raises(ConfigurationError, match="prefix"):
        RedisTicketKeys(url, prefix="")
    for wrong in ("localhost:6379", "redis://user:secret@localhost:port"):
        with pytest.raises(ConfigurationError, match="no URL of a Redis server") as caught:
            RedisTicketKeys(wrong)
        assert "secret" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="not builtins"):
        make(None)
    with pytest.raises(ConfigurationError, match="not for asyncio"):
        make(redis.asyncio.Redis())


def test_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigurationError, match=r'pip install "handclasp\[redis\]"'):
        RedisTicketKeys("redis://localhost")


def test_keys_cost_next_to_nothing(make: Callable[..., RedisTicketKeys], clock: Clock) -> None:
    keys = make(clock=time.time, poll=5.0)
    assert keys.ready()
    count = 20_000
    began = time.perf_counter()
    for _ in range(count):
        keys.keys()
    cost = (time.perf_counter() - began) / count
    print(f"keys() takes {1e6 * cost:.2f} microseconds")
    assert cost < 50e-6


def test_it_says_why_early_data_are_refused_at_first(
    make: Callable[..., RedisTicketKeys], redis_server: RedisServer
) -> None:
    keys = make(clock=time.time)
    assert keys.ready()
    assert "Early data" not in keys.status  # Nobody has asked for them.
    with RedisReplayFilter(redis_server.url) as guard:
        assert not guard.is_first(bytes(32), 0.0)
    eventually("the memory is noticed", lambda: "Early data are refused until" in keys.status)
    assert "Redis remembers first flights only since" in keys.status
    with redis_server.client() as client:
        client.pexpire("handclasp:flights", 2**40 - 60_000)
    eventually("it is over", lambda: "Early data" not in keys.status)
