"""The certificates and ECH keys of a running server: how long they last, and what replaces them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from handclasp.certificates.period import Period
from handclasp.config.certificates import warn_of_uncovered_public_names
from handclasp.values import dataclass
from handclasp.wording import listed

if TYPE_CHECKING:
    from handclasp import Credentials, EchKey, ServerConfig
    from handclasp.certificates.reloading import ReloadingCredentials

_MOST_NAMES = 3

_ENDED = -1


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """A certificate, as its operator needs to know it.

    Attributes:
        subject: of the certificate; its first names where it has none.
        not_after: its end.
        days_left: whole days until then; negative once it has expired.
        is_renewed: whether it has replaced another one just now.
        is_warning: whether it ends soon, or has ended.
    """

    subject: str
    not_after: datetime
    days_left: int
    is_renewed: bool = False
    is_warning: bool = False


class CertificateWatch:
    """Looks at certificates, and reports their renewal and their approaching end.

    Args:
        credentials: those of a config, which may be read again.
        report: is called with the state of a certificate when there is news of it.
        now: returns the time.
    """

    def __init__(
        self,
        credentials: Sequence[Credentials | ReloadingCredentials],
        report: Callable[[CertificateStatus], object],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._credentials = [each for each in credentials if _has_end(each)]
        self._report = report
        self._now = now
        self._seen = [each.current.chain_der[0] for each in self._credentials]
        self._statuses = [self._status(each.current) for each in self._credentials]
        self._periods = [Period.of(each.current) for each in self._credentials]
        # Building a config has warned of the state in the beginning, by the same rule.
        self._warned = [_warning(each, now()) for each in self._periods]

    def statuses(self) -> list[CertificateStatus]:
        """Return the state of each certificate now."""
        return [self._status(each.current) for each in self._credentials]

    def look(self) -> None:
        """Report what has changed since the last look."""
        for at, each in enumerate(self._credentials):
            current = each.current
            renewed = current.chain_der[0] != self._seen[at]
            if renewed:
                self._seen[at], self._warned[at] = current.chain_der[0], None
                self._statuses[at], self._periods[at] = self._status(current), Period.of(current)
            now = self._now()
            warning = _warning(self._periods[at], now)
            warns = warning is not None and warning != self._warned[at]
            self._warned[at] = warning
            if renewed or warns:
                known, days = self._statuses[at], (self._periods[at].end - now).days
                self._report(
                    CertificateStatus(known.subject, known.not_after, days, renewed, warns)
                )

    def _status(self, credentials: Credentials) -> CertificateStatus:
        end = Period.of(credentials).end
        subject = credentials.subject or listed(credentials.names, _MOST_NAMES)
        return CertificateStatus(subject, end, (end - self._now()).days)


class EchKeyWatch:
    """Looks at the keys for Encrypted Client Hello, and reports when others have replaced them.

    Args:
        config: a config, whose keys may be read again.
        report: is called with the new keys.
    """

    def __init__(self, config: ServerConfig, report: Callable[[Sequence[EchKey]], object]) -> None:
        self._config = config
        self._report = report
        self._seen = config.ech_keys

    def look(self) -> None:
        """Report what has changed since the last look."""
        keys = self._config.ech_keys
        if keys != self._seen:
            self._seen = keys
            warn_of_uncovered_public_names(self._config)
            self._report(keys)


def _warning(period: Period, now: datetime) -> int | None:
    """Return what the operator is warned of: the days within which the end is, or that it has
    passed; None: nothing.
    """
    return _ENDED if period.has_ended(now) else period.ends_within(now)


def _has_end(credentials: Credentials | ReloadingCredentials) -> bool:
    return credentials.current.certificate_type == "X509"
