"""What a target of the fuzzer is, and how a string of bytes becomes decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One thing to attack.

    Attributes:
        name: for people and for the folder of its corpus.
        run: takes any bytes; raises only where the library does what it must not.
        seeds: inputs that get deep, made from real conversations.
        weight: its share of the time, against 1 of most others.
    """

    name: str
    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    weight: int = 1


class Choices:
    """Reads decisions from a string of bytes; at its end every decision is 0."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def more(self) -> bool:
        return self._at < len(self._data)

    def byte(self) -> int:
        return int.from_bytes(self.take(1), "big")

    def number(self) -> int:
        """0 to 65535."""
        return int.from_bytes(self.take(2), "big")

    def take(self, size: int) -> bytes:
        """Up to so many bytes."""
        taken = self._data[self._at : self._at + size]
        self._at += len(taken)
        return taken

    def rest(self) -> bytes:
        return self.take(len(self._data))
