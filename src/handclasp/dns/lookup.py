"""The lookups: over the resolver of the system or another of dnspython, or over HTTPS."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any, cast

from handclasp.certificates.names import ip_address, normal_name
from handclasp.config import ClientConfig
from handclasp.config.values import is_number
from handclasp.dns.doh import DohError, DohServer
from handclasp.dns.errors import DnsError, NoEchError
from handclasp.dns.records import HTTPS_PORT, Found, HttpsEndpoint, Question, steps
from handclasp.errors import ConfigurationError, TLSError, shown

DEFAULT_TIMEOUT = 5.0

_HIGHEST_PORT = 65535
_LONGEST_TIMEOUT = 86_400
"""Seconds: sockets and locks of Python fail with an OverflowError far above it."""
_PADDED_TO = 128
"""The bytes to a multiple of which a query over HTTPS is padded (RFC 8467 section 4.1)."""


def check_lookup(
    name: str,
    port: int = HTTPS_PORT,
    *,
    doh: str | None = None,
    doh_config: ClientConfig | None = None,
    resolver: Any = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> None:
    """Raise `ConfigurationError` for arguments that `lookup_ech` refuses, and ask nobody.

    >>> from handclasp.dns import check_lookup
    >>> check_lookup("secret.example", doh="https://dns.example/dns-query")
    """
    _checked(name, port, timeout)
    with _dns_errors(Question(name), timeout):
        _asking(doh, doh_config, resolver, "resolver")


def lookup_ech(
    name: str,
    port: int = HTTPS_PORT,
    *,
    doh: str | None = None,
    doh_config: ClientConfig | None = None,
    resolver: Any = None,
    timeout: float = DEFAULT_TIMEOUT,
    addresses: bool = True,
) -> HttpsEndpoint:
    """Look up where a server can be reached with an encrypted hello, by its HTTPS records.

    See docs/ech.md for an example.

    Args:
        name: the DNS name of the server.
        port: the port of its URL.
        doh: the URL of a DNS server over HTTPS (RFC 8484), https://HOST/dns-query, so that nobody
            on the way can read which name is looked up. Without it, the system's resolver is asked,
            in most cases in the clear. Connect to `addresses` of the endpoint then: to connect to
            its `host` would ask the system's resolver for it after all.
        doh_config: the settings for the TLS of that DNS server; None verifies it by the system's
            authorities.
        resolver: a `dns.resolver.Resolver` of dnspython in place of the system's.
        timeout: seconds for the whole lookup, a day at most. The addresses of the DNS server's own
            name are asked from the operating system, which has a timeout of its own.
        addresses: whether `doh` is asked for the addresses of the endpoint as well. Without `doh`
            they are never asked for.

    Raises:
        NoEchError: the name does not exist, or has no ECH configuration that can be used.
        DnsError: the lookup failed, a record is malformed, or `doh` has no address of the endpoint.
        ConfigurationError: dnspython is missing, or an argument is wrong, such as an address in
            place of the name.
    """
    asked = steps(_checked(name, port, timeout), port, addresses=addresses and doh is not None)
    with _dns_errors(Question(name), timeout):
        ask = _asking(doh, doh_config, resolver, "resolver")
    deadline, query = time.monotonic() + timeout, next(asked)
    while True:
        with _dns_errors(query, timeout):
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            found = _records(ask(query, left), query)
        try:
            query = asked.send(found)
        except StopIteration as end:
            return cast(HttpsEndpoint, end.value)


async def lookup_ech_async(
    name: str,
    port: int = HTTPS_PORT,
    *,
    doh: str | None = None,
    doh_config: ClientConfig | None = None,
    resolver: Any = None,
    timeout: float = DEFAULT_TIMEOUT,
    addresses: bool = True,
) -> HttpsEndpoint:
    """Look up as `lookup_ech` does, under asyncio.

    See docs/ech.md for an example.

    Args:
        name, port, doh, doh_config, timeout, addresses: as for `lookup_ech`.
        resolver: a `dns.asyncresolver.Resolver` of dnspython in place of the system's.

    Raises:
        DnsError, ConfigurationError: as `lookup_ech` does.
    """
    asked = steps(_checked(name, port, timeout), port, addresses=addresses and doh is not None)
    with _dns_errors(Question(name), timeout):
        ask = _asking(doh, doh_config, resolver, "asyncresolver")
    deadline, query = time.monotonic() + timeout, next(asked)
    while True:
        with _dns_errors(query, timeout):
            left = deadline - time.monotonic()
            async with asyncio.timeout(left):
                found = _records(await ask(query, left), query)
        try:
            query = asked.send(found)
        except StopIteration as end:
            return cast(HttpsEndpoint, end.value)


def _checked(name: str, port: int, timeout: float) -> str:
    """Return the name in normal form. Raises `ConfigurationError`, also without dnspython."""
    _package()
    if type(port) is not int or not 0 < port <= _HIGHEST_PORT:
        raise ConfigurationError(f"port must be from 1 to {_HIGHEST_PORT}, not {shown(port)}.")
    if not is_number(timeout) or not 0 < timeout <= _LONGEST_TIMEOUT:
        raise ConfigurationError(
            f"timeout must be a number of seconds up to {_LONGEST_TIMEOUT}, not {shown(timeout)}."
        )
    normal = normal_name(name)
    if ip_address(normal) is not None:
        raise ConfigurationError(f"{name} is an address: the DNS has ECH configurations for names.")
    return normal


def _asking(
    doh: str | None, doh_config: ClientConfig | None, resolver: Any, module: str
) -> Callable[[Question, float], Any]:
    """Return what asks a question, within some seconds.

    Args:
        module: "resolver" for answers, or "asyncresolver" for awaitables of them.

    Raises:
        ConfigurationError: dnspython is missing, or the arguments do not go together.
    """
    if doh is None:
        if doh_config is not None:
            raise ConfigurationError("doh_config needs doh, the URL of a DNS server over HTTPS.")
        given = resolver if resolver is not None else import_module(f"dns.{module}").Resolver()
        if not callable(getattr(given, "resolve", None)):
            raise ConfigurationError(
                f"resolver must be a Resolver of dns.{module}, not {shown(resolver)}."
            )
        return partial(_ask_resolver if module == "resolver" else _ask_async_resolver, given)
    if resolver is not None:
        raise ConfigurationError("doh and resolver exclude each other.")
    server = DohServer.of(doh, doh_config)
    return partial(_ask_doh, _package(), server.ask if module == "resolver" else server.ask_async)


def _package() -> Any:
    try:
        import dns.asyncresolver  # pyright: ignore[reportUnusedImport]
        import dns.message  # pyright: ignore[reportUnusedImport]
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "dns":
            raise
        raise ConfigurationError(
            "Looking up ECH configurations needs dnspython: pip install 'handclasp[dns]'."
        ) from None
    return dns


def _ask_resolver(resolver: Any, query: Question, seconds: float) -> Any:
    # Over UDP, dnspython waits on after an answer that cannot be read, as it may be a forged one.
    try:
        return resolver.resolve(**_question(query, seconds / 2, tcp=False))
    except _timeout():
        return resolver.resolve(**_question(query, seconds / 2, tcp=True))


async def _ask_async_resolver(resolver: Any, query: Question, seconds: float) -> Any:
    try:
        return await resolver.resolve(**_question(query, seconds / 2, tcp=False))
    except _timeout():
        return await resolver.resolve(**_question(query, seconds / 2, tcp=True))


def _question(query: Question, seconds: float, *, tcp: bool) -> dict[str, Any]:
    return {
        "qname": f"{query.name}.",
        "rdtype": query.kind,
        "raise_on_no_answer": False,
        "lifetime": seconds,
        "search": False,
        "tcp": tcp,
    }


def _timeout() -> type[Exception]:
    from dns.exception import Timeout

    return Timeout


def _ask_doh(dns: Any, ask: Callable[[bytes, float], Any], query: Question, seconds: float) -> Any:
    # An id of 0, so that caches of HTTP can tell that two queries are the same (RFC 8484 4.1).
    name = f"{query.name}."
    message = dns.message.make_query(name, query.kind, id=0, use_edns=0, pad=_PADDED_TO)
    read = partial(_answer_of, dns, message)
    answer = ask(message.to_wire(), seconds)
    return read(answer) if isinstance(answer, bytes) else _awaited(answer, read)


async def _awaited(answer: Awaitable[bytes], read: Callable[[bytes], Any]) -> Any:
    return read(await answer)


def _answer_of(dns: Any, query: Any, data: bytes) -> Any:
    message = dns.message.from_wire(data)
    if not query.is_response(message):
        raise DohError("its answer is about something else")
    return message


def _records(answer: Any, query: Question) -> Found:
    """Return what is in an answer, behind its CNAMEs; raise `DnsError`."""
    import dns.rcode

    message = getattr(answer, "response", answer)
    code = message.rcode()
    if code == dns.rcode.NXDOMAIN:
        raise _no_name(query)
    if code != dns.rcode.NOERROR:
        raise _failed(query, f"the DNS server answers {dns.rcode.to_text(code)}")
    chain = message.resolve_chaining()
    owner: str = chain.canonical_name.to_text(omit_final_dot=True)
    return Found(owner, [] if chain.answer is None else list(chain.answer))


@contextmanager
def _dns_errors(query: Question, timeout: float) -> Generator[None]:
    """Turn the errors of a query into `DnsError`."""
    import dns.exception
    import dns.resolver

    try:
        yield
    except DnsError:
        raise
    except (TimeoutError, dns.exception.Timeout):
        raise DnsError.timeout(query.name, timeout, query.what) from None
    except dns.resolver.NXDOMAIN:
        raise _no_name(query) from None
    except dns.resolver.NoNameservers as error:
        details = cast("dict[str, Any]", error.kwargs)  # pyright: ignore[reportUnknownMemberType]
        reasons = [each[3] for each in details["errors"]]
        wrong = [each for each in reasons if isinstance(each, dns.exception.FormError)]
        if wrong:
            raise _malformed(query, _reason(wrong[0])) from None
        why = "; ".join(dict.fromkeys(map(_reason, reasons)))
        raise _failed(query, f"no DNS server has an answer ({why})") from None
    except dns.exception.FormError as error:
        raise _malformed(query, _reason(error)) from None
    except (DohError, dns.exception.DNSException, OSError) as error:
        raise _failed(query, _reason(error)) from None


def _no_name(query: Question) -> DnsError:
    if query.kind != "HTTPS":
        return DnsError(f"The DNS server has no address for {query.name}: it knows no such name.")
    return NoEchError(
        f"The DNS does not know the name {query.name}, so it has no ECH configuration."
    )


def _failed(query: Question, why: str) -> DnsError:
    return DnsError(f"The {query.what} of {query.name} cannot be looked up: {why}.")


def _malformed(query: Question, why: str) -> DnsError:
    if query.kind != "HTTPS":
        return _failed(query, f"the answer is malformed ({why})")
    return DnsError.malformed(query.name, why)


def _reason(error: object) -> str:
    text = error.message if isinstance(error, TLSError) else str(error)
    return (text or type(error).__name__).rstrip(".")
