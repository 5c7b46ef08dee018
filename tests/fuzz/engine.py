"""One target under libFuzzer, in a process of its own: `python -m tests.fuzz.engine NAME ...`.

What follows the name goes to libFuzzer as it is: folders of inputs, and its options. Coverage is
of the library alone.
"""

from __future__ import annotations

import sys

import atheris


def main() -> None:
    name = sys.argv[1]
    with atheris.instrument_imports(include=["handclasp"]):
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]
    next(iter(target.seeds()))  # What is made once is made before the clock runs.
    atheris.Setup([f"handclasp {name}", *sys.argv[2:]], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
