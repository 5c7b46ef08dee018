"""What one run of a program has: its contexts, its servers, and the checks of what came of it."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import handclasp.compat
from handclasp.errors import TLSError
from handclasp.faults import Fault

Way = Literal["passed", "injected", "both"]
WAYS: tuple[Way, ...] = ("passed", "injected", "both")

Home = Path
"""The directory of the certificates: ca.pem, wrong-ca.pem, server.pem, client.pem, ..."""


_SECONDS = 10
_VERIFY_FAILED = "CERTIFICATE_VERIFY_FAILED"


class Unproven(AssertionError):
    """A run ended well, and does not show what it must."""


@dataclass
class Case:
    """One program in one way.

    Attributes:
        way: how the program gets handclasp.
        home: the directory of the certificates.
        ports: the ports of the real servers that run, by name.
    """

    way: Way
    home: Home
    ports: dict[str, int]
    refusals: int = 0
    links: list[bool] = field(default_factory=list)
    _refused_stranger: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.ca = str(self.home / "ca.pem")
        self.wrong_ca = str(self.home / "wrong-ca.pem")
        self.server_file = str(self.home / "server.pem")
        self.client_file = str(self.home / "client.pem")
        self.wrong_client_file = str(self.home / "wrong-client.pem")
        # A context that is made before the injection keeps OpenSSL.
        self._openssl_server = self._server_context(ssl.SSLContext)
        self._openssl_client = ssl.create_default_context(cafile=self.ca)
        self._openssl_client.load_cert_chain(self.client_file)
        self._openssl_stranger = ssl.create_default_context(cafile=self.ca)
        self._openssl_stranger.load_cert_chain(self.wrong_client_file)
        self.unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.unverified.check_hostname = False
        self.unverified.verify_mode = ssl.CERT_NONE
        self._count_links()
        if self.way != "passed":
            handclasp.compat.inject()

    def _server_context(self, kind: type[ssl.SSLContext]) -> ssl.SSLContext:
        context = kind(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server_file)
        return context

    def _count_links(self) -> None:
        from handclasp.compat import context
        from handclasp.compat.link import Link

        case = self

        class Counted(Link):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                case.links.append(self.server_side)

            def do_handshake(self) -> None:
                try:
                    super().do_handshake()
                except ssl.SSLCertVerificationError as error:
                    if self.server_side and not _fault_of_explanation(error):
                        case._refused_stranger.set()
                    raise

        room: Any = context
        room.Link = Counted

    @property
    def is_injected(self) -> bool:
        return self.way != "passed"

    # Contexts

    def context(self, ca: str | None = None) -> ssl.SSLContext:
        """Return the context of a client program: given to it, or made by `ssl` after `inject`."""
        if self.is_injected:
            return ssl.create_default_context(cafile=ca or self.ca)
        return handclasp.compat.create_default_context(cafile=ca or self.ca)

    def contexts(self) -> Iterator[ssl.SSLContext]:
        """Yield the right context and the one that must refuse."""
        yield self.context()
        yield self.context(self.wrong_ca)

    def server_program_context(self) -> ssl.SSLContext:
        """Return the context of a server program; it asks for the certificates of clients."""
        kind = ssl.SSLContext if self.is_injected else handclasp.compat.SSLContext
        context = self._server_context(kind)
        context.load_verify_locations(self.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def server_context(self) -> ssl.SSLContext:
        """Return the context of the server that a client program talks to."""
        return self._server_context(ssl.SSLContext) if self.way == "both" else self._openssl_server

    def client_context(self, *, stranger: bool = False) -> ssl.SSLContext:
        """Return the context of the client that a server program talks to."""
        if self.way != "both":
            return self._openssl_stranger if stranger else self._openssl_client
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(self.wrong_client_file if stranger else self.client_file)
        return context

    # Checks

    def refused(
        self, call: Callable[[], Any], *expected: type[BaseException], is_text_alone: bool = False
    ) -> None:
        """Require that `call` fails with one of these classes and with our explanation.

        A program that raises a new exception with the text alone has the text of `ssl`.
        """
        try:
            call()
        except BaseException as error:
            if is_text_alone and isinstance(error, expected) and _VERIFY_FAILED in str(error):
                self.refusals += 1
            else:
                self.explained(error, *expected)
        else:
            raise Unproven("a wrong authority was accepted")

    def explained(self, error: BaseException, *expected: type[BaseException]) -> None:
        """Require the class of an exception, and that it leads to handclasp's explanation."""
        if not isinstance(error, expected):
            wanted = " or ".join([each.__name__ for each in expected])
            raise Unproven(f"refused by {type(error).__qualname__}, not {wanted}") from error
        for each in related(error):
            if isinstance(each, TLSError) and isinstance(each, ssl.SSLCertVerificationError):
                if problem := _fault_of_explanation(each):
                    raise Unproven(problem) from error
                self.refusals += 1
                return
        raise Unproven(f"handclasp's error is lost in {error!r}") from error

    def refused_as_stranger(
        self, call: Callable[[], Any], *, in_other_process: bool = False
    ) -> None:
        """Require that a server program refuses a client of a wrong authority.

        Its own error has our explanation, where it is in this process. The client gets the alert,
        or only the end: asyncio closes without sending what a failed handshake has left to send,
        with `ssl` as well.
        """
        try:
            call()
        except Exception as error:
            if in_other_process and not any("unknown ca" in str(e).lower() for e in related(error)):
                raise Unproven(f"the client saw {error!r}") from error
            if not in_other_process and not self._refused_stranger.wait(_SECONDS):
                raise Unproven("the server did not fail with our explanation") from error
            self.refusals += 1
        else:
            raise Unproven("a client of a wrong authority was served")

    def check(self, *, is_server: bool) -> None:
        """Require that the connections were handclasp's, and that one was refused."""
        sides = {is_server, not is_server} if self.way == "both" else {is_server}
        if not sides <= set(self.links):
            raise Unproven("a connection was not handclasp's")
        if not self.refusals:
            raise Unproven("nothing was refused")


def _fault_of_explanation(error: Any) -> str:
    """Return what an error lacks; "" if it explains that nobody vouches for the peer."""
    if error.fault is not Fault.CERTIFICATE_UNTRUSTED:
        return f"refused for {error.fault}"
    if not error.explanation or not error.__notes__:
        return "the refusal has no explanation"
    return ""


def related(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all those that it was made from or carries."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        inside = [each.__cause__, each.__context__, *each.args]
        inside += [v for v in vars(each).values() if isinstance(v, BaseException | list | tuple)]
        inside += getattr(each, "exceptions", ())
        flat = [one for v in inside for one in (v if isinstance(v, list | tuple) else (v,))]
        waiting += [one for one in flat if isinstance(one, BaseException)]


def in_thread(function: Callable[..., Any], *args: Any) -> threading.Thread:
    """Start a thread that ends with the process."""
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread
