"""`python -m tests.schedules --kind compat --count 10000 --seed 7`: status 1 for a stuck thread."""

from __future__ import annotations

import argparse
import faulthandler
import random
import sys
import time

from tests.pki import Pki
from tests.schedules.compat import compat
from tests.schedules.native import native

KINDS = {"native": native, "compat": compat}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.schedules")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--kind", choices=KINDS, default="native")
    options = parser.parse_args()
    kind = KINDS[options.kind](Pki())
    began = time.monotonic()
    threads = 0
    for number in range(options.first, options.first + options.count):
        one = kind.schedule(number, options.seed)
        one.run()
        threads += len(one.calls)
        if one.stuck or one.failures:
            which = f"--kind {options.kind} --first {number} --seed {options.seed}"
            print(f"{which}: {', '.join(one.calls)}")
            print("stuck:", one.stuck, "failures:", one.failures)
            faulthandler.dump_traceback(all_threads=True)
            return 1
    print(
        f"{options.count} schedules over {len(kind.pairs)} pairs of calls, {threads} threads, "
        f"{time.monotonic() - began:.0f} s: none was stuck. Seed {options.seed}."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
