"""The result of an observed handshake, as far as the evidence goes."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import Literal

from handclasp.values import dataclass

Outcome = Literal["complete", "seems_complete", "failed", "unknown"]


@dataclass(slots=True)
class Seen:
    """The evidence from one end.

    Attributes:
        finished: its Finished was read.
        may_have_finished: its bytes under unknown keys must include a Finished.
        is_lost: it could not be followed to its end.
        missing: its bytes that are not in the capture.
        left_out: its bytes that are missing at its end, of which there is a packet after them that
            nobody acknowledged.
        is_captured: whether there are any packets of it.
        went_on: after the other end may have finished, it sent more than an alert.
        was_short: after that, it sent something as short as an alert.
        is_obscure: it is unknown which of its bytes are early data.
        step: the greatest common divisor of the sizes of its encrypted records, without full ones.
        weighed: the number of these records.
    """

    finished: bool = False
    may_have_finished: bool = False
    is_lost: bool = False
    missing: int = 0
    left_out: int = 0
    is_captured: bool = True
    went_on: bool = False
    was_short: bool = False
    is_obscure: bool = False
    step: int = 0
    weighed: int = 0

    def weigh(self, size: int, *, is_full: bool) -> None:
        """Note the size of an encrypted record: content, type and padding, in bytes."""
        if not is_full:
            self.step, self.weighed = gcd(self.step, size), self.weighed + 1

    @property
    def is_padded(self) -> bool:
        """Whether its encrypted records seem to be padded to a multiple, so that their sizes show
        nothing.
        """
        if self.weighed == 1:
            return self.step % _USUAL_MULTIPLE == 0
        return self.weighed > 1 and self.step >= _LEAST_MULTIPLE

    @property
    def is_done(self) -> bool:
        """Whether it finished, as far as is visible."""
        return self.finished or self.may_have_finished

    @property
    def is_whole(self) -> bool:
        """Whether no evidence of it is missing."""
        return self.is_captured and not (self.is_lost or self.missing or self.left_out)


_LEAST_MULTIPLE, _USUAL_MULTIPLE = 16, 64
"""In bytes. That of a single record counts only if it is a round number."""


def verdict_of(
    client: Seen, server: Seen, version: str | None, *, has_failed: bool, file_is_cut: bool
) -> tuple[Outcome, str]:
    """Return the outcome, and a sentence or two about it.

    Args:
        client, server: the evidence from both.
        version: the negotiated version; None if it is unknown.
        has_failed: whether there is evidence that the handshake failed.
        file_is_cut: whether the file could not be read to its end.
    """
    if client.finished and server.finished:
        return "complete", "The handshake was completed: both ends were seen to finish."
    if has_failed:
        return "failed", "The handshake was not completed."
    if client.is_done and server.is_done:
        return _without_keys(client, server, version)
    if client.is_obscure and client.is_whole and server.is_whole:
        return "unknown", (
            "The result of the handshake cannot be seen without the keys: the client offers "
            "early data, which looks like its answer to the server's messages."
        )
    if client.missing or server.missing:
        missing = client.missing + server.missing
        return "unknown", (
            f"Whether the handshake was completed is unknown: {missing:,} bytes are missing "
            "in the capture."
        )
    if not (client.is_captured and server.is_captured):
        absent = "server" if client.is_captured else "client"
        return "unknown", (
            f"No packets of the {absent} are in the capture, so the result of the handshake "
            "is unknown."
        )
    if client.is_lost or server.is_lost or client.left_out or server.left_out:
        return "unknown", (
            "Whether the handshake was completed is unknown: its bytes could not be followed "
            "to their end."
        )
    where = "The file breaks off here" if file_is_cut else "The capture ends here"
    return "unknown", (f"{where}, before the handshake is complete. Its result is unknown.")


_UNSEEN = "Whether the handshake was completed cannot be seen without the keys"


def _without_keys(client: Seen, server: Seen, version: str | None) -> tuple[Outcome, str]:
    if version is not None and not version.startswith("TLSv1.3"):
        return "seems_complete", (
            "As far as can be seen without the keys, the handshake was completed: both ends sent "
            "a protected handshake message after their ChangeCipherSpec, which is Finished."
        )
    is_answered = server.was_short or server.went_on
    is_proof = server.went_on and not server.is_padded
    padded = "client" if client.is_padded and not is_proof else "server"
    if padded == "client" or (server.is_padded and is_answered):
        return "unknown", (
            f"{_UNSEEN}: the sizes of what the {padded} protects are all multiples of one number, "
            "as padding makes them, so that an alert looks like anything else."
        )
    if server.was_short and not server.went_on:
        return "unknown", (
            f"{_UNSEEN}: both ends came as far as their Finished, but what the server said after "
            "that is as short as an alert, which may be a refusal or the end of a connection that "
            "went well."
        )
    if not (server.went_on or server.is_whole):
        return "unknown", (
            f"{_UNSEEN}: both ends came as far as their Finished, but what the server said after "
            "that, which may be a refusal, is not in the capture."
        )
    return "seems_complete", (
        "As far as can be seen without the keys, the handshake was completed: the client "
        "answered what the server had said under its keys with more than an alert, and "
        + ("the two went on." if server.went_on else "the server did not object.")
    )


PACKETS_CUT_OFF = (
    "Packets were cut off when they were captured (a snap length): tcpdump -s 0 keeps them whole."
)


def gap_sentences(seen: Sequence[tuple[str, Seen]], *, is_cut: bool) -> list[str]:
    """Return what is missing in a capture, a sentence for each end."""
    told = [
        f"What the {role} said is not known: the capture has packets of the other end alone."
        for role, each in seen
        if not each.is_captured
    ]
    gaps = [
        f"{each.missing:,} bytes that the {role} said are not in the capture. What it says after "
        "them is not read."
        for role, each in seen
        if each.missing
    ]
    if gaps and is_cut:
        gaps.append(PACKETS_CUT_OFF)
    late = [
        f"Packets of the {role} show that about {each.left_out:,} bytes of it, perhaps an alert, "
        "are missing at the end of the capture. The other end did not acknowledge them."
        for role, each in seen
        if each.left_out
    ]
    return [*told, *gaps, *late]
