"""What a key schedule hands over to the record layer, in either version."""

from __future__ import annotations

from handclasp.crypto.secret import Secret
from handclasp.crypto.suites import CipherSuite
from handclasp.values import value


@value(frozen=True, slots=True)
class TrafficKeys:
    """What protects records in one direction of one epoch.

    RFC 9846 section 7.3, RFC 5246 section 6.3.
    """

    suite: CipherSuite
    key: Secret
    iv: Secret
