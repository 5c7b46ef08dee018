"""What operators read where Redis is not as it must be, and that no key is among it."""

from __future__ import annotations

import asyncio
import logging
import pickle
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.backoff import NoBackoff
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of
from tests.redis.fleet import ROOT
from tests.redis.redis_server import RedisServer, eventually
from tests.required import need_tool

import redis
from handclasp import Credentials, ServerConfig, wrap_server
from handclasp.errors import ConfigurationError
from handclasp.redis import AsyncRedisReplayFilter, FleetError, RedisReplayFilter, RedisTicketKeys
from handclasp.redis.clients import STEP_TIMEOUT, Place, open_client, place_of
from handclasp.redis.troubles import explain

Told = tuple[str, list[FleetError]]


def told_by_filter(url: str) -> Told:
    errors: list[FleetError] = []
    with RedisReplayFilter(url, on_error=errors.append) as guard:
        eventually("it is noticed", lambda: errors)
        assert not guard.in_touch
        return guard.status, errors


def told_by_keys(url: str) -> Told:
    errors: list[FleetError] = []
    with RedisTicketKeys(url, on_error=errors.append, poll=0.1) as keys:
        eventually("it is noticed", lambda: errors)
        assert not keys.in_touch
        return keys.status, errors


both = pytest.mark.parametrize("told_by", [told_by_filter, told_by_keys])
Tells = Callable[[str], Told]


def check(told: Told, sentence: str) -> None:
    """Where Redis was looked for is told as well."""
    status, errors = told
    assert errors[0].address
    assert str(errors[0]).startswith(f"Redis at {errors[0].address}: ")
    assert f"Redis at {errors[0].address} cannot be used since" in status
    assert sentence in status
    assert [error.reason for error in errors] == [errors[0].reason]
    assert sentence in errors[0].reason


@contextmanager
def redis_with(directory: Path, *options: str) -> Iterator[RedisServer]:
    server = RedisServer(need_tool("redis-server"), directory, *options)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.mark.long  # Connecting is given up after two seconds.
@both
def test_passwords(tmp_path: Path, told_by: Tells) -> None:
    with redis_with(tmp_path, "--requirepass", "right") as server:
        check(told_by(server.url), "Redis wants a user and password, and got none")
        wrong = told_by(server.url.replace("//", "//:wrong@"))
        check(wrong, "Redis does not accept this user and password")
        assert "wrong" not in f"{wrong[0]} {wrong[1][0]!r}"


@both
def test_a_database_that_is_not_there(redis_server: RedisServer, told_by: Tells) -> None:
    check(told_by(redis_server.url + "99"), "Redis has no database of this number")


@both
def test_a_node_of_a_cluster(tmp_path: Path, told_by: Tells) -> None:
    with redis_with(tmp_path, "--cluster-enabled", "yes") as server:
        check(told_by(server.url), "this is a node of a Redis Cluster")


@pytest.mark.long  # Connecting is given up after two seconds.
@both
def test_tls_on_a_plain_port(redis_server: RedisServer, told_by: Tells) -> None:
    check(told_by(redis_server.url.replace("redis:", "rediss:")), "no TLS was heard from this port")


@both
def test_a_plain_client_on_a_port_of_tls(told_by: Tells) -> None:
    with tls_port() as port:
        check(
            told_by(f"redis://127.0.0.1:{port}/0"),
            "if it speaks TLS alone, its URL begins with rediss://",
        )


@both
def test_a_certificate_of_nobody(told_by: Tells) -> None:
    with tls_port() as port:
        check(told_by(f"rediss://127.0.0.1:{port}/0"), "the certificate of Redis is not accepted")


@both
def test_nobody_listens(told_by: Tells) -> None:
    check(told_by("redis://127.0.0.1:1/0"), "nothing listens at this address")


@both
def test_a_user_who_may_too_little(redis_server: RedisServer, told_by: Tells) -> None:
    with redis_server.client() as client:
        allowed = ["+hello", "+ping", "+client"]
        client.acl_setuser("u", enabled=True, nopass=True, keys=["*"], commands=allowed)
    told = told_by(redis_server.url.replace("//", "//u:any@"))
    check(told, "the user may not run the command ")


