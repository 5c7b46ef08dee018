"""The dialogues in the clear before TLS: STARTTLS of nine protocols, and CONNECT of HTTP proxies.

Start with `dialogue.py`, the conversation that is fed with bytes; `mail.py`, `binary.py` and
`xmpp.py` have the scripts of the protocols, and `proxy.py` that of a proxy.

A dialogue does no input or output. Its bounds are those of `dialogue`, whatever the server sends,
and everything that goes wrong is a `DialogueError`. Bytes that come after the server's go-ahead,
and before TLS, are refused: they would otherwise pass for protected ones.

>>> from handclasp.starttls import PROTOCOLS, StartTLS, opening
>>> PROTOCOLS["smtp"].port
25
>>> talk = opening("pop3", "example.com")
>>> talk.receive_data(b"+OK ready\\r\\n")
>>> talk.data_to_send()
b'STLS\\r\\n'
>>> talk.receive_data(b"+OK begin\\r\\n")
>>> talk.is_over
True
>>> isinstance(PROTOCOLS["pop3"], StartTLS)
True
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from handclasp.starttls.binary import ldap, mysql, postgres, rdp
from handclasp.starttls.dialogue import Dialogue, Script, Talk
from handclasp.starttls.mail import ftp, imap, pop3, smtp
from handclasp.starttls.proxy import Proxy, connect
from handclasp.starttls.xmpp import xmpp
from handclasp.values import dataclass


@dataclass(frozen=True, slots=True)
class StartTLS:
    """A protocol that begins in the clear, and turns to TLS.

    See `PROTOCOLS` for an example.

    Attributes:
        port: its registered port.
        script: the client's part up to the first byte of TLS; it takes the server's name.
    """

    port: int
    script: Callable[[Talk, str], Script]


PROTOCOLS: Mapping[str, StartTLS] = {
    "smtp": StartTLS(25, smtp),
    "imap": StartTLS(143, imap),
    "pop3": StartTLS(110, pop3),
    "ftp": StartTLS(21, ftp),
    "ldap": StartTLS(389, ldap),
    "xmpp": StartTLS(5222, xmpp),
    "postgres": StartTLS(5432, postgres),
    "mysql": StartTLS(3306, mysql),
    "rdp": StartTLS(3389, rdp),
}
"""The protocols by name.

>>> from handclasp.starttls import PROTOCOLS
>>> PROTOCOLS["imap"].port
143
"""


def opening(
    protocol: str | None, host: str, port: int = 0, *, proxy: Proxy | None = None
) -> Dialogue:
    """Return all that is said in the clear before TLS with a server.

    See `handclasp.starttls` for an example.

    Args:
        protocol: a name in `PROTOCOLS`; None if TLS begins at once.
        host, port: the server, as the proxy is asked for it.
        proxy: the proxy to which the connection was made, if it is one.
    """
    return Dialogue(lambda talk: _opening(talk, protocol, host, port, proxy))


def _opening(talk: Talk, protocol: str | None, host: str, port: int, proxy: Proxy | None) -> Script:
    if proxy is not None:
        talk.meet("proxy")
        yield from connect(talk, host, port, proxy)
        talk.meet("server")
    if protocol is not None:
        yield from PROTOCOLS[protocol].script(talk, host)
