"""The advice of a profile, by program, as far as it concerns the server that was scanned."""

from __future__ import annotations

from collections.abc import Mapping

_SERVES: dict[str, tuple[str | None, ...]] = {
    "nginx": (None, "smtp", "imap", "pop3"),
    "Apache": (None,),
    "haproxy": (None,),
    "Postfix": ("smtp",),
    "Dovecot": ("imap", "pop3"),
}
"""The programs with the protocols that they serve; None is HTTP.

Whatever else an advice names concerns every server: Python, the files to make, the authority.
"""


def advice_for(
    advice: Mapping[str, Mapping[str, str]], kind: str, variant: str, protocol: str | None
) -> dict[str, str]:
    """Return what to write, by program, for one kind of finding.

    Args:
        advice: by kind of finding, or by kind and variant ("suite TLSv1.3"), which goes before.
        protocol: `Report.protocol` of the server.

    >>> from handclasp.scan.advice import advice_for
    >>> advice = {"suite": {"nginx": "one"}, "suite TLSv1.3": {"nginx": "two", "Postfix": "three"}}
    >>> advice_for(advice, "suite", "TLSv1.2", None), advice_for(advice, "suite", "TLSv1.3", "smtp")
    ({'nginx': 'one'}, {'nginx': 'two', 'Postfix': 'three'})
    """
    texts = advice.get(f"{kind} {variant}", advice.get(kind, {}))
    return {
        program: text
        for program, text in texts.items()
        if protocol in _SERVES.get(program, (protocol,))
    }
