"""`python -m handclasp.compat`: the explanation stands in the last lines of a traceback."""

from __future__ import annotations

import re
import ssl

import pytest
from tests.compat.pairs import Files
from tests.compat.test_activation import ended, explained, url
from tests.pki import Pki
from tests.required import need_module

from handclasp.compat.last_failure import LastFailure

__all__ = ["url"]

TOLD = "handclasp: The certificate has expired."

PROGRAMS = {
    "urllib": "urllib.request.urlopen(url, context=context)",
    "urllib3": "urllib3.PoolManager(ca_certs=ca).request('GET', url)",
    "requests": "requests.get(url, verify=ca)",
    "httpx": "httpx.get(url, verify=context)",
    "aiohttp": """
async def main():
    async with aiohttp.ClientSession() as session:
        await session.get(url, ssl=context)
asyncio.run(main())
""",
}
"""By the name of a library: a request of it, as programs make it."""

CONTEXT = "context.load_verify_locations(FILE)"
TRUST = {
    "urllib": CONTEXT,
    "urllib3": f"{CONTEXT}; urllib3: ca_certs=FILE",
    "requests": "requests: verify=FILE, or REQUESTS_CA_BUNDLE=FILE in the environment",
    "httpx": f"httpx: verify=context, after {CONTEXT}",
    "aiohttp": f"{CONTEXT}; aiohttp: ssl=context",
}
"""How each of them is told to trust an authority."""


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_last_lines_of_a_library_s_exception(files: Files, url: str, name: str) -> None:
    module = "urllib.request" if name == "urllib" else name
    need_module(module)
    source = f"import asyncio, ssl, sys, {module}\n_, url, ca = sys.argv\n"
    source += f"context = ssl.create_default_context(cafile=ca)\n{PROGRAMS[name]}\n"
    lines = ended(files, source, url, str(files.write("other.pem", Pki().ca_pem)))
    assert lines[-4].partition(": ")[0].startswith((f"{name}.", "urllib.error."))
    assert lines[-3].startswith("handclasp: No path leads from the certificate to a trusted")
    assert lines[-1].startswith("At fault: ")
    assert lines[-2].endswith(f", trust that ({TRUST[name]}).")
    for line in lines[-3:]:
        assert lines.count(line) == 1


def chained(inner: BaseException, *outer: BaseException) -> BaseException:
    """The last of the exceptions, each the cause, or the context, of the next."""
    for at, each in enumerate(outer):
        if at % 2:
            each.__context__ = inner
        else:
            each.__cause__ = inner
        inner = each
    return inner


def notes_of(error: BaseException) -> list[str]:
    return getattr(error, "__notes__", [])


def test_an_explanation_moves_to_the_last_exception_of_a_chain() -> None:
    """Causes and contexts alike; notes of the program that stand before it stay where they are."""
    ours = ssl.SSLError("failed")
    for note in ("of the program", TOLD, "At fault: the server."):
        ours.add_note(note)
    middle, last = OSError("a"), ValueError("b")
    last.add_note("of the last one")
    LastFailure().add_to(chained(ours, middle, last))
    assert notes_of(last) == ["of the last one", TOLD, "At fault: the server."]
    assert (notes_of(middle), notes_of(ours)) == ([], ["of the program"])


def test_of_several_explanations_the_nearest_moves() -> None:
    """The last attempt has made the program fail; those of earlier ones stay beside them."""
    first, second = explained(), ssl.SSLError("timed out")
    second.add_note("handclasp: The server said nothing.")
    last = chained(first, second, ConnectionError("aborted"))
    LastFailure().add_to(last)
    assert notes_of(last) == ["handclasp: The server said nothing."]
    assert (notes_of(first), notes_of(second)) == ([TOLD], [])


def test_an_explanation_that_stands_twice_is_shown_once() -> None:
    first, second = explained(), explained()
    last = chained(first, second, ConnectionError("aborted"))
    LastFailure().add_to(last)
    assert [notes_of(each) for each in (first, second, last)] == [[], [], [TOLD]]


