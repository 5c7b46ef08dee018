"""`python -m tests.exploration`: every message at every pause, of all setups there are.

Says what differs from the graphs of the RFCs, and writes docs/states.md where nothing does.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.exploration.explore import deliver, messages, pauses
from tests.exploration.picture import page
from tests.exploration.rfc import GRAPHS

from handclasp.iana import AlertDescription

PAGE = Path(__file__).parents[2] / "docs" / "states.md"


def explore() -> int:
    """How many messages met with another answer than the RFC's; all edges must be reached."""
    count = wrong = places = 0
    reached = set[tuple[str, str, str, str]]()
    for pause in pauses():
        places += 1
        allowed = GRAPHS[pause.role, pause.version][pause.state]
        for message in messages(pause.version):
            count += 1
            found = deliver(pause, message)
            if found.accepted:
                reached.add((pause.role, pause.version, pause.state, message))
            good_alert = found.accepted or found.alert == AlertDescription.UNEXPECTED_MESSAGE
            if found.accepted is not (message in allowed) or not good_alert:
                wrong += 1
                print(f"{pause}: {message}: {found}")
    edges = sum(len(messages) for graph in GRAPHS.values() for messages in graph.values())
    print(
        f"{count} messages at {places} pauses: {wrong} not as the RFCs have it; "
        f"{len(reached)} of {edges} edges reached"
    )
    return wrong + edges - len(reached)


def main() -> int:
    argparse.ArgumentParser(prog="python -m tests.exploration", description=__doc__).parse_args()
    if explore():
        return 1
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
