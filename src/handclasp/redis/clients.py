"""Clients of Redis, from a URL or from the application: redis-py, which is asked for here alone."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from handclasp.config.values import is_number
from handclasp.errors import ConfigurationError
from handclasp.synchronous import check_synchronous
from handclasp.values import dataclass

STEP_TIMEOUT = 2.0
"""Seconds for each step of an exchange with Redis, for which only a thread in the background waits.

To connect takes five to seven steps, each of a round trip.
"""

_LONGEST = 1e9
"""Seconds, some 30 years, as for `TicketKeys`. A lock cannot be waited for much longer."""

_URL_FORM = (
    "redis://[user:password@]host[:port][/database], rediss:// for TLS, unix://path, or "
    "redis+sentinel://host[:port][,host...]/name[/database] for the master that Sentinels know by "
    "this name; in a user or password, write special characters as %XX"
)

_NO_CLUSTER = (
    "A Redis Cluster cannot be used: it spreads names over nodes, and a fleet needs few names that "
    "change together. Use one Redis, or a master with replicas and Sentinels (redis+sentinel://)."
)

_SENTINEL_URL = re.compile(
    r"(?P<scheme>rediss?)\+sentinel://(?:(?P<user>[^@/?]*)@)?(?P<hosts>[^@/?]+)"
    r"/(?P<name>[^/?]+)(?:/(?P<database>[^/?]*))?(?:\?(?P<query>.*))?"
)

_PORT, _SENTINEL_PORT = 6379, 26379

_LONGEST_ADDRESS = 200
"""Characters."""


def open_client(client_or_url: Any) -> Any:
    """Return a Redis client for threads.

    Args:
        client_or_url: a client, which is returned unchanged, or the URL of Redis, of which
            `_URL_FORM` has the forms. A client that is made from a URL tries once.

    Raises:
        ConfigurationError: redis-py is not installed, or this is neither a URL nor such a client.
    """
    package = _package()
    if isinstance(client_or_url, str):
        return _from_url(package, client_or_url)
    if isinstance(client_or_url, (package.RedisCluster, package.asyncio.RedisCluster)):
        raise ConfigurationError(_NO_CLUSTER)
    if isinstance(client_or_url, package.asyncio.Redis) or not hasattr(client_or_url, "pipeline"):
        raise ConfigurationError(
            f"A URL or a client of redis-py that is not for asyncio, not {_kind(client_or_url)}."
        )
    return client_or_url


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a Redis, without user and password.

    Attributes:
        address: host and port, the path of a socket, or a master's name with its Sentinels; empty
            if that is not known.
        speaks_tls: whether the client speaks TLS to it.
    """

    address: str = ""
    speaks_tls: bool = False

    def __str__(self) -> str:
        return f"Redis at {self.address}" if self.address else "Redis"


def place_of(client: Any) -> Place:
    """Return the place of a client's Redis, also for a client of asyncio."""
    pool = getattr(client, "connection_pool", None)
    given: Any = getattr(pool, "connection_kwargs", None)
    if not isinstance(given, dict):
        return Place()
    settings = cast("dict[str, Any]", given)
    package = _package()
    by_tls = (package.SSLConnection, package.asyncio.SSLConnection)
    made_by: Any = getattr(pool, "connection_class", None)
    speaks_tls = isinstance(made_by, type) and issubclass(made_by, by_tls)
    sentinels: Any = getattr(getattr(pool, "sentinel_manager", None), "sentinels", None)
    if sentinels is not None:
        hosts = ", ".join(place_of(each).address for each in sentinels)
        address = f"{getattr(pool, 'service_name', '')} (Sentinels {hosts})"
    elif "path" in settings:
        address = str(settings["path"])
    else:
        host = str(settings.get("host", "localhost"))
        host = f"[{host}]" if ":" in host else host
        address = f"{host}:{settings.get('port', _PORT)}"
    return Place("".join(filter(str.isprintable, address))[:_LONGEST_ADDRESS], speaks_tls)


def close_client(client: Any) -> None:
    """Close a client that `open_client` made, with its connections to Sentinels; raise nothing."""
    with suppress(Exception):
        client.close()
    with suppress(Exception):  # A client without Sentinels has no manager of them.
        client.connection_pool.sentinel_manager.close()


def check_asyncio_client(client: Any) -> None:
    """Raise `ConfigurationError` if this is not a client of `redis.asyncio`."""
    package = _package()
    if isinstance(client, (package.RedisCluster, package.asyncio.RedisCluster)):
        raise ConfigurationError(_NO_CLUSTER)
    if not isinstance(client, package.asyncio.Redis):
        raise ConfigurationError(f"A URL or a client of redis.asyncio, not {_kind(client)}.")


def check_prefix(prefix: str) -> str:
    """Return the prefix of all names in Redis; raise `ConfigurationError` if it is invalid."""
    if not isinstance(prefix, str) or not prefix:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("prefix must be a text that names this fleet.")
    try:
        prefix.encode()
    except UnicodeEncodeError:
        raise ConfigurationError("prefix must be a text that UTF-8 can hold.") from None
    return prefix


