"""`python -m tests.schedules --count 10000 --seed 7`: status 1 where a thread was stuck."""

from __future__ import annotations

import argparse
import faulthandler
import random
import sys
import time

from tests.pki import Pki
from tests.schedules.schedule import PAIRS, schedule

from handclasp import ClientConfig, ServerConfig


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.schedules")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    options = parser.parse_args()
    pki = Pki()
    server = ServerConfig(credentials=pki.server("localhost"))
    client = ClientConfig(trust=pki.trust)
    began = time.monotonic()
    threads = 0
    for number in range(options.first, options.first + options.count):
        one = schedule(number, options.seed)
        one.run(client, server)
        threads += len(one._calls)
        if one.stuck or one.failures:
            print(f"--first {number} --seed {options.seed}: {', '.join(one._calls)}")
            print("stuck:", one.stuck, "failures:", one.failures)
            faulthandler.dump_traceback(all_threads=True)
            return 1
    print(
        f"{options.count} schedules over {len(PAIRS)} pairs of calls, {threads} threads, "
        f"{time.monotonic() - began:.0f} s: none was stuck. Seed {options.seed}."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
