"""The server's side of stapling: the sources of OCSP responses, and their renewal.

Handshakes call `current(now)`, which returns a response that is valid at that time or nothing:
clients refuse an outdated response. `now` is its only clock.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from copy import copy
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from handclasp.certificates.key_files import warn
from handclasp.certificates.loading import path_text
from handclasp.certificates.names import subject_of
from handclasp.certificates.ocsp_answers import (
    CLOCK_SKEW,
    MAX_RESPONSE_BYTES,
    Answer,
    answers_in,
)
from handclasp.deferred import DeferredModule
from handclasp.errors import CertificateError, ConfigurationError, path_errors
from handclasp.input_files import read_input, read_regular
from handclasp.process import ProcessLock
from handclasp.synchronous import check_synchronous, is_coroutine
from handclasp.values import dataclass

if TYPE_CHECKING:
    from cryptography import x509
else:
    x509 = DeferredModule("cryptography.x509")

FILE_INTERVAL = timedelta(seconds=1)
"""The time for which a file is not checked again, so that not every handshake reads it."""

RETRY_INTERVAL = timedelta(minutes=1)
"""The time for which a callback is not called again."""


class OcspStaple:
    """An OCSP response to staple to one certificate, which is renewed. Safe for threads.

    It implements `credentials.StapleSource`. Clients check the signature, this class does not; but
    it never staples a response that does not say "good". After a new one that says "revoked",
    nothing is stapled: the old answer is no longer true.

    >>> staple = OcspStaple.from_file("staple.der")  # Another program renews the file.
    >>> credentials = Credentials.load("chain.pem", "key.pem").with_staple(staple)

    A callback that returns the response is another `StapleSource`, by `from_callback`.

    Attributes:
        last_error: the error of the newest response or attempt; None if there was none. The
            previous response is stapled for as long as it is valid.
    """

    __slots__ = ("_held", "_leaf", "_lock", "_look_again", "_looked", "_origin", "last_error")

    def __init__(self, origin: _Origin, leaf: x509.Certificate | None = None) -> None:
        """Use the class methods instead."""
        self._origin = origin
        self._leaf = leaf
        self._lock = ProcessLock()
        self._held: _Held | None = None
        self._looked: datetime | None = None
        self._look_again: datetime | None = None
        self.last_error: Exception | None = None

    @classmethod
    def from_bytes(cls, der: bytes) -> OcspStaple:
        """Use one response, for as long as it is valid.

        Raises:
            ConfigurationError: it is not an OCSP response, or does not say that a certificate is
                good.
        """
        staple = cls(_Fixed())
        staple._take(der)
        return staple

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> OcspStaple:
        """Load a response in DER from a file, which is read again when it changes.

        It is checked once a second at most, and should be replaced in one step (written beside and
        renamed). An unusable file leaves the last good response in place: see `last_error`.

        Raises:
            ConfigurationError: the file is missing or unreadable now, or holds what `from_bytes`
                refuses.
        """
        origin = _File(Path(path_text(path, "the file of the OCSP response")))
        staple = cls(origin)
        with path_errors(f"read the OCSP response in {origin.path}"):
            data = origin.look() or b""
        try:
            staple._take(data)
        except ConfigurationError as error:
            raise ConfigurationError(f"In {origin.path}: {error}") from None
        return staple

    @classmethod
    def from_callback(cls, fetch: Callable[[], bytes | None]) -> OcspStaple:
        """Call a function that returns a response in DER, or None if it has none.

        It is called in the first handshake, again when half of the response's life has passed, and
        not more often than once a minute. That handshake waits for it, as do others without a
        response yet; so fetch the response in a task of your own. An exception is stored in
        `last_error` and breaks no handshake: the current response is stapled while it is valid, and
        after that none.

        Raises:
            ConfigurationError: it is an async function, which no handshake could await.
        """
        check_synchronous("The callback for the OCSP response", fetch)
        return cls(_Callback(fetch))

    def for_certificate(self, leaf: x509.Certificate) -> OcspStaple:
        """Return the source bound to a certificate: a response about another one is never stapled.

        The copy has a `last_error` of its own.

        Raises:
            ConfigurationError: the current response is about another certificate.
        """
        bound = OcspStaple(copy(self._origin), leaf)
        with self._lock:
            held = self._held
        if held is not None:
            bound._take(held.der)
        return bound

    def current(self, now: datetime) -> bytes | None:
        """Return the response as DER if there is one that is valid at `now`, which has a
        time zone.
        """
        # One asks. The others wait for it only if they have nothing to staple meanwhile.
        if self._is_due(now) and self._lock.acquire(blocking=self._valid(now) is None):
            try:
                if self._is_due(now):
                    self._renew(now)
            finally:
                self._lock.release()
        return self._valid(now)

    def check(self, now: datetime) -> None:
        """Log a warning, to "handclasp", about a response that is outdated at `now`.

        An outdated response is not sent, so clients that require one fail, and nothing else
        explains that. The server works without it, and it may be renewed; so this is not an error.
        """
        if self._is_due(now):
            self.current(now)
        held = self._held
        if held is None or now <= held.until + CLOCK_SKEW:
            return
        self.last_error = ConfigurationError(
            f"The OCSP response{self._origin.place} is outdated since {held.until:%Y-%m-%d %H:%M} "
            "UTC, so it is not sent to clients: renew it."
        )
        warn(str(self.last_error), "outdated_ocsp_response")

    def __repr__(self) -> str:
        return f"OcspStaple({self._origin!r})"

    def _valid(self, now: datetime) -> bytes | None:
        held = self._held
        if held is None or not held.since - CLOCK_SKEW <= now <= held.until:
            return None
        return held.der

    def _is_due(self, now: datetime) -> bool:
        looked, look_again = self._looked, self._look_again
        # A clock that was set back must not keep this from looking.
        return looked is None or look_again is None or not looked <= now < look_again

    def _renew(self, now: datetime) -> None:
        try:
            der = self._origin.look()
            if der is not None:
                self._take(der)
        except Exception as error:
            self.last_error = error  # Whatever it is, the current response is still valid.
        self._look_again = self._origin.look_again(now, self._held)
        self._looked = now

    def _take(self, der: bytes) -> None:
        held, is_revoked = _read(der, self._leaf)
        if is_revoked:
            self._held = None
            raise ConfigurationError(
                "The OCSP response says that the certificate was revoked: replace the certificate."
            )
        self._held = held
        self.last_error = None


@dataclass(frozen=True, slots=True)
class _Held:
    """A response that says "good", and from when to when."""

    der: bytes
    since: datetime
    until: datetime


class _Origin(Protocol):
    """The source of responses."""

    @property
    def place(self) -> str:
        """ " in PATH", or nothing."""
        ...

    def look(self) -> bytes | None:
        """Return a response if there is a new one; may raise anything."""
        ...

    def look_again(self, now: datetime, held: _Held | None) -> datetime:
        """Return when to look the next time, after a look at `now`."""
        ...


@dataclass(slots=True)
class _Fixed:
    """One response, that never changes."""

    @property
    def place(self) -> str:
        return ""

    def look(self) -> bytes | None:
        return None

    def look_again(self, now: datetime, held: _Held | None) -> datetime:
        return now + timedelta(days=1)


@dataclass(slots=True)
class _File:
    """A file, read if it is another one than at the last time, or another state of it."""

    path: Path
    _state: tuple[int, int, int] | None = None
    _was_read: bool = False

    @property
    def place(self) -> str:
        return f" in {self.path}"

    def look(self) -> bytes | None:
        try:
            status = self.path.stat()
            state = (status.st_ino, status.st_mtime_ns, status.st_size)
            if state == self._state:
                return None
            # At the start it may be a pipe: later looks, in handshakes, must not wait for one.
            read = read_regular if self._was_read else read_input
            data = read(self.path, most=MAX_RESPONSE_BYTES)
        except OSError:
            self._state = None
            raise
        self._state, self._was_read = state, True
        return data

    def look_again(self, now: datetime, held: _Held | None) -> datetime:
        return now + FILE_INTERVAL


@dataclass(slots=True)
class _Callback:
    """A function of the application."""

    fetch: Callable[[], object]

    @property
    def place(self) -> str:
        return ""

    def look(self) -> bytes | None:
        der = self.fetch()
        if der is None or isinstance(der, bytes):
            return der
        if is_coroutine(der):
            der.close()
        raise ConfigurationError(
            f"The callback for the OCSP response gave {type(der).__name__}: let it return bytes."
        )

    def look_again(self, now: datetime, held: _Held | None) -> datetime:
        soonest = now + RETRY_INTERVAL
        if held is None:
            return soonest
        return max(soonest, held.since + (held.until - held.since) / 2)


def _read(der: bytes, leaf: x509.Certificate | None) -> tuple[_Held, bool]:
    """Return the response's answer about the certificate, and whether that is "revoked".

    Raises:
        ConfigurationError: it says nothing of it that could be stapled.
    """
    try:
        answers = answers_in(der)
    except CertificateError as error:
        raise ConfigurationError(f"The OCSP response cannot be stapled: {error.detail}.") from error
    if leaf is not None:
        answers = _about(leaf, answers)
    newest = max(answers, key=lambda answer: answer.this_update)
    held = _Held(der, newest.this_update, newest.until)
    if any(answer.status == "revoked" for answer in answers):
        return held, True
    if newest.status != "good":
        raise ConfigurationError(
            f'The OCSP response says "{newest.status}" of the certificate: ask the issuer why.'
        )
    return held, False


def _about(leaf: x509.Certificate, answers: tuple[Answer, ...]) -> tuple[Answer, ...]:
    fitting = tuple(answer for answer in answers if answer.is_about(leaf))
    if fitting:
        return fitting
    raise ConfigurationError(
        f"The OCSP response is about another certificate (serial {answers[0].serial:x}) than "
        f"{subject_of(leaf)} (serial {leaf.serial_number:x}): fetch the one that belongs to it."
    )
