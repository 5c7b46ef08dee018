"""Clients of Redis, from a URL or from the application: redis-py, which is asked for here alone."""

from __future__ import annotations

from typing import Any

from handclasp.errors import ConfigurationError


def open_client(client_or_url: Any, timeout: float) -> Any:
    """Return a Redis client for threads.

    Args:
        client_or_url: a client, which is given back as it is, or where Redis is:
            "redis://[user:password@]host[:port][/database]", "rediss://" for TLS, "unix://".
        timeout: seconds for each step of a connection that is made from a URL; it tries once.

    Raises:
        ConfigurationError: redis-py is not installed, or this is neither a URL nor such a client.
    """
    package = _package()
    if isinstance(client_or_url, str):
        return _from_url(package.Redis, package.retry, 1, client_or_url, timeout)
    if isinstance(client_or_url, _asyncio_clients()) or not hasattr(client_or_url, "pipeline"):
        raise ConfigurationError(
            f"A URL or a client of redis-py that is not for asyncio, not {_kind(client_or_url)}."
        )
    return client_or_url


def open_asyncio_client(client_or_url: Any, timeout: float) -> Any:
    """Return an asyncio client, from a client of `redis.asyncio` or a URL; raise
    `ConfigurationError`.
    """
    package = _package()
    if isinstance(client_or_url, str):
        # Of a connection that Redis has closed it hears when it uses it, so it tries twice.
        retry = package.asyncio.retry
        return _from_url(package.asyncio.Redis, retry, 2, client_or_url, timeout)
    if not isinstance(client_or_url, _asyncio_clients()):
        raise ConfigurationError(f"A URL or a client of redis.asyncio, not {_kind(client_or_url)}.")
    return client_or_url


def check_prefix(prefix: str) -> str:
    """Return the prefix of all names in Redis; raise `ConfigurationError` if it is invalid."""
    if not isinstance(prefix, str) or not prefix:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("prefix must be a text that names this fleet.")
    return prefix


def check_seconds(**durations: float) -> None:
    """Raise `ConfigurationError` for a value that is not a positive number; NaN is refused
    as well.
    """
    for name, value in durations.items():
        is_number = isinstance(value, int | float)  # pyright: ignore[reportUnnecessaryIsInstance]
        if not is_number or not 0 < value < float("inf"):
            raise ConfigurationError(f"{name} must be a positive number of seconds.")


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


def _asyncio_clients() -> tuple[type, ...]:
    asyncio_part = _package().asyncio
    return (asyncio_part.Redis, asyncio_part.RedisCluster)


def _from_url(kind: Any, retry: Any, tries: int, url: str, timeout: float) -> Any:
    from redis.backoff import NoBackoff

    try:
        # Its own default is to try again ten times, for seconds, while a handshake waits.
        again = retry.Retry(NoBackoff(), tries - 1)
        return kind.from_url(
            url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=again
        )
    except (ValueError, TypeError) as error:
        # The URL may hold a password, so it is not told.
        raise ConfigurationError(f"This is no URL of a Redis server: {error}") from None


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"
