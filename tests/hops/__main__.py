"""`python -m tests.hops`: print what a handshake runs, and the way of a ClientHello.

Frames and bytecodes are those of both ends of one whole handshake, tickets included, when all that
is kept between handshakes is there already.
"""

from __future__ import annotations

import argparse
import sys

from tests.hops.counts import SCENARIOS, Meeting, bytecodes, frames, most_called
from tests.hops.way import hops_of_a_client_hello, turns_back


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hops", description=__doc__)
    parser.add_argument("--top", type=int, default=0, help="print the functions called most")
    parser.add_argument("--only", choices=list(SCENARIOS), help="count one handshake only")
    options = parser.parse_args()
    print(f"{'handshake':20} {'frames':>8} {'bytecodes':>10}")
    for name in [options.only] if options.only else SCENARIOS:
        meeting = Meeting(name)
        print(f"{name:20} {frames(meeting):8,} {bytecodes(meeting):10,}")
        for function, count in most_called(meeting)[: options.top]:
            print(f"    {count:4}  {function}")
    hops = hops_of_a_client_hello()
    print("\nThe way of a ClientHello, from receive_data to the server's first line:")
    for hop in hops:
        print(f"{'  ' * hop.depth}{hop.function}  ({hop.file})")
    files = {hop.file for hop in hops}
    print(f"{len(hops)} hops in {len(files)} files, {turns_back(hops)} turns back up")
    return 0


if __name__ == "__main__":
    sys.exit(main())
