"""Private keys in files that others can read or replace: logged, and used anyway.

In containers a key is often readable by everybody, since there is nobody else (Kubernetes mounts
secrets with mode 0644), so that it is no error; elsewhere it is one that nobody notices until it is
too late. So a warning goes to the logger "handclasp", which Python prints on standard error unless
the application says otherwise. A key that a group may read is left alone, as in Debian's
"ssl-cert". docs/decisions/0024 says how to have such keys refused.

>>> from handclasp.certificates.key_files import exposure, warn, warn_if_exposed
>>> os.chmod("key.pem", 0o644)
>>> exposure("key.pem")
'can be read by every user of this machine (mode 0644): run chmod 600 on it'
>>> warn_if_exposed("key.pem", "the key file key.pem")
>>> warn("Something that a person should look at.", "something")
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

LOGGER = "handclasp"

_told: ContextVar[set[str] | None] = ContextVar("told", default=None)


def exposure(path: str | os.PathLike[str]) -> str | None:
    """Return who else can read or change a key file, as the end of a sentence; None for nobody.

    None as well for what is no regular file, and on Windows, where modes say nothing.
    """
    try:
        found = os.stat(path)  # Follows links: certbot and Kubernetes put one there.
    except OSError:
        return None
    mode = stat.S_IMODE(found.st_mode)
    if os.name != "posix" or not stat.S_ISREG(found.st_mode):
        return None
    if mode & 0o022:
        what = "be changed by other users"
    elif mode & 0o004:
        what = "be read by every user"
    else:
        return None
    return f"can {what} of this machine (mode {mode:04o}): run chmod 600 on it"


def warn_if_exposed(source: str | os.PathLike[str] | bytes, what: str) -> None:
    """Log a warning about a key file that others can read or change; `what` is its name."""
    why = None if isinstance(source, bytes) else exposure(source)
    if why is not None:
        warn(f"{what[:1].upper()}{what[1:]} {why}.", "exposed_key")


def warn(sentence: str, kind: str) -> None:
    """Log a warning to "handclasp"; the record's attribute `kind` is for programs."""
    import logging  # Hardly anything else in the package needs it.

    if (told := _told.get()) is not None:
        if sentence in told:
            return
        told.add(sentence)
    logging.getLogger(LOGGER).warning("%s", sentence, extra={"kind": kind})


@contextmanager
def warning_once(told: set[str]) -> Generator[None]:
    """Give a context in which no warning is logged whose sentence is in `told`, which it joins.

    >>> from handclasp.certificates.key_files import warn, warning_once
    >>> told = set()
    >>> for _ in range(2):
    ...     with warning_once(told):
    ...         warn("Something that a person should look at.", "something")
    >>> told
    {'Something that a person should look at.'}
    """
    token = _told.set(told)
    try:
        yield
    finally:
        _told.reset(token)
