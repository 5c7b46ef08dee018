"""The library that a program makes its connection by, and the names it has for settings of TLS.

A program of requests or httpx never calls its context, so advice that names a method of the context
would be none. On the stack of the call that fails stands who has made it. Under asyncio that is the
event loop alone for some, such as aiohttp.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import FrameType

from handclasp.advice import CREDENTIALS, SERVER_NAME, TIMEOUT, TRUST

_TRUST, _CREDENTIALS = "context.load_verify_locations(FILE)", "context.load_cert_chain(CHAIN, KEY)"
_HOST = "the host in the URL"

GIVING_UP = "the timeout after which a program gives a handshake up"
"""The setting of a library over an event loop; `TIMEOUT` is that of one over blocking sockets."""

_SETTINGS: Mapping[str, Mapping[str, str]] = {
    "requests": {
        TRUST: "requests: verify=FILE, or REQUESTS_CA_BUNDLE=FILE in the environment",
        CREDENTIALS: "requests: cert=(CHAIN, KEY)",
        SERVER_NAME: _HOST,
        TIMEOUT: "requests: timeout=SECONDS",
    },
    "httpx": {
        TRUST: f"httpx: verify=context, after {_TRUST}",
        CREDENTIALS: f"httpx: verify=context, after {_CREDENTIALS}",
        SERVER_NAME: _HOST,
        TIMEOUT: "httpx: timeout=SECONDS",
        GIVING_UP: "httpx: timeout=SECONDS",
    },
    "pip": {  # It brings requests and urllib3 along, under its own name.
        TRUST: "pip: --cert FILE, or PIP_CERT=FILE in the environment",
        CREDENTIALS: "pip: --client-cert FILE, with the key in it",
        SERVER_NAME: _HOST,
        TIMEOUT: "pip: --timeout SECONDS",
    },
    # Other libraries are built upon these two, and hand contexts or settings on in their own ways.
    "urllib3": {
        TRUST: f"{_TRUST}; urllib3: ca_certs=FILE",
        CREDENTIALS: f"{_CREDENTIALS}; urllib3: cert_file=CHAIN, key_file=KEY",
    },
    "aiohttp": {
        TRUST: f"{_TRUST}; aiohttp: ssl=context",
        CREDENTIALS: f"{_CREDENTIALS}; aiohttp: ssl=context",
        GIVING_UP: "aiohttp: timeout=aiohttp.ClientTimeout(SECONDS)",
    },
}
"""By the package of a library: how it names the settings that advice names (`handclasp.advice`)."""

_A_TIMEOUT = "Look for a timeout"


def settings_by_library() -> Mapping[str, str]:
    """Return how the library that has made this call names settings; empty if none is known.

    Of requests over urllib3 it is requests. A library that may be in use, but does not stand on
    the stack, comes after the method of the context.
    """
    found = ""
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package in _SETTINGS and found in {"", "urllib3"}:
            found = package
            if package != "urllib3":
                break
        frame = frame.f_back
    if not found and "aiohttp" in sys.modules:
        found = "aiohttp"
    return _SETTINGS.get(found, {})


def with_timeout_named(advice: str, named: Mapping[str, str]) -> str:
    """Return advice on a handshake that the program gave up, with the library's own timeout."""
    timeout = named.get(GIVING_UP)
    return advice.replace(_A_TIMEOUT, f"{_A_TIMEOUT} ({timeout})") if timeout else advice
