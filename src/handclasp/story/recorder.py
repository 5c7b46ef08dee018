"""A recorder whose trace people can look at: as a page, field by field, or to pass on.

It stands above `trace`, so that what the engine feeds need not know how it is told.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from handclasp.deferred import DeferredModule
from handclasp.private_files import write_private
from handclasp.trace.events import MessageSeen
from handclasp.trace.format import event_to_json
from handclasp.trace.recorder import EventRecorder

if TYPE_CHECKING:
    from handclasp.story import page
else:
    page = DeferredModule("handclasp.story.page")


class Recorder(EventRecorder):
    """A `Trace` that records one connection: the `trace=` of the call that opens it.

    Handshake messages are kept whole. Of records their sizes are kept, and what sealing and opening
    them cost. Of the first protected record of each direction that holds handshake messages both
    forms are kept, as it was on the wire and what was inside, to look at one beside the other; of
    one that could not be opened, what was on the wire.
    Application data are not kept, in neither form, unless secrets are: then those of the first
    record of each direction.

    >>> recorder = Recorder()
    >>> handclasp.connect("example.com", 443, trace=recorder).close()
    >>> recorder.save_html("handshake.html", "example.com")
    >>> recorder.events[0].role
    'client'

    Args:
        record_secrets: also keep the connection's secrets, and that first record of application
            data. Whoever has such a trace can read and forge the conversation.
        record_wire: also keep the bytes of the transport as they were, application data and all,
            so that `to_pcapng` can make a capture of them.
        clock: nanoseconds from anywhere that never goes back.
        wall_clock: nanoseconds since 1970 (UTC), asked once.
        limit: the most events to keep; what comes later is counted in `dropped`, so that a long
            conversation does not grow without end.
        wire_limit: the most bytes of the transport to keep; from the piece on that does not fit
            in, none is kept and each counts as dropped.

    Raises:
        ConfigurationError: a switch that is neither True nor False, a clock that cannot be called
            or does not give a whole number, or a limit that is none or negative.

    Attributes:
        events: what was noted, in order.
        dropped: how many events came after `limit`.
        began_at_ns: when the recorder was made, in nanoseconds since 1970 (UTC); events count
            from there.
    """

    def to_json(self, *, fields: bool = False) -> str:
        """All of it as one JSON object, bytes in hexadecimal; docs/trace-format.md describes it.

        Args:
            fields: beside each message, also the tree of its fields, each with its bytes, its
                value in words and its section of an RFC. Reading back does not need it.
        """
        if not fields:
            return super().to_json()
        # Whoever only records need not wait for it to be imported.
        from handclasp.story.facts import facts_of
        from handclasp.story.fields import fields_of

        key_exchange = facts_of(self.events).key_exchange
        written = [event_to_json(event) for event in self.events]
        for event, values in zip(self.events, written, strict=True):
            if isinstance(event, MessageSeen):
                values["fields"] = fields_of(event.raw, event.epoch, key_exchange).to_json()
        return self._as_json(written)

    def to_html(
        self,
        title: str,
        describe: page.Describe | None = None,
        *,
        explanation: Mapping[str, Any] | None = None,
        earlier: Recorder | None = None,
    ) -> str:
        """All of it as one HTML page to look at, which needs no network and no other file.

        Args:
            title: what to call it, such as the host's name.
            describe: what to say of a certificate, given as DER:
                `handclasp.certificates.describe_certificate`, or a function of that form; without
                it only their sizes are told.
            explanation: every rule of the decision on the peer's certificates, in the form that
                `handclasp.certificates.Explanation.to_json` gives.
            earlier: another connection between the same two, to lay the secrets side by side.

        Raises:
            ConfigurationError: jinja2 is not installed; it comes with `handclasp[tools]`.
        """
        # Whoever only records need not wait for it to be imported, nor have jinja2.
        from handclasp.story.page import page_of

        before = earlier.events if earlier is not None else None
        return page_of(self.events, title, describe, explanation=explanation, earlier=before)

    def save_html(
        self,
        path: str | os.PathLike[str],
        title: str,
        describe: page.Describe | None = None,
        *,
        explanation: Mapping[str, Any] | None = None,
        earlier: Recorder | None = None,
    ) -> None:
        """Write `to_html`, with these arguments, into a file that only its owner may read.

        Raises:
            ConfigurationError: as `to_html` does.
            OSError: the file cannot be written.
        """
        page = self.to_html(title, describe, explanation=explanation, earlier=earlier)
        write_private(path, page.encode())

    def redacted(self, *, names: bool = False, addresses: bool = False) -> Recorder:
        """Another recorder, with what may be passed on.

        The values of all secrets are gone, and all application data; with `names` also server
        names, certificates and what they could be guessed from, and with `addresses` the IP
        addresses. `handclasp.story.redact` says exactly what.
        """
        from handclasp.story.redact import redacted

        events = redacted(self.events, names=names, addresses=addresses)
        return Recorder.from_events(events, self.began_at_ns, self.dropped)
