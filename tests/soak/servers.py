"""The servers under load, each in a process of its own, and what they cost.

`threads` is `handclasp serve --echo` as anybody starts it. `asyncio` is an echo on
`handclasp.aio.start_server`, which tells its tasks and connections when asked.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import handclasp
from handclasp import Credentials, ServerConfig


class Server:
    """One server process. `cost` says what it holds at the moment."""

    def __init__(self, kind: str, chain: Path, key: Path) -> None:
        self.kind = kind
        if kind == "threads":
            words = ["handclasp", "serve", "--echo", "--port", "0"]
            words += ["--cert", str(chain), "--key", str(key)]
        else:
            words = ["tests.soak.servers", str(chain), str(key)]
        # The reports of `serve`, a line for each connection, are read by nobody.
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-m", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        self.port = int(re.findall(r":(\d+)", line)[0])
        if kind == "threads":
            self._drain = subprocess.Popen(
                ["cat"], stdin=self._process.stdout, stdout=subprocess.DEVNULL
            )

    def cost(self) -> dict[str, int]:
        """Resident memory in KiB, file descriptors, threads; of asyncio, tasks and connections."""
        found = {"rss": 0, "threads": 0}
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in ("VmRSS", "Threads"):
                found["rss" if name == "VmRSS" else "threads"] = int(value.split()[0])
        found["fds"] = len(os.listdir(f"/proc/{self._process.pid}/fd"))
        if self.kind == "asyncio":
            found |= self._asked()
        return found

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        if self.kind == "threads":
            self._drain.wait(10)

    def _asked(self) -> dict[str, int]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write("cost\n")
        stdin.flush()
        answer: dict[str, int] = json.loads(stdout.readline())
        return answer


# The asyncio server, in its process


async def _serve(chain: str, key: str) -> None:
    config = ServerConfig(
        credentials=[Credentials.load(chain, key)], handshake_timeout=20.0, max_early_data=0
    )
    open_now = 0

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now
        open_now += 1
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            open_now -= 1
            writer.close()

    server = await handclasp.aio.start_server(echo, "127.0.0.1", 0, config=config, backlog=1024)
    print(f"Listening on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    loop = asyncio.get_running_loop()

    def answer() -> None:
        if not sys.stdin.readline():
            loop.stop()
            return
        gc.collect()
        told: dict[str, Any] = {"tasks": len(asyncio.all_tasks(loop)), "connections": open_now}
        print(json.dumps(told), flush=True)

    loop.add_reader(sys.stdin, answer)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt, RuntimeError):
        asyncio.run(_serve(sys.argv[1], sys.argv[2]))
