"""The period in which a certificate of this side is valid, and how near its end is.

>>> from datetime import UTC, datetime, timedelta
>>> from handclasp.certificates.period import Period
>>> begin = datetime(2031, 1, 1, tzinfo=UTC)
>>> period = Period(begin, begin + timedelta(days=90))
>>> period.ends_within(begin + timedelta(days=59)), period.ends_within(begin + timedelta(days=61))
(None, 30)
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from handclasp.deferred import DeferredModule
from handclasp.values import dataclass

if TYPE_CHECKING:
    from cryptography import x509

    from handclasp.certificates.credentials import Credentials
else:
    x509 = DeferredModule("cryptography.x509")

_SOON = (7, 30)
_RENEWED_BY = 3
"""A certificate is usually renewed when a third of its life is left. So the bound of 30 days holds
for certificates of 90 days, while one of six days is near its end in the last two only."""


@dataclass(frozen=True, slots=True)
class Period:
    """The first and the last moment at which a certificate is valid; see the module."""

    begin: datetime
    end: datetime

    @classmethod
    def of(cls, credentials: Credentials) -> Period:
        """Return the period of the certificate of credentials, which must be X.509."""
        leaf = x509.load_der_x509_certificate(credentials.chain_der[0])
        return cls(leaf.not_valid_before_utc, leaf.not_valid_after_utc)

    def has_ended(self, now: datetime) -> bool:
        """Return whether the certificate has expired: not in the course of its last second."""
        return now.replace(microsecond=0) > self.end

    def has_begun(self, now: datetime) -> bool:
        """Return whether the certificate is valid already, or was."""
        return now >= self.begin

    def holds(self, now: datetime) -> bool:
        """Return whether the certificate is valid."""
        return self.has_begun(now) and not self.has_ended(now)

    def ends_within(self, now: datetime) -> int | None:
        """Return 7 or 30 if the end is less than so many days away, and worth a warning.

        That is so if less than a third of the certificate's life is left. None: it is not.
        """
        left = self.end - now
        if left * _RENEWED_BY >= self.end - self.begin:
            return None
        return next((days for days in _SOON if left < timedelta(days=days)), None)
