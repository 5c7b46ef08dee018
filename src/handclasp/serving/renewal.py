"""The certificates and ECH keys of a running server: how long they last, and what replaces them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from handclasp.certificates.reloading import period_of
from handclasp.config.certificates import warn_of_uncovered_public_names
from handclasp.values import dataclass

if TYPE_CHECKING:
    from handclasp import Credentials, EchKey, ServerConfig
    from handclasp.certificates.reloading import ReloadingCredentials

_MOST_NAMES = 3

WARNING_DAYS = (30, 7)
"""The days before the end of a certificate at which its operator is warned."""


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
        # Building a config has warned of the state in the beginning.
        self._warned = [_threshold(each.days_left) for each in self._statuses]

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
                self._statuses[at] = self._status(current)
            days = (self._statuses[at].not_after - self._now()).days
            threshold = _threshold(days)
            warns = threshold is not None and threshold != self._warned[at]
            self._warned[at] = threshold
            if renewed or warns:
                known = self._statuses[at]
                self._report(
                    CertificateStatus(known.subject, known.not_after, days, renewed, warns)
                )

    def _status(self, credentials: Credentials) -> CertificateStatus:
        _, end = period_of(credentials)
        subject = credentials.subject or ", ".join(credentials.names[:_MOST_NAMES])
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


def _threshold(days: int) -> int | None:
    """Return the lowest of the bounds that so many days are within; None: no bound."""
    return min((each for each in (*WARNING_DAYS, -1) if days <= each), default=None)


def _has_end(credentials: Credentials | ReloadingCredentials) -> bool:
    return credentials.current.certificate_type == "X509"