def test_a_user_as_the_document_has_it_may_enough(tmp_path: Path) -> None:
    """Also after Redis was started again, with what the user's commands have added since."""
    text = (ROOT / "docs" / "fleet.md").read_text("utf-8")
    users = re.findall(r"^ *(user \w+ on .*)$", text, re.MULTILINE)
    assert len(users) == 2
    (tmp_path / "users.acl").write_text("\n".join(users) + "\n")
    with redis_with(tmp_path, "--aclfile", str(tmp_path / "users.acl")) as server:
        url = server.url.replace("//", "//handclasp:password@").removesuffix("0") + "1"
        administrator = server.url.replace("//", "//:of-the-administrator@")
        with redis.Redis.from_url(administrator) as client:
            client.execute_command("ACL", "SETUSER", "later", "on", ">other", "~*", "+ping")
            client.execute_command("ACL", "SAVE")
        for _ in range(2):
            with RedisTicketKeys(url) as keys, RedisReplayFilter(url) as guard:
                assert keys.ready()
                assert keys.in_touch
                eventually("the filter is in touch", lambda guard=guard: guard.in_touch)
            server.kill()
            server.start()
        with redis.Redis.from_url(server.url.replace("//", "//later:other@")) as client:
            assert client.ping()


@both
def test_a_replica(redis_server: RedisServer, tmp_path: Path, told_by: Tells) -> None:
    master = f"127.0.0.1 {redis_server.port}"
    with redis_with(tmp_path, "--replicaof", master) as replica:
        with replica.client() as client:

            def linked() -> bool:
                return bool(client.info("replication")["master_link_status"] == "up")

            eventually("it follows", linked)
        check(told_by(replica.url), "this Redis is a replica, and takes no writes")


def test_a_client_of_asyncio(tmp_path: Path) -> None:
    errors: list[FleetError] = []

    async def run(port: int) -> str:
        once = redis.asyncio.retry.Retry(NoBackoff(), 0)
        async with redis.asyncio.Redis(port=port, retry=once) as client:
            guard = AsyncRedisReplayFilter(client, timeout=0.2, on_error=errors.append)
            assert not await guard.is_first(bytes(32), 0.0)
            assert not await guard.is_first(bytes(32), 0.0)
            assert not guard.in_touch
            await guard.aclose()
            return repr(guard)

    with redis_with(tmp_path, "--requirepass", "right") as server:
        told = asyncio.run(run(server.port))
    assert "Closed; 2 first flights, 2 of them without an answer in time." in told
    assert [error.kind for error in errors] == ["AuthenticationError"]
    assert "Redis wants a user and password, and got none" in errors[0].reason


FOREIGN = {
    b"HTTP/1.1 400 Bad Request\r\n\r\n": "a web server answers here by HTTP, and no Redis",
    b"SSH-2.0-OpenSSH_9.2p1\r\n": "an SSH server answers here, and no Redis",
    b"220 mail.example.com ESMTP\r\n": "a server of another protocol answers here, such as SMTP",
    b"nonsense\r\n": "what answers here does not speak Redis's protocol",
}


@both
@pytest.mark.parametrize("line", FOREIGN, ids=str)
def test_servers_of_other_protocols(told_by: Tells, line: bytes) -> None:
    with answering(line) as port:
        told = told_by(f"redis://me:topsecret@127.0.0.1:{port}/0")
    check(told, FOREIGN[line])
    assert told[1][0].address == f"127.0.0.1:{port}"
    assert "topsecret" not in f"{told[0]} {told[1][0]!r}"


@both
def test_a_client_that_speaks_tls_is_not_told_to(told_by: Tells) -> None:
    with answering(b"") as port:
        told = told_by(f"rediss://127.0.0.1:{port}/0")
    assert "rediss" not in told[0]


@contextmanager
def answering(line: bytes) -> Iterator[int]:
    """A port on which each client gets this line, whatever it says."""

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(line)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join(20)


@pytest.mark.parametrize(
    ("client", "address", "speaks_tls"),
    [
        (redis.Redis(), "localhost:6379", False),
        (redis.asyncio.Redis(host="::1", port=1, password="topsecret"), "[::1]:1", False),
        (redis.asyncio.Redis(host="h", ssl=True), "h:6379", True),
        (open_client("rediss://me:topsecret@h/0"), "h:6379", True),
        (open_client("unix://me:topsecret@/run/redis.sock?db=1"), "/run/redis.sock", False),
        (
            open_client("rediss+sentinel://me:topsecret@one,[::1]:26380/main"),
            "main (Sentinels one:26379, [::1]:26380)",
            True,
        ),
        (object(), "", False),
    ],
)
def test_where_a_redis_is(client: Any, address: str, speaks_tls: bool) -> None:
    assert place_of(client) == Place(address, speaks_tls)


