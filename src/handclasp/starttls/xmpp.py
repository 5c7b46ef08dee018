"""STARTTLS in XMPP (RFC 6120 section 5)."""

from __future__ import annotations

import re
from html import escape

from handclasp.starttls.dialogue import DialogueError, Script, Talk, shown

_OFFER = re.compile(rb"<starttls\b[^>]*urn:ietf:params:xml:ns:xmpp-tls")
_ANSWER = re.compile(rb"\s*<(?:\w{1,32}:)?(proceed|failure)\b[^>]*>\Z")


def xmpp(talk: Talk, name: str) -> Script:
    """Begin TLS in XMPP.

    The answers are searched as text: they come from anybody, and no more is asked of them than
    whether they hold the element.
    """
    talk.send(
        b"<?xml version='1.0'?><stream:stream to=%s xmlns='jabber:client' "
        b"xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
        % f'"{escape(name)}"'.encode("utf-8", "replace")
    )
    features = yield from talk.until(b"</stream:features>", b"</stream:stream>", b"features/>")
    if b"<stream:error" in features:
        raise DialogueError.refused(features[features.index(b"<stream:error") :])
    if b"<stream:stream" not in features:
        raise DialogueError.broken(f"it said {shown(features)}")
    if not _OFFER.search(features):
        raise DialogueError.not_offered("its features have no starttls")
    talk.send(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    answer = yield from talk.until(b">")
    found = _ANSWER.match(answer)
    if found is None:
        raise DialogueError.broken(f"it said {shown(answer)}")
    if found[1] == b"failure":
        raise DialogueError.refused(answer)
    if not answer.endswith(b"/>"):
        yield from talk.until(b"proceed>")
