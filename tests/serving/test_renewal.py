"""The warnings of a running server about the end of its certificate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.pki import Leaf, Pki

from handclasp.serving.renewal import CertificateStatus, CertificateWatch

NOW = datetime(2031, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("life", "expected"),
    [
        (398, [29, 6, -1]),
        (90, [29, 6, -1]),
        # Of less than a third of its life is warned.
        (45, [14, 6, -1]),
        (6, [1, -1]),
    ],
)
def test_warnings_by_the_rule_of_own_certificates(life: int, expected: list[int]) -> None:
    end = NOW + life * DAY
    credentials = Pki().credentials(Leaf(not_before=NOW, not_after=end))
    now = [NOW]
    told = list[CertificateStatus]()
    watch = CertificateWatch([credentials], told.append, lambda: now[0])
    while now[0] < end + 2 * DAY:
        watch.look()
        now[0] += timedelta(hours=1)
    assert [each.days_left for each in told] == expected
    assert all(each.is_warning for each in told)