def test_an_error_of_an_unknown_place() -> None:
    error = FleetError("Redis is full", "OutOfMemoryError")
    assert str(error) == error.cause == "Redis is full (OutOfMemoryError)"
    assert str(Place()) == "Redis"
    at_place = FleetError("it is full", "OutOfMemoryError", "h:1")
    assert str(pickle.loads(pickle.dumps(at_place))) == str(at_place)


def test_no_sentinel() -> None:
    told = told_by_keys("redis+sentinel://127.0.0.1:1/mymaster")
    check(told, "no Sentinel answers that has a master of this name")


@contextmanager
def tls_port() -> Iterator[int]:
    """A port on which a server speaks TLS, by a certificate that nobody trusts."""
    pki, key = Pki(), key_of_type("ecdsa-p256")
    chain = pem_of(pki.issue(Leaf(("localhost",)), key.public_key()))
    config = ServerConfig(credentials=Credentials.from_pem(chain, key_pem(key)))

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                sock, _ = listener.accept()
                sock.settimeout(5)
                with suppress(OSError), sock, wrap_server(sock, config) as tls:
                    tls.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(20)


# Evictions


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_redis_that_may_evict_is_warned_of(tmp_path: Path, policy: str) -> None:
    errors: list[FleetError] = []
    options = ("--maxmemory", "64mb", "--maxmemory-policy", policy)
    with redis_with(tmp_path, *options) as server:
        server.remember_long()
        with RedisReplayFilter(server.url, timeout=1.0, on_error=errors.append) as guard:
            eventually("it is noticed", lambda: "maxmemory-policy" in guard.status)
            assert f"(maxmemory-policy {policy})" in guard.status
            assert "set it to noeviction" in guard.status
            assert guard.in_touch
            assert guard.is_first(bytes(32), 0.0)
    assert ["maxmemory-policy" in str(error) for error in errors] == [True]


@pytest.mark.parametrize(
    "options",
    [("--maxmemory", "64mb"), ("--maxmemory-policy", "allkeys-lru")],
    ids=["noeviction", "no maxmemory"],
)
def test_a_redis_that_evicts_nothing_is_not(tmp_path: Path, options: tuple[str, str]) -> None:
    errors: list[FleetError] = []
    with redis_with(tmp_path, *options) as server:
        with RedisReplayFilter(server.url, timeout=1.0, on_error=errors.append) as guard:
            eventually("it is in touch", lambda: guard.in_touch)
            assert guard.is_first(bytes(32), 0.0) is False
        assert "maxmemory" not in guard.status
    assert errors == []


# Secrets

KEY = "5e" * 32
VALUE = "01" + "00" * 24 + KEY


