"""One server of a fleet: it sends back what it gets, and shares its sessions through Redis.

Each server of the fleet runs this program, with the same wrapping key. The URL of Redis, which
holds a password, is in the environment: HANDCLASP_REDIS.
"""

import argparse
import asyncio
import logging
import os
import signal
from pathlib import Path

from handclasp import Credentials, ServerConfig, TruncationError, aio
from handclasp.redis import AsyncRedisReplayFilter, RedisTicketKeys

log = logging.getLogger("fleet")


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Replace this by your protocol."""
    info = writer.get_extra_info("handclasp")
    log.info("%s, resumed: %s, early data: %s", info.version, info.resumed, info.early_data_status)
    # The reader does not return early data. Take only requests as such that do no harm if repeated.
    data = writer.get_extra_info("early_data")
    try:
        while data or (data := await reader.read(65536)):
            writer.write(data)
            await writer.drain()
            data = b""
    except OSError as error:  # This client has gone, and others go on.
        log.info("%s", error)
    finally:
        writer.close()


def handshake_failed(error: Exception, transport: asyncio.BaseTransport) -> None:
    # A balancer's check of health connects and leaves every few seconds.
    level = logging.DEBUG if isinstance(error, TruncationError) else logging.WARNING
    log.log(level, "handshake with %s: %s", transport.get_extra_info("peername"), error)


async def serve(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    serving: set[asyncio.Task[None]] = set()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        task.add_done_callback(serving.discard)
        await echo(reader, writer)

    url = os.environ["HANDCLASP_REDIS"]
    keys = RedisTicketKeys(url, wrapping_key=options.wrapping_key.read_bytes(), on_error=log.error)
    guard = AsyncRedisReplayFilter(url, on_error=log.error)
    try:
        await asyncio.to_thread(keys.ready)
        log.info("keys: %s", keys.status)
        config = ServerConfig(
            credentials=Credentials.auto_reload(options.cert, options.key, on_error=log.error),
            ticket_keys=keys,
            max_early_data=16384,  # Leave out both lines, and the guard, if you want no 0-RTT.
            replay_guard=guard,
        )
        server = await aio.start_server(
            serve_one,
            options.host,
            options.port,
            config=config,
            on_handshake_error=handshake_failed,
            proxy_protocol=options.proxy_protocol_from or False,
        )
        log.info("listening on %s", [sock.getsockname() for sock in server.sockets])
        await stop.wait()
        log.info("stopping; %d connections have %g seconds", len(serving), options.grace)
        server.close()
        if serving:
            await asyncio.wait(serving, timeout=options.grace)
        server.abort_clients()
        await server.wait_closed()
    finally:
        await guard.aclose()
        await asyncio.to_thread(keys.close)
    log.info("stopped")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8443)
    parser.add_argument("--cert", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--wrapping-key", type=Path, required=True, help="a file of 32 bytes")
    parser.add_argument("--grace", type=float, default=60.0, help="seconds for open connections")
    parser.add_argument("--proxy-protocol-from", nargs="+", metavar="NETWORK")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
