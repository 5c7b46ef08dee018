"""`python -m tests.soak --connections 1000000 --seconds 3600`: until either is reached.

Against `handclasp serve --echo` and an asyncio server: clients that behave, reset, leave, babble,
close half, read and write slowly, directly and over a proxy that cuts and delays; meanwhile the
asyncio server holds thousands of idle connections. Told at the end, and making the status 1: a
good client that was not served, and memory, file descriptors, threads or tasks that are more than
after the first connections.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import ssl
import sys
import tempfile
import time
from pathlib import Path

from tests.pki import Pki, key_of_type, key_pem, pem_of
from tests.soak.servers import Server
from tests.soak.trouble import TroubleProxy
from tests.soak.visitors import WEIGHTS, Tally, Visit, visit_as

_OVER_THE_PROXY = 0.03
_WARM = 10_000
"""Connections after which a server has imported and cached what it ever will."""

_LEAK_KIB = 32 * 1024
"""How much more memory a server may hold at the end than when it was warm."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--connections", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--idle", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        chain, key, authority = certificate_files(Path(folder))
        servers = [Server(kind, chain, key) for kind in ("threads", "asyncio")]
        try:
            return asyncio.run(Soak(servers, authority, options).run())
        finally:
            for server in servers:
                server.stop()


def certificate_files(folder: Path) -> tuple[Path, Path, Path]:
    from cryptography import x509

    pki = Pki()
    chain, key, authority = (folder / name for name in ("chain.pem", "key.pem", "ca.pem"))
    certificates = [
        x509.load_der_x509_certificate(der) for der in pki.server("localhost").chain_der
    ]
    chain.write_bytes(pem_of(*certificates))
    key.write_bytes(key_pem(key_of_type("ecdsa-p256")))
    key.chmod(0o600)  # Otherwise the first line of the server is a warning.
    authority.write_bytes(pki.ca_pem)
    return chain, key, authority


class Soak:
    """The whole run."""

    def __init__(self, servers: list[Server], authority: Path, options: argparse.Namespace) -> None:
        self._servers = servers
        self._options = options
        self._chance = random.Random(options.seed)
        self._tally = Tally()
        self._contexts = [ssl.create_default_context(cafile=str(authority)) for _ in range(2)]
        self._contexts[1].maximum_version = ssl.TLSVersion.TLSv1_2
        self._idle: list[Visit] = []

    async def run(self) -> int:
        options = self._options
        proxies = [TroubleProxy(server.port, self._chance) for server in self._servers]
        self._proxied = [await proxy.start() for proxy in proxies]
        began = time.monotonic()
        ends = began + options.seconds
        warm_at = min(_WARM, options.connections // 3)
        await self._visit(warm_at // 2, ends)
        await self._hold(options.idle)
        await self._visit(warm_at, ends)
        warm = await self._quiet_cost()
        self._tell(began, "warm", warm)
        while self._done < options.connections and time.monotonic() < ends:
            await self._visit(min(self._done + _WARM, options.connections), ends)
            self._tell(began, "now", [server.cost() for server in self._servers])
        held = await self._let_go()
        cold = await self._quiet_cost()
        self._tell(began, "at the end", cold)
        for proxy in proxies:
            await proxy.close()
        return self._verdict(warm, cold, held)

    @property
    def _done(self) -> int:
        return self._tally.visits.total()

    async def _visit(self, until: int, ends: float) -> None:
        started = self._done

        async def worker() -> None:
            nonlocal started
            while started < until and time.monotonic() < ends:
                started += 1
                await self._one()

        await asyncio.gather(*[worker() for _ in range(self._options.at_once)])

    async def _one(self) -> None:
        chance = self._chance
        (name,) = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))
        number = chance.randrange(len(self._servers))
        port = self._servers[number].port
        if chance.random() < _OVER_THE_PROXY:
            port = self._proxied[number]
        context = self._contexts[chance.random() < 0.2]
        await visit_as(name, context, chance, port, self._tally)

    async def _hold(self, count: int) -> None:
        """Connections that are complete and say nothing."""
        (server,) = [each for each in self._servers if each.kind == "asyncio"]
        for _ in range(count):
            visit = Visit(self._contexts[0], self._chance)
            await visit.connect(server.port)
            await visit.handshake()
            self._idle.append(visit)

    async def _let_go(self) -> int:
        """Each idle connection still works; gives how many."""
        working = 0
        for visit in self._idle:
            try:
                await visit.write(b"still here")
                working += await visit.read(10) == b"still here"
                await visit.close()
            except OSError as error:
                self._tally.failures.append(f"idle: {type(error).__name__}: {error}")
            visit.sock.close()
        return working

    async def _quiet_cost(self) -> list[dict[str, int]]:
        """What the servers hold when they have had the time to notice that everybody is gone."""
        before: list[dict[str, int]] = []
        for _ in range(120):
            now = [server.cost() for server in self._servers]
            if now == before:
                break
            before = now
            await asyncio.sleep(0.5)
        return before

    def _tell(self, began: float, what: str, costs: list[dict[str, int]]) -> None:
        seconds = time.monotonic() - began
        moved = f"{self._tally.transfers} transfers, {self._tally.lost} bytes lost"
        print(f"{seconds:7.0f} s {self._done:8} connections, {moved}, {what}:", flush=True)
        for server, cost in zip(self._servers, costs, strict=True):
            words = ", ".join(f"{name} {value}" for name, value in cost.items())
            print(f"          {server.kind:8} {words}", flush=True)

    def _verdict(self, warm: list[dict[str, int]], cold: list[dict[str, int]], held: int) -> int:
        problems = list(self._tally.failures)
        if not all(server.alive for server in self._servers):
            problems.append("a server has ended")
        for server, before, after in zip(self._servers, warm, cold, strict=True):
            for name, value in after.items():
                room = _LEAK_KIB if name == "rss" else 2
                if value > before[name] + room:
                    problems.append(f"{server.kind}: {name} {before[name]} -> {value}")
        for name, count in sorted(self._tally.visits.items()):
            print(f"{count:9}  {name}")
        print(f"{held:9}  idle throughout, and working at the end")
        tally = self._tally
        print(f"{tally.transfers} transfers, {tally.moved} bytes moved, {tally.lost} bytes lost")
        print(f"{self._done} connections, seed {self._options.seed}")
        for problem in problems[:20]:
            print(f"PROBLEM: {problem}")
        if not problems:
            print("Every good client was served, and nothing was left behind.")
        return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
