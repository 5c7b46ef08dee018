"""Credentials and keys in files that are replaced while a server runs, as ACME clients do.

Running connections keep what they have; connections that start after a change get the new ones.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from handclasp.certificates.key_files import warning_once
from handclasp.certificates.own_certificate import Role, warn_of_own
from handclasp.certificates.period import Period
from handclasp.deferred import DeferredModule
from handclasp.errors import ConfigurationError
from handclasp.input_files import is_read_once
from handclasp.process import ProcessLock
from handclasp.synchronous import check_clock, check_synchronous, is_coroutine

if TYPE_CHECKING:
    from handclasp.certificates import credentials
else:
    credentials = DeferredModule("handclasp.certificates.credentials")

SECONDS_BETWEEN_LOOKS = 1.0

_State = tuple[tuple[int, ...] | None, ...]
_T = TypeVar("_T")


class ReloadingFiles(Generic[_T]):
    """The content of files, which are read again when they change; for any number of threads.

    The files are checked when `current` is read, at most once a second. Content that does not load
    is never used: the old one stays. So it does where a file has become a pipe or a device, which
    is not opened. If one is a pipe at the start, as in `--cert <(command)`, all of them are read
    only once, since they belong together. The base of `ReloadingCredentials` and
    `ReloadingEchKeys`, which have the same arguments, attributes and errors.

    Args:
        files: the paths to check.
        load: a function that loads them, and raises `ConfigurationError` for invalid content. Any
            other exception that it raises later counts as such an error.
        on_error: a function that is called once for each new error, with the reason why the old
            content stays.
        clock: seconds that never go backwards.

    Attributes:
        last_error: why the last change was not loaded; None if there is no error.
    """

    __slots__ = (
        "_clock",
        "_current",
        "_files",
        "_is_read_once",
        "_load",
        "_lock",
        "_next_look",
        "_on_error",
        "_seen",
        "_told",
        "_tried",
        "last_error",
    )

    def __init__(
        self,
        files: Sequence[str | os.PathLike[str]],
        load: Callable[[], _T],
        *,
        on_error: Callable[[ConfigurationError], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_synchronous("load", load)
        check_synchronous("on_error", on_error)
        check_clock(clock, "seconds")
        self._files = tuple(files)
        self._load = load
        self._on_error = on_error
        self._clock = clock
        self._lock = ProcessLock()
        self.last_error: ConfigurationError | None = None
        # The state is taken before the reading: what changes meanwhile is seen the next time.
        self._seen: _State | None = self._state()
        self._tried: _State | None = self._seen
        self._told: set[str] = set()
        """The warnings that loading this state of the files has logged."""
        self._is_read_once = any(map(_is_read_once, self._files))
        self._current = self._loaded()
        self._next_look = clock() + SECONDS_BETWEEN_LOOKS

    @property
    def current(self) -> _T:
        """The newest content that loaded."""
        # A caller that comes while another thread checks takes the current one instead of waiting.
        if self._clock() >= self._next_look and self._lock.acquire(blocking=False):
            try:
                self._look()
                self._next_look = self._clock() + SECONDS_BETWEEN_LOOKS
            finally:
                self._lock.release()
        return self._current

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._current!r})"

    def _look(self) -> None:
        state = self._state()
        if state == self._seen or self._is_read_once:
            return
        if state != self._tried:
            self._tried, self._told = state, set()
        try:
            self._check_files()
            with warning_once(self._told):
                loaded = self._loaded()
            self._check_change(loaded)
            self._current = loaded
            self._warn_of_change(loaded)
        except Exception as error:
            self._seen = None  # The next look tries again: a file may be rewritten in one tick.
            self._note(error)
        else:
            self._seen, self.last_error = state, None

    def _loaded(self) -> _T:
        """Load the files. Raises `ConfigurationError`, or what `load` raises."""
        raise NotImplementedError

    def _check_files(self) -> None:
        """Raise `ConfigurationError` for what is no file any more: reading it might never end."""
        for path in filter(_is_read_once, self._files):
            raise ConfigurationError(
                f"{os.fsdecode(path)} is a pipe or a device now: it is not read again."
            )

    def _check_change(self, new: _T) -> None:
        """Raise `ConfigurationError` if the old content should stay nevertheless."""

    def _warn_of_change(self, new: _T) -> None:
        """Log what is wrong with the new content, which is in use nevertheless."""

    def _note(self, error: Exception) -> None:
        text = str(error)
        if not isinstance(error, ConfigurationError):
            text = f"load failed with {type(error).__name__}: {text}"
        is_new = self.last_error is None or str(self.last_error) != text
        # A copy: the traceback would keep alive what the failed loading had read of the key.
        self.last_error = ConfigurationError(text)
        if self._on_error is not None and is_new:
            # A fault in telling the error must not end a handshake that can go on.
            with suppress(Exception):
                self._on_error(self.last_error)

    def _state(self) -> _State:
        return tuple([_state_of(path) for path in self._files])


class ReloadingCredentials(ReloadingFiles["credentials.Credentials"]):
    """Credentials in files, which are read again when they change; for any number of threads.

    `Credentials.auto_reload` makes one of a chain and a key. The files are checked when `current`
    is read, at most once a second. Files that do not load are never used: while one file is half
    written, or is new and the other not yet, the old credentials stay. So they do where the new
    certificate has expired or is not valid yet, as long as the old one is valid. Of any other
    reason for peers to refuse the new one there is a warning, as when a config is built.

    >>> credentials = Credentials.auto_reload("chain.pem", "key.pem")
    >>> config = ServerConfig(credentials=credentials)
    >>> credentials.current.names, credentials.last_error
    (('example.com',), None)

    Args:
        files: the paths to check.
        load: a function that loads them, and raises `ConfigurationError` for invalid content. Any
            other exception that it raises later counts as such an error.
        on_error: a function that is called once for each new error, with the reason why the old
            credentials stay.
        clock: seconds that never go backwards.

    Attributes:
        last_error: why the last change was not loaded; None if there is no error.

    Raises:
        ConfigurationError: they cannot be loaded now; or `load` or `on_error` is an async
            function, which nothing would await.
    """

    __slots__ = ("_keep_valid", "_roles")

    def __init__(
        self,
        files: Sequence[str | os.PathLike[str]],
        load: Callable[[], credentials.Credentials],
        *,
        on_error: Callable[[ConfigurationError], object] | None = None,
        keep_valid: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keep_valid = keep_valid
        self._roles: set[Role] = set()
        super().__init__(files, load, on_error=on_error, clock=clock)

    def warn_as(self, role: Role) -> None:
        """Log what is wrong in this role with each new certificate; a config calls this."""
        self._roles.add(role)

    def _loaded(self) -> credentials.Credentials:
        loaded = cast(object, self._load())
        if isinstance(loaded, credentials.Credentials):
            return loaded
        if is_coroutine(loaded):
            loaded.close()
        raise ConfigurationError(
            f"load must give Credentials at once, not {type(loaded).__name__}."
        )

    def _check_change(self, new: credentials.Credentials) -> None:
        if self._keep_valid:
            _check_period(new, self._current)

    def _warn_of_change(self, new: credentials.Credentials) -> None:
        for role in sorted(self._roles):
            warn_of_own([new], role, datetime.now(UTC))


def _check_period(new: credentials.Credentials, old: credentials.Credentials) -> None:
    """Raise `ConfigurationError` if a certificate is not valid now, and the old one is."""
    now, period = datetime.now(UTC), _period_or_none(new)
    if period is None or period.holds(now):
        return
    current = _period_or_none(old)
    if current is not None and not current.holds(now):
        return
    fault = f"is valid from {_in_words(period.begin)} on"
    if period.has_ended(now):
        fault = f"expired at {_in_words(period.end)}"
    until = "" if current is None else f", which is valid until {_in_words(current.end)}"
    raise ConfigurationError(f"The new certificate {fault}: the old one stays in use{until}.")


def _period_or_none(given: credentials.Credentials) -> Period | None:
    """Return when a certificate is valid; None for a raw public key, which always is."""
    return Period.of(given) if given.certificate_type == "X509" else None


def _in_words(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _is_read_once(path: str | os.PathLike[str]) -> bool:
    with suppress(OSError):
        return is_read_once(os.stat(path).st_mode)
    return False


def _state_of(path: str | os.PathLike[str]) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)  # Follows links: certbot and Kubernetes replace the link.
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
