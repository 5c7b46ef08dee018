"""docs/operations.md: its units, its hook of certbot, and a server that is process 1."""

from __future__ import annotations

import getpass
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.cli.test_workers import workers_of
from tests.required import need_tool
from tests.serving.test_service import SECONDS, SOURCE, Place, place

__all__ = ["place"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is about Linux")

MANUAL = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")


def test_the_units_are_units_of_systemd(tmp_path: Path) -> None:
    program = need_tool("systemd-analyze")
    found = re.findall(r"```ini\n# /etc/systemd/system/(\S+)\n(.*?)```", MANUAL, re.DOTALL)
    assert len(found) == 2
    for name, unit in found:
        # It must exist, and the rest of the line be well-formed.
        (tmp_path / name).write_text(unit.replace("/opt/handclasp/bin/handclasp", "/bin/true"))
    paths = [str(tmp_path / name) for name, _ in found]
    done = subprocess.run(
        [program, "verify", "--man=no", *paths], capture_output=True, text=True, check=False
    )
    told = [line for line in done.stderr.splitlines() if "handclasp" in line]
    assert (done.returncode, told) == (0, [])


def test_the_hook_of_certbot_renews_a_running_server(place: Place, tmp_path: Path) -> None:
    (hook,) = re.findall(r"```sh\n(.*?)```", MANUAL, re.DOTALL)
    lineage, own = tmp_path / "live", place.path
    lineage.mkdir()
    hook = hook.replace("-o www", f"-o {getpass.getuser()}").replace("/srv/tls", str(own))
    with place.serving() as (_, port):
        first = place.end_of_certificate(port)
        place.put(95)
        for name, ours in (("privkey.pem", place.key), ("fullchain.pem", place.chain)):
            ours.rename(lineage / name)
        environment = {**os.environ, "RENEWED_LINEAGE": str(lineage)}
        subprocess.run(["sh", "-c", hook], env=environment, check=True)
        assert place.key.stat().st_mode & 0o777 == 0o600
        deadline = time.monotonic() + SECONDS
        while place.end_of_certificate(port) == first:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_a_server_that_is_process_1_ends_on_a_signal(place: Place) -> None:
    """As in a container: the system lets process 1 live where it has no handler of a signal."""
    apart = [need_tool("unshare"), "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
    if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system allows no namespaces")
    given = ("serve", "--echo", "--port", "0", "--cert", str(place.chain), "--key", str(place.key))
    popen = subprocess.Popen(
        [*apart, sys.executable, "-m", "handclasp", *given],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    )
    try:
        assert popen.stdout is not None
        while not (line := popen.stdout.readline()).startswith("Ctrl-C"):
            assert line
        (inside,) = workers_of(popen.pid, 1)
        os.kill(inside, signal.SIGTERM)
        assert popen.wait(SECONDS) == 0
    finally:
        popen.kill()
        popen.communicate(timeout=SECONDS)
