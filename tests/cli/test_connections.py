"""Which connections belong to which browser, and who hears of them when."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime

from tests.vectors.client_hellos import client_hello

from handclasp import ConnectionInfo, Recorder
from handclasp.cli.connections import MOST_REMEMBERED, Connection, Connections, rows_of
from handclasp.serving.visits import Visit

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
INFO = ConnectionInfo(
    "TLSv1.3", "TLS_AES_128_GCM_SHA256", "X25519", "ed25519", None, "localhost", False, "none",
    False, (), False, (),
)  # fmt: skip


def recorded(hello: str = "chromium-156") -> Recorder:
    recorder = Recorder()
    recorder.message("received", "plaintext", 1, client_hello(hello))
    return recorder


def visit(port: int, hello: str = "chromium-156", *, error: OSError | None = None) -> Visit:
    info = None if error is not None else INFO
    return Visit("127.0.0.1", port, info, error, recorded(hello))


def opened(connections: Connections, port: int, hello: str = "chromium-156") -> Connection:
    connections.add(visit(port, hello), NOW)
    found = connections.at(("127.0.0.1", port))
    assert found is not None
    return found


def numbers(connections: Connections, browser: str) -> list[int]:
    return [each.number for each in connections.of(browser)]


def test_a_browser_is_given_a_cookie_and_known_by_it() -> None:
    connections = Connections()
    cookie = connections.asked(opened(connections, 1), "/", "")
    assert len(cookie) > 20
    again = opened(connections, 2)
    assert connections.asked(again, "/", cookie) == cookie
    assert numbers(connections, cookie) == [2, 1]
    assert connections.before(again) is connections.of(cookie)[1]


def test_a_cookie_that_was_never_given_is_not_taken_over() -> None:
    connections = Connections()
    assert connections.asked(opened(connections, 1), "/", "chosen by me") != "chosen by me"


def test_browsers_see_their_own_connections_alone() -> None:
    connections = Connections()
    one = connections.asked(opened(connections, 1), "/", "")
    other = connections.asked(opened(connections, 2, "firefox-153"), "/", "")
    assert (numbers(connections, one), numbers(connections, other)) == ([1], [2])
    assert numbers(connections, "") == []


def test_failures_are_shown_to_browsers_that_offer_the_same_suites() -> None:
    connections = Connections()
    connections.add(visit(1, "chromium-156-resumed", error=OSError("refused")), NOW)
    chromium = connections.asked(opened(connections, 2), "/", "")
    firefox = connections.asked(opened(connections, 3, "firefox-153"), "/", "")
    assert numbers(connections, chromium) == [2, 1]
    assert numbers(connections, firefox) == [3]


def test_what_ended_is_no_longer_open() -> None:
    connections = Connections()
    connection = opened(connections, 1)
    connections.ended(("127.0.0.1", 1))
    assert not connection.is_open
    assert connections.at(("127.0.0.1", 1)) is None


def test_memory_is_bounded() -> None:
    connections = Connections()
    cookie = connections.asked(opened(connections, 1), "/", "")
    for port in range(2, MOST_REMEMBERED + 10):
        connections.asked(opened(connections, port), "/", cookie)
        connections.ended(("127.0.0.1", port))
    assert len(connections.of(cookie)) == MOST_REMEMBERED
    busy = opened(connections, 9_999)
    for _ in range(100):
        connections.asked(busy, "/" * 60_000, cookie)
    assert sum(map(len, busy.paths)) < 2_000


def test_who_waits_hears_of_each_change_at_once() -> None:
    async def main() -> None:
        connections = Connections()
        before = await connections.changes.wait(-1, 0)
        assert await connections.changes.wait(before, 0) == before
        waiting = asyncio.create_task(connections.changes.wait(before, 30))
        await asyncio.sleep(0)
        # Threads of the demo may add one, too.
        adding = threading.Thread(target=opened, args=(connections, 1))
        adding.start()
        assert await asyncio.wait_for(waiting, 10) == before + 1
        adding.join(10)

    asyncio.run(main())


def test_the_end_wakes_all_who_wait() -> None:
    async def main() -> None:
        connections = Connections()
        waiting = asyncio.create_task(
            connections.changes.wait(await connections.changes.wait(-1, 0), 30)
        )
        await asyncio.sleep(0)
        threading.Thread(target=connections.changes.end).start()
        await asyncio.wait_for(waiting, 10)
        assert connections.changes.is_over

    asyncio.run(main())


def test_rows_say_what_became_of_each() -> None:
    connections = Connections()
    connections.add(visit(1, error=OSError("no luck")), NOW)
    full = opened(connections, 2)
    cookie = connections.asked(full, "/", "")
    back = Visit("127.0.0.1", 3, replace(INFO, resumed=True), None, recorded())
    connections.add(back, NOW)
    resumed = connections.at(("127.0.0.1", 3))
    assert resumed is not None
    connections.asked(resumed, "/events", cookie)
    rows = rows_of(connections.of(cookie), full)
    assert [row["kind"] for row in rows] == ["resumed", "full", "failed"]
    assert [row["this"] for row in rows] == [False, True, False]
    assert [row["paths"] for row in rows] == ["/events", "/", "-"]
    assert rows[0]["outcome"] == "came back with a ticket"
    assert rows[1]["detail"] == "TLSv1.3, TLS_AES_128_GCM_SHA256, X25519"
    assert rows[2]["detail"] == "no luck"
    assert {row["at"] for row in rows} == {"03:04:05"}
    assert rows[1]["link"] == "/connections/2"