def check_seconds(*, least: float = 0.0, **durations: float) -> None:
    """Raise `ConfigurationError` for what is no positive number of seconds that can be waited for.

    Args:
        least: the least that is allowed, if it is more than zero.
        durations: the values by the names of their arguments.
    """
    bounds = f"from {least:g} to 1e9" if least else "at most 1e9"
    for name, value in durations.items():
        if not is_number(value) or value < least or not 0 < value <= _LONGEST:
            raise ConfigurationError(f"{name} must be a positive number of seconds, {bounds}.")


def check_wait(name: str, value: float) -> None:
    """Raise `ConfigurationError` for a time to wait that is not one; 0 is not to wait."""
    if not is_number(value) or not 0 <= value <= _LONGEST:
        raise ConfigurationError(f"{name} must be a number of seconds from 0 to 1e9.")


def check_on_error(on_error: object) -> None:
    """Raise `ConfigurationError` for anything but None and a function that answers at once."""
    if on_error is not None and not callable(on_error):
        raise ConfigurationError("on_error must be a function of one argument, the error.")
    check_synchronous("on_error", on_error, "A thread calls it, in which no loop runs.")


def text_of(value: Any) -> str | None:
    """Return a name or value from Redis as text, as some clients do; None if it is not ASCII."""
    if isinstance(value, str):
        return value if value.isascii() else None
    if not isinstance(value, bytes) or not value.isascii():
        return None
    return value.decode("ascii")


def _package() -> Any:
    try:
        import redis
    except ImportError:
        raise ConfigurationError(
            'This needs the package redis: pip install "handclasp[redis]".'
        ) from None
    return redis


def _from_url(package: Any, url: str) -> Any:
    scheme = url.partition("://")[0]
    if "cluster" in scheme:
        raise ConfigurationError(_NO_CLUSTER)
    from redis.backoff import NoBackoff

    settings: dict[str, Any] = {
        "socket_timeout": STEP_TIMEOUT,
        "socket_connect_timeout": STEP_TIMEOUT,
        # Its own default is to try again ten times, for seconds.
        "retry": package.retry.Retry(NoBackoff(), 0),
    }
    try:
        if "sentinel" in scheme:
            client = _master(package, url, settings)
        else:
            _check_parts(url)
            client = package.Redis.from_url(url, **settings)
        # A wrong parameter shows only when a connection is made, which this one does not open.
        client.connection_pool.connection_class(**client.connection_pool.connection_kwargs)
    except ConfigurationError:
        raise
    # The URL may hold a password, and so may the text of the error.
    except TypeError:
        raise ConfigurationError(
            "This is no URL of a Redis server: behind the ? stands a parameter that redis-py does "
            "not take with it."
        ) from None
    except (ValueError, AttributeError):
        raise ConfigurationError(
            f"This is no URL of a Redis server that redis-py can use: {_URL_FORM}."
        ) from None
    return client


def _check_parts(url: str) -> None:
    """Raise `ConfigurationError` for a database without a number: redis-py would take number 0.

    It raises `ValueError` for a fragment, and for parameters without a value: they are the rest of
    a password with # or ? in it, whose beginning would be taken for the address.
    """
    parts = urlsplit(url)
    if "#" in url:
        raise ValueError("a fragment")
    if parts.query:
        parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)
    if parts.scheme in ("redis", "rediss"):
        _database(parts.path.strip("/"))


def _database(text: str) -> int:
    if not text:
        return 0
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ConfigurationError(
            "This is no URL of a Redis server: the number of a database, such as /0, is what may "
            "follow the host. In a user or password, write special characters as %XX."
        )
    return int(text)


def _master(package: Any, url: str, settings: dict[str, Any]) -> Any:
    """Return a client that asks Sentinels for the master each time that it connects.

    Raises `ValueError` and others for what is no such URL.
    """
    parts = _SENTINEL_URL.fullmatch(url)
    if parts is None:
        raise ValueError("no URL of Sentinels")
    user = f"{parts['user']}@" if parts["user"] else ""
    of_master: dict[str, Any] = package.connection.parse_url(
        f"redis://{user}host/?{parts['query'] or ''}"
    )
    of_master.update(settings, db=_database(parts["database"] or ""))
    del of_master["host"]
    of_sentinels = dict(settings)
    for name in ("username", "password"):
        if (value := of_master.pop(f"sentinel_{name}", None)) is not None:
            of_sentinels[name] = value
    if parts["scheme"] == "rediss":
        of_sentinels["ssl"] = of_master["ssl"] = True
        of_sentinels.update({n: v for n, v in of_master.items() if n.startswith("ssl_")})
    hosts = [_host_and_port(host) for host in parts["hosts"].split(",")]
    sentinel = package.Sentinel(hosts, sentinel_kwargs=of_sentinels)
    return sentinel.master_for(unquote(parts["name"]), **of_master)


def _host_and_port(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("no host")
    return parts.hostname, parts.port or _SENTINEL_PORT


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"
