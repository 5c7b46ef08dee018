"""The types and bounds of a config's fields."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from functools import partial
from typing import Any

from handclasp.certificates.credentials import Credentials
from handclasp.certificates.reloading import ReloadingCredentials
from handclasp.crypto.suites import SUITES_OF_VERSION
from handclasp.questions import ChooseConfig, ChooseCredentials, ConfirmPeer, FindPsk, VerifyPeer

MAX_RECORD_SIZE_LIMIT = 2**14 + 1
"""The largest record_size_limit in TLS 1.3: content and its type byte (RFC 8449 section 4)."""

MIN_RECORD_SIZE_LIMIT = 64

DEFAULT_VERSIONS = tuple(SUITES_OF_VERSION)
"""All versions that this library speaks, oldest first."""


class ClientAuth(Enum):
    """The request of a server for its clients' certificates (RFC 8446 section 4.3.2).

    See `ServerConfig` for an example.
    """

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


Credential = Credentials | ReloadingCredentials
"""A certificate and its key, or files with both, which are read again when they change."""

KeyLog = Callable[[str], None]
"""A function that takes one line in the format of SSLKEYLOGFILE (RFC 9850), without line end."""

PaddingPolicy = Callable[[int], int]
"""A function from a record's content length to the zero bytes to add (RFC 9846 section 5.4)."""

ChooseConfigCallback = Callable[[ChooseConfig], Any]

ChooseCredentialsCallback = Callable[[ChooseCredentials], Any]

VerifyPeerCallback = Callable[[VerifyPeer], Any]

ConfirmPeerCallback = Callable[[ConfirmPeer], Any]

FindPskCallback = Callable[[FindPsk], Any]


utc_now: Callable[[], datetime] = partial(datetime.now, UTC)
"""Returns the current time; the default clock of a config."""
