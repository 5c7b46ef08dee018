"""Firefox with somebody at the mouse, through WebDriver BiDi, which it speaks by itself."""

from __future__ import annotations

import itertools
import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from tests.browser.databases import trust_database
from tests.browser.test_firefox import SETTINGS
from tests.children import child
from tests.required import need_tool

websocket = pytest.importorskip("websocket")

WAIT_SECONDS = 20


class Firefox:
    """A browser that is looked at and operated."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._say("session.new", capabilities={})
        (context,) = self._say("browsingContext.getTree")["contexts"]
        self._context = context["context"]

    def open(self, url: str) -> None:
        self._say("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def value(self, expression: str) -> Any:
        """Of an expression that gives text, a number or a truth value."""
        answer = self._say(
            "script.evaluate",
            expression=f"JSON.stringify({expression})",
            target={"context": self._context},
            awaitPromise=True,
        )
        assert answer["type"] == "success", answer
        return json.loads(answer["result"]["value"])

    def wait_for(self, condition: Callable[[], object], what: str) -> Any:
        deadline = monotonic() + WAIT_SECONDS
        while not (found := condition()):
            assert monotonic() < deadline, what
            sleep(0.05)
        return found

    def move_to(self, expression: str, *, click: bool = False) -> None:
        """Put the pointer on the element, in view, and maybe press its button."""
        self.value(f"{expression}.scrollIntoView({{block: 'center', behavior: 'instant'}}) ?? 0")
        x, y = self.value(
            f"(({{x, y, width, height}}) => [Math.round(x + Math.min(width, 40) / 2),"
            f"Math.round(y + Math.min(height, 20) / 2)])({expression}.getBoundingClientRect())"
        )
        actions: list[dict[str, Any]] = [{"type": "pointerMove", "x": x, "y": y}]
        if click:
            actions += [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        mouse = {"type": "pointer", "id": "mouse", "actions": actions}
        self._say("input.performActions", context=self._context, actions=[mouse])

    def resize(self, width: int, height: int) -> None:
        self._say(
            "browsingContext.setViewport",
            context=self._context,
            viewport={"width": width, "height": height},
        )

    def picture(self) -> bytes:
        """What is in view, as PNG."""
        answer = self._say("browsingContext.captureScreenshot", context=self._context)
        return b64decode(answer["data"])

    def _say(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == number:
                assert answer["type"] == "success", answer
                return answer["result"]


@contextmanager
def driven_firefox(directory: Path, ca: Path | None) -> Iterator[Firefox]:
    """A browser with a fresh profile and a home directory of its own."""
    program = need_tool("firefox-esr")
    profile = directory / "profile"
    trust_database(profile, ca)
    (profile / "user.js").write_text(SETTINGS)
    command = [program, "--headless", "--no-remote", "--profile", str(profile)]
    command += ["--remote-debugging-port", "0"]
    env = {"HOME": str(directory), "MOZ_CRASHREPORTER_DISABLE": "1"}
    with child(command, directory, env=env) as process:
        address = process.wait_for(r"WebDriver BiDi listening on (ws://127\.0\.0\.1:\d+)")[1]
        socket = websocket.create_connection(
            f"{address}/session", timeout=WAIT_SECONDS, suppress_origin=True
        )
        try:
            yield Firefox(socket)
        finally:
            socket.close()
