"""The recorder with output for people: a page, the fields of messages, a redacted copy.

It is above `trace`: what connections feed does not depend on how it is shown.
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

    Handshake messages are kept whole. For records, the sizes are kept, and the time that sealing
    and opening took. For the first protected record with handshake messages in each direction, the
    bytes on the wire and the content are kept, to compare them; if it could not be opened, only the
    former. Application data are not kept in either form, unless secrets are: then those of the
    first record in each direction.

    >>> recorder = Recorder()
    >>> handclasp.connect("example.com", 443, trace=recorder).close()
    >>> recorder.save_html("handshake.html", "example.com")
    >>> recorder.events[0].role
    'client'

    Args:
        record_secrets: also keep the connection's secrets, and the first record of application
            data. Anybody with such a trace can read and forge the data of the connection.
        record_wire: also keep all bytes of the transport, including application data, so that
            `to_pcapng` can make a capture of them.
        clock: returns nanoseconds from any start, which never decrease.
        wall_clock: returns nanoseconds since 1970 (UTC); it is called once.
        limit: the largest number of events to keep, which bounds the memory of long connections;
            later ones are counted in `dropped`.
        wire_limit: the largest number of bytes of the transport to keep; the first piece that
            exceeds it and all later ones are dropped and counted.

    Raises:
        ConfigurationError: a switch that is neither True nor False, a clock that cannot be called
            or does not give a whole number, or a limit that is none or negative.

    Attributes:
        events: the recorded events, in order.
        dropped: the number of events beyond `limit`.
        began_at_ns: the time of its creation, in nanoseconds since 1970 (UTC); the times of events
            are relative to it.
    """

    def to_json(self, *, fields: bool = False) -> str:
        """Return the trace as one JSON object, bytes in hexadecimal; see docs/trace-format.md.

        Args:
            fields: also include the tree of fields of each message, each with its bytes, its value
                in words and its section of an RFC. `from_json` does not need it.
        """
        if not fields:
            return super().to_json()
        # Programs that only record do not import this.
        from handclasp.story.facts import facts_of
        from handclasp.story.fields import fields_of

        key_exchange = facts_of(self.events).key_exchange
        written = [event_to_json(event) for event in self.events]
        for event, values in zip(self.events, written, strict=True):
            if isinstance(event, MessageSeen):
                values["fields"] = fields_of(event.raw, event.epoch, key_exchange).to_json()
        return self._as_json(written)

    def to_text(self, *, width: int = 80, detail: int = 0) -> str:
        """Return the handshake as a sequence diagram, with one plain sentence for each message.

        It is what `handclasp connect` prints, and ends with the reason for a failure.

        >>> recorder = Recorder()
        >>> handclasp.connect("example.com", 443, trace=recorder).close()
        >>> print(recorder.to_text().splitlines()[0])
        client                                                                    server

        Args:
            width: the columns to fill, at least 60.
            detail: 0 for the diagram; 1 also for the fields of each message, and after the diagram
                all choices, all steps of the key schedule, and the costs; 2 also for the bytes.
        """
        # Programs that only record do not import this.
        from handclasp.story.narrate import narrate

        return narrate(self.events, width, detail)

    def to_html(
        self,
        title: str,
        describe: page.Describe | None = None,
        *,
        explanation: Mapping[str, Any] | None = None,
        earlier: Recorder | None = None,
    ) -> str:
        """Return the trace as one HTML page, which needs no network and no other file.

        Args:
            title: the title, such as the host's name.
            describe: returns the description of a certificate in DER:
                `handclasp.certificates.describe_certificate`, or a function of that form; without
                it, only sizes are shown.
            explanation: every rule of the decision on the peer's certificates, in the form that
                `handclasp.certificates.Explanation.to_json` gives.
            earlier: another connection between the same two, to compare the secrets.

        Raises:
            ConfigurationError: jinja2 is not installed.
        """
        # Programs that only record neither import this nor need jinja2.
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
        """Return another recorder, without private content.

        All secrets and application data are removed; with `names` also server names, certificates
        and values from which they could be guessed, and with `addresses` the IP addresses.
        `handclasp.story.redact` has the details.
        """
        from handclasp.story.redact import redacted

        events = redacted(self.events, names=names, addresses=addresses)
        return Recorder.from_events(events, self.began_at_ns, self.dropped)
