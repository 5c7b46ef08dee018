"""The programs, each with what it is run against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from platform import python_version

from tests.programs.case import Case, Way


@dataclass(frozen=True, slots=True)
class Program:
    """One row of the page.

    Attributes:
        name: the program or library, and the part of it.
        run: does what its users do, twice: with success, and refused for a wrong authority.
        packages: the distributions whose versions are shown; none for the standard library.
        server: the server in words; for a program that is a server, the client.
        daemon: the real server that it needs, as `daemons` names it.
        is_server: whether the program is the server.
        alone_for_both: whether no real server is needed where both ends are ours.
        not_possible: the ways that do not exist, each with the reason.
        remark: what is not as one would wish, and why, although the program works.
        own_checks: whether `run` proves by itself whose connections they are.
    """

    name: str
    run: Callable[[Case], None]
    packages: tuple[str, ...] = ()
    server: str = ""
    daemon: str | None = None
    is_server: bool = False
    alone_for_both: bool = False
    not_possible: dict[Way, str] = field(default_factory=dict)
    remark: str = ""
    own_checks: bool = False

    def versions(self) -> str:
        """Return the versions as they are shown. Raises `PackageNotFoundError`."""
        if not self.packages:
            return f"Python {python_version()}"
        return ", ".join([f"{each} {version(each)}" for each in self.packages])

    def missing(self) -> str:
        """Return which distribution is not installed; "" if all are."""
        try:
            self.versions()
        except PackageNotFoundError as error:
            return f"{error.name} is not installed"
        return ""


def programs() -> list[Program]:
    """Return all programs, in the order of the page."""
    from tests.programs import brokers, databases, mail, servers, tools, web, websocket

    rooms = (web, websocket, servers, mail, databases, brokers, tools)
    return [program for room in rooms for program in room.PROGRAMS]
