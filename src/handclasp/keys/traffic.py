"""The keys that a key schedule gives to the record layer, in either version."""

from __future__ import annotations

from handclasp.crypto.secret import Secret
from handclasp.crypto.suites import CipherSuite
from handclasp.values import value


@value(frozen=True, slots=True)
class TrafficKeys:
    """The key and IV that protect the records of one direction and epoch.

    RFC 9846 section 7.3, RFC 5246 section 6.3.
    """

    suite: CipherSuite
    key: Secret
    iv: Secret