def test_the_key_in_a_failed_command_is_not_told(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """redis-py repeats a command that failed in a transaction; versions differ in how much."""
    caplog.set_level(logging.DEBUG)
    errors: list[FleetError] = []
    with redis_server.client() as client:
        client.acl_setuser("u", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-hset"])
    url = redis_server.url.replace("//", "//u:any@")
    with RedisTicketKeys(url, on_error=errors.append) as keys:
        assert not keys.ready()
        assert "the user may not run the command hset" in keys.status
        said = f"{keys.status} {keys!r} {errors[0]} {errors[0]!r} {errors[0].args}"
    assert "HSET" not in said
    assert not re.search("[0-9a-f]{64}", said + caplog.text)
    assert errors[0].__context__ is None
    assert errors[0].__traceback__ is None


@pytest.mark.parametrize(
    "text",
    [
        f"Command # 1 (HSET handclasp:ticket-keys 00 {VALUE}) of pipeline caused error: odd",
        f"Command # 1 (HSET a:ticket-keys 00 {VALUE[:70]}...) of pipeline caused error: odd",
        f"Command # 1 HSET handclasp:ticket-keys 00 {VALUE} failed",
        f"unknown command 'HSET', with args beginning with: 'handclasp:ticket-keys' '00' '{VALUE}'",
        f"unknown command `HSET`, with args beginning with: `a`, `{VALUE}`, ",
        f"unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'me' '{KEY[:8]}'",
        f"odd: [b'HSET', b'{VALUE}']",
        f'odd: {{"value": "{VALUE[:90]}"',
        f"odd <Connection(host=h,password={KEY[:8]})>",
    ],
)
def test_the_words_of_others_hold_no_commands(text: str) -> None:
    for error in (redis.ResponseError(text), redis.ConnectionError(text), Exception(text)):
        told = explain(error)
        assert KEY[:8] not in f"{told} {told!r}"
        assert told.kind == type(error).__name__
    outer = redis.ConnectionError("odd")
    outer.__context__ = redis.ResponseError(text)
    assert KEY[:8] not in str(explain(outer))


@given(st.text(max_size=80), st.text(max_size=80), st.integers(0, 1000))
def test_any_text_is_short_and_holds_no_key(before: str, after: str, spaces: int) -> None:
    told = str(explain(redis.ResponseError(before + " " * spaces + VALUE + after)))
    assert KEY not in told
    assert told.isprintable()
    assert len(told) < 300


# Settings


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis+cluster://127.0.0.1", "A Redis Cluster cannot be used"),
        ("redis-cluster://127.0.0.1:6379", "A Redis Cluster cannot be used"),
        ("redis://127.0.0.1/abc", "the number of a database, such as /0"),
        ("redis://127.0.0.1/-1", "the number of a database"),
        ("redis://me:pass/word@127.0.0.1/0", "write special characters as %XX"),
        ("redis://me:12#pass/word@127.0.0.1/0", "write special characters as %XX"),
        ("redis://me:12?pass/word@127.0.0.1/0", "write special characters as %XX"),
        ("redis+sentinel://me:12#pass/word@127.0.0.1/m", "write special characters as %XX"),
        ("redis://127.0.0.1/0?sentinel=x", "a parameter that redis-py does not take"),
        ("sentinel://127.0.0.1/mymaster", r"redis\+sentinel://host"),
        ("redis+sentinel://127.0.0.1", r"redis\+sentinel://host"),
        ("redis+sentinel://127.0.0.1/mymaster/x", "the number of a database"),
        ("redis+sentinel://,/mymaster", r"redis\+sentinel://host"),
    ],
)
@pytest.mark.parametrize("kind", [RedisTicketKeys, RedisReplayFilter, AsyncRedisReplayFilter])
def test_urls_that_cannot_be(kind: Any, url: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        kind(url)
    assert "pass/word" not in str(caught.value)


def test_urls_of_sentinels() -> None:
    client = open_client(
        "rediss+sentinel://me:p%40ss@one,[::1]:26380/my%20master/2"
        "?ssl_ca_certs=ca.pem&sentinel_username=us&sentinel_password=other"
    )
    pool = client.connection_pool
    assert pool.service_name == "my master"
    of_master = pool.connection_kwargs
    of_sentinels = pool.sentinel_manager.sentinel_kwargs
    assert (of_master["username"], of_master["password"], of_master["db"]) == ("me", "p@ss", 2)
    assert (of_sentinels["username"], of_sentinels["password"]) == ("us", "other")
    assert issubclass(pool.connection_class, redis.SSLConnection)
    assert of_sentinels["ssl"]
    assert of_master["ssl_ca_certs"] == of_sentinels["ssl_ca_certs"] == "ca.pem"
    assert of_master["socket_timeout"] == of_sentinels["socket_timeout"] == STEP_TIMEOUT
    hosts = [each.connection_pool.connection_kwargs for each in pool.sentinel_manager.sentinels]
    assert [(each["host"], each["port"]) for each in hosts] == [("one", 26379), ("::1", 26380)]


@pytest.mark.parametrize("kind", [RedisTicketKeys, RedisReplayFilter, AsyncRedisReplayFilter])
def test_clients_of_a_cluster(kind: Any) -> None:
    for cluster in (redis.RedisCluster, redis.asyncio.RedisCluster):
        with pytest.raises(ConfigurationError, match="A Redis Cluster cannot be used"):
            kind(cluster.__new__(cluster))