def test_each_member_of_a_group_has_its_own() -> None:
    """The notes of a group stand above its members."""
    members = [chained(explained(), ConnectionError(name)) for name in "ab"]
    group = BaseExceptionGroup("several", members)
    LastFailure().add_to(BaseExceptionGroup("outer", [group]))
    assert [notes_of(each) for each in (group, *members)] == [[], [TOLD], [TOLD]]


def test_what_stands_where_notes_are_kept_is_left_alone() -> None:
    ours = explained()
    last = chained(ours, ValueError("b"))
    vars(last)["__notes__"] = "text"
    LastFailure().add_to(last)
    assert vars(last)["__notes__"] == "text"
    assert notes_of(ours) == [TOLD]


def test_a_circle_of_causes_ends() -> None:
    one, other = ValueError("a"), ValueError("b")
    one.__cause__, other.__cause__ = other, one
    LastFailure().add_to(one)
    assert notes_of(one) == []


def test_pip_is_followed_by_the_explanation(files: Files, url: str) -> None:
    """It prints the text of the exception alone, and ends with status 1."""
    source = "import runpy, sys; sys.argv[0] = 'pip'; runpy.run_module('pip', run_name='__main__')"
    options = ["--isolated", "--disable-pip-version-check", "--no-input", "--retries", "0"]
    ca = str(files.write("other.pem", Pki().ca_pem))
    command = ["download", "--cert", ca, "--index-url", url, "--dest", str(files.directory), "a"]
    lines = ended(files, source, *options, *command)
    assert re.fullmatch(
        r"The program has ended with status 1\. The last TLS connection of this process as a "
        r"client that failed, to localhost, did so \d\.\d s before\. It may be the cause:",
        lines[-4],
    )
    assert lines[-3].startswith("handclasp: No path leads from the certificate to a trusted")
    assert lines[-2].endswith("trust it (pip: --cert FILE, or PIP_CERT=FILE in the environment).")
    assert lines[-1].startswith("At fault: ")


CATCHING = """
import atexit, sys, urllib.request
atexit.register(lambda: print("of the program", file=sys.stderr))
try:
    urllib.request.urlopen(sys.argv[1])
except OSError:
    sys.exit({status})
"""


def test_what_a_program_exits_upon_is_explained_below_its_own_words(files: Files, url: str) -> None:
    lines = ended(files, CATCHING.format(status="'sorry'"), url)
    told = "The program has ended with status 1 as it handled a failure:"
    assert lines[:2] == ["sorry", told]
    assert lines[2].startswith("handclasp: No path leads from the certificate")
    assert lines[-1] == "of the program"


@pytest.mark.parametrize("status", ["", "0", "256"])
def test_a_program_that_succeeds_all_the_same_is_followed_by_nothing(
    files: Files, url: str, status: str
) -> None:
    assert ended(files, CATCHING.format(status=status), url) == ["of the program"]


def test_an_exit_is_not_explained_by_what_is_not_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by a stranger at a server, nor by what has failed long ago, nor before a fork."""
    seconds, process = [100.0], [7]
    monkeypatch.setattr("handclasp.compat.last_failure.monotonic", lambda: seconds[0])
    monkeypatch.setattr("handclasp.compat.last_failure.os.getpid", lambda: process[0])
    last = LastFailure()
    last.note(explained(), None, server_side=True)
    assert last.at_exit(SystemExit(1)) == ""
    last.note(explained(), None, server_side=False)
    assert TOLD in last.at_exit(SystemExit(1))
    seconds[0] = 106.0
    assert last.at_exit(SystemExit(1)) == ""
    seconds[0], process[0] = 101.0, 8
    assert last.at_exit(SystemExit(1)) == ""
    error = ConnectionError("other")
    last.add_to(error)
    assert notes_of(error) == []
