"""How long our server takes over good and bad ciphertexts: the figures of docs/decisions/0014.

`python -m tests.adversarial.key_transport_timing`. It is no test, as Python cannot promise constant
time, and a busy machine shows anything.
"""

from __future__ import annotations

import argparse
import gc
import random
import statistics
import time

from tests.adversarial.test_key_transport12 import BAD, GOOD, STEPS, Server
from tests.pki import Pki

ROUNDS = 400
KINDS = {
    "good": GOOD,
    **{
        name: BAD[name]
        for name in (
            "starts with 00 01",
            "no padding at all",
            "zero too early",
            "secret of 0 bytes",
            "secret of 47 bytes",
            "secret of 245 bytes",
            "TLS 1.0",
            "random",
        )
    },
}


def main() -> None:
    name = "python -m tests.adversarial.key_transport_timing"
    argparse.ArgumentParser(prog=name, description=__doc__).parse_args()
    server = Server(Pki())
    taken: dict[str, list[float]] = {name: [] for name in KINDS}
    gc.disable()
    for _ in range(ROUNDS):
        for name in random.sample(list(KINDS), len(KINDS)):
            encounter = server.meet(KINDS[name])
            encounter.peer.act(STEPS[:1])
            data = encounter.peer.take()
            start = time.perf_counter()
            encounter.connection.receive_data(data)
            taken[name].append(time.perf_counter() - start)
        gc.collect()
    print(f"{ROUNDS} of each in random order, microseconds from ClientKeyExchange to silence")
    for name, times in taken.items():
        tenth = statistics.quantiles(times, n=10)[0]
        print(f"{name:20} median {statistics.median(times) * 1e6:7.1f}  tenth {tenth * 1e6:7.1f}")


if __name__ == "__main__":
    main()
