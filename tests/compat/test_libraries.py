"""Advice has the settings of the library that has made the connection, where that is known."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from handclasp.advice import TRUST
from handclasp.compat.errors import translated
from handclasp.compat.libraries import settings_by_library
from handclasp.errors import CertificateError
from handclasp.faults import Fault


def called_from(*modules: str) -> str:
    """What trusting an authority is called where these modules call each other, the last ours."""
    call: Any = settings_by_library
    for name in reversed(modules):
        names: dict[str, Any] = {"__name__": name, "call": call}
        exec("def made():\n    return call()", names)
        call = names["made"]
    return str(call().get(TRUST, ""))


@pytest.fixture(autouse=True)
def without_aiohttp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "aiohttp", raising=False)


@pytest.mark.parametrize(
    ("modules", "told"),
    [
        (["app"], ""),
        (["app", "requests_of_mine", "ssl"], ""),
        (["app", "requests.api", "urllib3.connection", "ssl"], "requests: "),
        (["app", "urllib3.connection", "ssl"], "context."),
        (["requests.api", "app", "httpx", "ssl"], "httpx: "),  # Called back by another library.
        (["httpx", "app", "requests.api", "urllib3", "ssl"], "requests: "),
    ],
)
def test_the_nearest_library_on_the_stack(modules: list[str], told: str) -> None:
    assert called_from(*modules).startswith(told)
    assert bool(told) == bool(called_from(*modules))


def test_aiohttp_may_be_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop calls its connections."""
    monkeypatch.setitem(sys.modules, "aiohttp", ModuleType("aiohttp"))
    assert called_from("app").endswith("; aiohttp: ssl=context")
    assert called_from("requests").startswith("requests: ")


@pytest.mark.parametrize("server_side", [False, True])
def test_a_server_s_advice_is_of_its_context(*, server_side: bool) -> None:
    """Also where a program makes requests as it serves, as in a test."""
    names: dict[str, Any] = {"__name__": "requests", "call": translated}
    exec("def made(*args, **named):\n    return call(*args, **named)", names)
    made = names["made"](CertificateError(Fault.CERTIFICATE_UNTRUSTED), server_side=server_side)
    assert ("requests: verify=FILE" in made.fix) is not server_side
    assert made.__notes__[1] == made.fix
