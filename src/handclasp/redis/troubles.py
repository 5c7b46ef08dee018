"""Troubles with Redis, as operators read them: a sentence for each, without what was sent.

The text of an error may repeat the command that failed, with a ticket key in it or a password:
redis-py does it for transactions, and Redis for commands that it does not know. So the words are
ours wherever the trouble is known, and what is left of other texts holds no command.
"""

from __future__ import annotations

import re

CLUSTER_NODE = (
    "this is a node of a Redis Cluster, which cannot be used: use one Redis, or a master with "
    "replicas and Sentinels"
)

_SENTENCES: tuple[tuple[str, str], ...] = (
    (
        r"HELLO must be called with|NOAUTH|Authentication required",
        "Redis wants a user and password, and got none: redis://user:password@host",
    ),
    (
        r"invalid username-password|WRONGPASS|invalid password",
        "Redis does not accept this user and password, or has disabled the user",
    ),
    (
        r"DB index is out of range|invalid DB index",
        "Redis has no database of this number, which is the last part of its URL",
    ),
    (
        r"not allowed in cluster mode|^(Moved|Ask|ClusterDown|ClusterCrossSlot|TryAgain)Error\b",
        CLUSTER_NODE,
    ),
    (
        r"no permissions to run the '([a-z|]{1,32})' command",
        "the user may not run the command {}: docs/fleet.md lists what it must be allowed",
    ),
    (
        r"^NoPermissionError\b|NOPERM",
        "the user may not do this to names that begin with this prefix: docs/fleet.md lists what "
        "it must be allowed",
    ),
    (r"^ReadOnlyError\b|READONLY|is now a slave", "this Redis is a replica, and takes no writes"),
    (r"NOREPLICAS|Not enough good replicas", "Redis takes no writes while it lacks replicas"),
    (r"^OutOfMemoryError\b|\bOOM\b", "Redis is full: it has reached its maxmemory"),
    (r"MISCONF", "Redis takes no writes, since it cannot save its data"),
    (r"^BusyLoadingError\b|LOADING", "Redis is still loading its data"),
    (
        r"WRONGTYPE",
        "a name with this prefix has a value of another kind (WRONGTYPE): something else uses it",
    ),
    (r"protected mode", "Redis is in protected mode, and serves its own machine only"),
    (r"max number of clients", "Redis has as many clients as it takes (maxclients)"),
    (
        r"MasterNotFoundError\b",
        "no Sentinel answers that has a master of this name which it can reach",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED",
        "the certificate of Redis is not accepted; ?ssl_ca_certs=PATH in the URL names the "
        "authority",
    ),
    (
        r"WRONG_VERSION_NUMBER|handshake operation timed out",
        "no TLS was heard from this port: rediss:// needs a port on which Redis speaks TLS",
    ),
    (
        r"Protocol Error: b['\"](HTTP/|<!?[A-Za-z])",
        "a web server answers here by HTTP, and no Redis",
    ),
    (r"Protocol Error: b['\"]SSH-", "an SSH server answers here, and no Redis"),
    (
        r"Protocol Error: b['\"][245][0-9][0-9][ -]",
        "a server of another protocol answers here, such as SMTP or FTP, and no Redis",
    ),
    (
        r"unknown command [`']?([A-Za-z]{1,32})\b",
        "what answers does not know the command {}: it may be a Sentinel, whose URL begins with "
        "redis+sentinel://, or a Redis that is older than 6.2 or has other names for commands",
    ),
    (r"^InvalidResponse\b|Protocol Error", "what answers here does not speak Redis's protocol"),
    (
        r"\bPXAT\b|\) of pipeline caused error: syntax error",
        "Redis does not know a command as it is since 6.2, which is the oldest that can be used",
    ),
    (r"Connection refused", "nothing listens at this address"),
    (
        r"Name or service not known|No address associated|nodename nor servname",
        "the name of its host is unknown",
    ),
    (r"^TimeoutError\b", "Redis did not answer in time"),
)
"""Patterns for "class: text" of an error, the first one counts, and what is said of it."""

_CLOSED = re.compile(r"Connection closed by server|Connection reset by peer")

_ARGUMENTS = re.compile(r", with args beginning with.*", re.DOTALL | re.IGNORECASE)
_LONG_WORD = re.compile(r"[0-9A-Za-z+/=_\\-]{25,}")
_QUOTED = re.compile(r"<.*>|\(.*\)|'[^']*'|\"[^\"]*\"|`[^`]*`", re.DOTALL)
_LONGEST = 120
"""Characters of a foreign text that are repeated."""


class FleetError(Exception):
    """Something is wrong with what the servers of a fleet share in Redis.

    `on_error` of the keys and of the filters gets it; their methods do not raise it. Its text is
    safe for a log: no command and no password is in it.

    >>> from handclasp.redis import FleetError
    >>> def note(error: FleetError) -> None:
    ...     print(error.kind, "|", error.reason)
    >>> note(FleetError("Redis did not answer in time", "TimeoutError"))
    TimeoutError | Redis did not answer in time

    Attributes:
        reason: what is wrong, without a period at the end.
        address: where Redis was looked for: host and port, the path of a socket, or the name of a
            master with its Sentinels; empty if that is not known.
        kind: the name of the class of redis-py's error, such as "ConnectionError"; empty if there
            was none.
    """

    def __init__(self, reason: str, kind: str = "", address: str = "") -> None:
        super().__init__(reason, kind, address)
        self.reason = reason
        self.kind = kind
        self.address = address

    @property
    def cause(self) -> str:
        """The reason and the kind, without the address."""
        return f"{self.reason} ({self.kind})" if self.kind else self.reason

    def __str__(self) -> str:
        return f"Redis at {self.address}: {self.cause}" if self.address else self.cause


def explain(error: Exception, speaks_tls: bool = False) -> FleetError:
    """Return what operators may read about an error of a client, without what was sent.

    Args:
        error: the error.
        speaks_tls: whether the client speaks TLS to Redis, so that nothing advises it.
    """
    if isinstance(error, FleetError):
        return error
    kind = type(error).__name__
    said = f"{kind}: {_text_of(error)}"
    for pattern, sentence in _SENTENCES:
        if found := re.search(pattern, said):
            return FleetError(sentence.format(*found.groups("")), kind)
    if _CLOSED.search(said):
        advice = "" if speaks_tls else "; if it speaks TLS alone, its URL begins with rediss://"
        return FleetError(f"the connection was closed by the other end{advice}", kind)
    return FleetError(_cleaned(_text_of(error)), kind)


def _text_of(error: BaseException) -> str:
    """Return the texts of an error and of its cause, which redis-py may replace by fewer words."""
    cause = error.__cause__ or error.__context__
    # Errors that end a transaction have other errors of Redis for a context, which add nothing.
    texts = [str(error)] if cause is None else [str(error), str(cause)]
    return " / ".join(texts)[:4000]


def _cleaned(text: str) -> str:
    """Return the text of an error without what may be a part of a command."""
    text = _ARGUMENTS.sub("", text.rpartition(" caused error: ")[2])
    text = _LONG_WORD.sub("…", _QUOTED.sub("…", text))
    text = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(text.split())[:_LONGEST].rstrip(".") or "no more is known"
