"""The observer of a key schedule: a callable that gets each of its steps.

A schedule without an observer pays one `is not None` for each step.
"""

from __future__ import annotations

from typing import Protocol


class KeyScheduleObserver(Protocol):
    """Note a step as it is taken."""

    def __call__(
        self,
        operation: str,
        output: str,
        inputs: tuple[str, ...],
        label: str,
        context: bytes,
        value: bytes,
    ) -> None:
        """One step.

        Args:
            operation: the function, as the RFC calls it.
            output: the RFC's name of what comes out.
            inputs: the names of the secrets that go in; "0" for zeros.
            label: as in the RFC, without its prefix.
            context: what else goes in, and is no secret.
            value: the output; a secret.
        """
        ...
