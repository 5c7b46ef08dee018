"""The HTTP proxy on the way to a server: that of an option, or that of the environment."""

from __future__ import annotations

from handclasp.cli.outcome import WrongArguments
from handclasp.starttls.proxy import Proxy

_VARIABLES = ("https", "all")
"""The proxies for TLS in the environment, as `urllib` names them: HTTPS_PROXY before ALL_PROXY."""


def proxy_of(url: str | None, option: str = "--proxy") -> Proxy | None:
    """Return the proxy of a URL; raise `WrongArguments`."""
    if url is None:
        return None
    try:
        return Proxy.of(url)
    except ValueError as error:
        # The URL may hold a password, and is not repeated.
        raise WrongArguments(f"{option}: write http://HOST:PORT; {error}.") from None


def environment_proxy() -> Proxy | None:
    """Return the proxy of HTTPS_PROXY or ALL_PROXY; raise `WrongArguments` for one of another kind.

    `is_bypassed` has the exceptions.
    """
    from urllib.request import getproxies_environment  # which imports ssl

    found = getproxies_environment()
    name = next((each for each in _VARIABLES if found.get(each)), None)
    return proxy_of(found[name], f"{name.upper()}_PROXY") if name is not None else None


def is_bypassed(host: str) -> bool:
    """Return whether NO_PROXY excludes a host from the proxy of the environment."""
    from urllib.request import proxy_bypass

    return bool(proxy_bypass(host))
