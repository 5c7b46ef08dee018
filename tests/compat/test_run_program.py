"""`python -m handclasp.compat` runs a program as `python` does, and its child processes too."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
from tests.compat.pairs import Files, client_context
from tests.compat.test_activation import ENVIRONMENT

import handclasp

COMPAT = ["-m", "handclasp.compat"]

OUTLIVING = """
import atexit, pickle, sys, threading

class Kept: pass

def tell(who):
    same = type(pickle.loads(pickle.dumps(Kept()))) is sys.modules["__main__"].Kept
    print(who, same, __name__, __package__, __spec__ and __spec__.name, sys.argv)

def outlive():
    threading.main_thread().join()
    tell("thread")

atexit.register(tell, "atexit")
threading.Thread(target=outlive).start()
tell(__file__)
"""

STARTING = """
import multiprocessing, sys
import handclasp.compat

def child(queue, more):
    queue.put(handclasp.compat.is_injected())
    if more:
        start(queue, more - 1)

def start(queue, more):
    process = context.Process(target=child, args=(queue, more))
    process.start()
    process.join()

context = multiprocessing.get_context(sys.argv[1])
if __name__ == "__main__":
    queue = context.Queue()
    start(queue, 1)
    print(queue.get(timeout=20), queue.get(timeout=20))
"""


def run(directory: Path, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=directory,
        env=ENVIRONMENT,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_is_no_error(tmp_path: Path, option: str) -> None:
    status, told, error = run(tmp_path, *COMPAT, option)
    assert (status, error) == (0, "")
    assert told.startswith("usage: python -m handclasp.compat [--trace DIRECTORY] ")
    assert max(map(len, told.splitlines())) <= 100


def test_the_version_is_that_of_the_library(tmp_path: Path) -> None:
    assert run(tmp_path, *COMPAT, "--version") == (0, f"handclasp {handclasp.__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "Which program shall run?"),
        (["--trace", "traces"], "Which program shall run?"),
        (["--trace"], "After --trace follows a directory."),
        (["-m"], "After -m follows a module."),
        (["--tracing", "program.py"], "There is no option --tracing;"),
    ],
)
def test_wrong_arguments_are_an_error_of_usage(
    tmp_path: Path, arguments: list[str], reason: str
) -> None:
    status, told, error = run(tmp_path, *COMPAT, *arguments)
    assert (status, told) == (2, "")
    assert error.startswith("usage: python -m handclasp.compat ")
    assert error.splitlines()[1].startswith(reason)


def test_the_options_after_a_program_are_its_own(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import sys; print(sys.argv[1:])")
    for named in ["program.py"], ["-m", "program"]:
        told = run(tmp_path, *COMPAT, "--trace", "traces", *named, "--help", "--trace", "-m")
        assert told == (0, "['--help', '--trace', '-m']\n", "")


@pytest.mark.parametrize(
    "named", [["program.py"], ["-m", "program"], ["-m", "package"], ["package"]], ids=" ".join
)
def test_the_names_of_a_program_outlive_it(tmp_path: Path, named: list[str]) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    for name in "program.py", "package/__main__.py":
        (tmp_path / name).write_text(OUTLIVING)
    plain = run(tmp_path, *named, "-x", "y")
    told = [line.split()[:2] for line in plain[1].splitlines()]
    assert told[1:] == [["thread", "True"], ["atexit", "True"]]
    assert run(tmp_path, *COMPAT, *named, "-x", "y") == plain


@pytest.mark.parametrize(
    "named", [["missing.py"], ["-m", "missing"], ["empty"], ["-m", "empty"]], ids=" ".join
)
def test_a_program_that_is_not_there(tmp_path: Path, named: list[str]) -> None:
    """It gives the one line and the status of `python`."""
    (tmp_path / "empty").mkdir()
    told = run(tmp_path, *COMPAT, *named)
    assert told == run(tmp_path, *named)
    assert told[0] in {1, 2}
    assert len(told[2].splitlines()) == 1


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_children_that_start_anew(tmp_path: Path, method: str) -> None:
    """So do theirs."""
    if os.name == "nt" and method == "forkserver":
        pytest.skip("Windows has no forks.")
    (tmp_path / "program.py").write_text(STARTING)
    status, told, error = run(tmp_path, *COMPAT, "program.py", method)
    assert (status, told) == (0, "True True\n"), error
    assert run(tmp_path, "program.py", method)[1] == "False False\n"


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_child_runs_without_a_directory_for_traces(tmp_path: Path, method: str) -> None:
    """It may have been removed since, and the child may not have the right to make it again."""
    if os.name == "nt" and method == "forkserver":
        pytest.skip("Windows has no forks.")
    blocking = """
    import pathlib
    pathlib.Path("traces").rmdir()
    pathlib.Path("traces").touch()
"""
    main = 'if __name__ == "__main__":\n'
    (tmp_path / "program.py").write_text(STARTING.replace(main, main + blocking))
    status, told, error = run(tmp_path, *COMPAT, "--trace", "traces", "program.py", method)
    assert (status, told) == (0, "True True\n"), error


APPLICATION = b"""
import ssl
from handclasp.compat.context import settings_of

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("not for this application")
    ours = settings_of(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)) is not None
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(ours).encode()})
"""


@pytest.mark.skipif(os.name == "nt", reason="uvicorn's workers are ended by a signal.")
def test_workers_of_uvicorn(files: Files) -> None:
    """Their connections are of handclasp: each writes a trace."""
    pytest.importorskip("uvicorn")
    files.write("application.py", APPLICATION)
    traces, chain = files.directory / "traces", str(files.leaf("server"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        port, number = listener.getsockname()[1], listener.fileno()
        options = ["--workers", "2", "--fd", str(number), "--log-level", "warning"]
        command = [sys.executable, *COMPAT, "--trace", str(traces), "-m", "uvicorn", *options]
        served = subprocess.Popen(
            [*command, "--ssl-certfile", chain, "--ssl-keyfile", chain, "application:app"],
            cwd=files.directory,
            env=ENVIRONMENT,
            pass_fds=[number],
        )
        try:
            context = client_context("ssl", files)
            with urlopen(f"https://localhost:{port}/", context=context, timeout=60) as answer:
                assert answer.read() == b"True"
        finally:
            served.send_signal(signal.SIGTERM)
            served.wait(30)
    [trace] = traces.iterdir()
    found = re.match(r"\w+-(\d+)-[0-9a-f]{8}-\d+-server", trace.name)
    assert found is not None
    assert int(found[1]) != served.pid
