"""The tunnel through an HTTP proxy (CONNECT, RFC 9110 section 9.3.6).

>>> from handclasp.starttls.proxy import Proxy
>>> proxy = Proxy.of("http://user:secret@proxy.example:3128")
>>> proxy.host, proxy.port
('proxy.example', 3128)
"""

from __future__ import annotations

import re
from base64 import b64encode
from urllib.parse import unquote, urlsplit

from handclasp.starttls.dialogue import DialogueError, Script, Talk, shown
from handclasp.values import dataclass, field

_USUAL_PORT = 80
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [^\r\n]*)?\Z")
_MOST_FIELDS = 128
_NEEDS_PASSWORD = 407
_NAME = re.compile(r"[\w.:%-]{1,255}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy.

    Attributes:
        host, port: its address.
        credentials: the user's name and password, "name:password"; empty if it asks for none.

    >>> from handclasp.starttls.proxy import Proxy
    >>> Proxy("127.0.0.1", 8080).port
    8080
    """

    host: str
    port: int
    credentials: str = field(default="", repr=False)

    @classmethod
    def of(cls, url: str) -> Proxy:
        """Return the proxy of a URL, http://[USER:PASSWORD@]HOST[:PORT]; raise `ValueError`."""
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme != "http":
            raise ValueError(f"a proxy of the kind {parts.scheme} is not known, only http")
        if not parts.hostname:
            raise ValueError("it has no host")
        name, password = (unquote(part or "") for part in (parts.username, parts.password))
        credentials = f"{name}:{password}" if name else ""
        return cls(parts.hostname, parts.port or _USUAL_PORT, credentials)


def connect(talk: Talk, host: str, port: int, proxy: Proxy) -> Script:
    """Ask a proxy for a tunnel; the bytes after its answer are those of the server.

    >>> from handclasp.starttls.dialogue import Dialogue
    >>> from handclasp.starttls.proxy import Proxy, connect
    >>> proxy = Proxy("127.0.0.1", 8080)
    >>> talk = Dialogue(lambda talk: connect(talk, "example.com", 443, proxy))
    >>> talk.data_to_send().split()[:2]
    [b'CONNECT', b'example.com:443']
    """
    target = _target(host, port, proxy)
    head = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"
    if proxy.credentials:
        head += f"Proxy-Authorization: Basic {b64encode(proxy.credentials.encode()).decode()}\r\n"
    talk.send(f"{head}\r\n".encode())
    status = yield from talk.line()
    found = _STATUS.match(status)
    if found is None:
        raise _refused(f"it answers {shown(status)}, which is no HTTP", proxy)
    for _ in range(_MOST_FIELDS):
        field_line = yield from talk.line()
        if not field_line:
            break
    else:
        raise _refused(f"its answer has more than {_MOST_FIELDS} fields", proxy)
    code = int(found[1])
    if not 200 <= code < 300:
        raise _refused(f"it answers {shown(status)}", proxy, code)


def _target(host: str, port: int, proxy: Proxy) -> str:
    """Return the server as the proxy is asked for it; raise `DialogueError` for no name."""
    try:
        name = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        name = ""
    if not _NAME.fullmatch(name):
        raise _refused(f"{host!r} is not a host name", proxy)
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def _refused(why: str, proxy: Proxy, code: int = 0) -> DialogueError:
    fix = "See the proxy's log and its rules, and check that this is the proxy's address."
    if code == _NEEDS_PASSWORD:
        fix = (
            "Put a name and password that the proxy accepts into its URL: http://NAME:PASSWORD@..."
        )
    return DialogueError(
        "PROXY_REFUSED",
        f"The proxy {proxy.host}:{proxy.port} gives no tunnel: {why}.",
        "The connection ends at the proxy: nothing of it has reached the server.",
        fix,
        "unclear",
        "the proxy, which refuses, or could not reach the server; or this end, if it lacks the "
        "right to ask",
    )
