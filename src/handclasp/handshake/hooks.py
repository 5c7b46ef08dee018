"""Calls to hooks of the application that must answer at once: stores, ticket keys, staples.

Their answers are needed where no handshake can wait: before the first message, after the last, or
while a failed connection ends. All others are questions (`questions`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from math import ceil
from typing import cast

from handclasp.advice import CAUSE
from handclasp.certificates.credentials import Credentials
from handclasp.errors import ConfigurationError, ProtocolError
from handclasp.faults import Fault
from handclasp.questions import DEFER
from handclasp.sessions.session import Session
from handclasp.sessions.ticket_keys import TicketKey, TicketKeys, TicketKeySource
from handclasp.synchronous import is_awaitable, is_coroutine


def call_hook(name: str, hook: Callable[..., object], *given: object) -> object:
    """Return the answer of a hook. Raises `ProtocolError` where it fails, or would answer later.

    Args:
        name: what the application calls the hook.
    """
    try:
        answer = hook(*given)
    except Exception as error:
        kind = type(error).__name__
        raise hook_raised(name, kind, f"{name}: {kind}") from error
    if answer is None or type(answer) is Session:
        return answer  # The common cases, and a cheap test.
    if answer is DEFER or is_awaitable(answer):
        if is_coroutine(answer):
            answer.close()
        later = "DEFER" if answer is DEFER else "an awaitable"
        raise wrong_answer(name, later, "the answer itself, as nothing can wait for it here")
    return answer


def wrong_answer(name: str, given: object, wanted: str) -> ProtocolError:
    """Return the error for a hook whose answer is of a wrong kind.

    Args:
        given: the answer, or its name in words.
        wanted: what it must be.
    """
    text = given if isinstance(given, str) else type(given).__name__
    fix = f"Let {name} give {wanted}."
    return _failed(name, f"{name}: {text}", f"gave {text}; it must give {wanted}", fix)


def opening_keys(source: TicketKeySource, clock: Callable[[], datetime]) -> Sequence[TicketKey]:
    """Return the ticket keys that open tickets now. Raises `ProtocolError`."""
    if type(source) is TicketKeys:
        return source.keys()
    given = _keys_of(source)
    now = clock().timestamp()
    return [key for key in given if now < key.opens_until]


def sealing_keys(source: TicketKeySource, clock: Callable[[], datetime]) -> Sequence[TicketKey]:
    """Return the ticket keys that may seal now, of which the first one does. Raises
    `ProtocolError`.
    """
    if type(source) is TicketKeys:
        return source.keys()
    given = _keys_of(source)
    if not given:
        return ()  # Those of Redis count as none while none of them may seal.
    now = clock().timestamp()
    return [key for key in given if key.seals_from <= now < key.opens_until]


def lifetime_under(
    source: TicketKeySource, keys: Sequence[TicketKey], lifetime: int, now: int
) -> int:
    """Return the seconds for which a ticket can be opened that is sealed now: `lifetime`, or less.

    Args:
        source: the source of the keys.
        keys: the keys that seal; the first one does.
        lifetime: seconds.
        now: milliseconds since 1970.
    """
    if type(source) is TicketKeys:
        return min(lifetime, ceil(source.lifetime))  # They may have a clock of their own.
    return min(lifetime, int(keys[0].opens_until - now / 1000)) if keys else lifetime


def _keys_of(source: TicketKeySource) -> Sequence[TicketKey]:
    name = "ticket_keys.keys()"
    given = call_hook(name, source.keys)
    wanted = "a sequence of TicketKey"
    if not isinstance(given, Sequence):
        raise wrong_answer(name, given, wanted)
    for each in cast("Sequence[object]", given):
        if not isinstance(each, TicketKey):
            raise wrong_answer(name, [], f"{wanted}, and not of {type(each).__name__}")
    return cast("Sequence[TicketKey]", given)


def staple_of(credentials: Credentials, now: datetime) -> bytes | None:
    """Return the OCSP response to send with these credentials, if any. Raises `ProtocolError`."""
    source = credentials.staple
    if source is None:
        return None
    name = "staple.current()"
    response = call_hook(name, source.current, now)
    if response is not None and not isinstance(response, bytes):
        raise wrong_answer(name, response, "bytes or None")
    return response


def hook_raised(name: str, kind: str, detail: str) -> ProtocolError:
    """Return the error for a hook, or a callback, that raised an exception of this kind."""
    fix = f"Mend {name}. Its own exception is chained to this one ({CAUSE})."
    return _failed(name, detail, f"failed with {kind}", fix)


def unfit_config(error: ConfigurationError) -> ProtocolError:
    """Return the error for a config from `choose_config` that this server could not have."""
    name = "choose_config"
    return ProtocolError(
        Fault.CALLBACK_FAILED,
        f"{name}: {type(error).__name__}",
        sentence=f"{name} gave a config that cannot be used here. {error}",
        fix=f"On this end: Let {name} give configs that this server could have itself.",
    )


def unfit_ech_keys(error: ConfigurationError) -> ProtocolError:
    """Return the error for keys from a source that a server cannot use together."""
    name = "ech.find_keys()"
    return _failed(
        name,
        f"{name}: {error}",
        f"gave keys that cannot be used. {str(error).removesuffix('.')}",
        f"Let {name} give EchKey in a tuple or list, one with send_as_retry at least, or None for "
        "a server without Encrypted Client Hello.",
    )


def _failed(name: str, detail: str, words: str, fix: str) -> ProtocolError:
    fault = Fault.CALLBACK_FAILED
    return ProtocolError(
        fault,
        detail,
        sentence=f"{fault.sentence.removesuffix('.')}: {name} {words}.",
        fix=f"On this end: {fix}",
    )
