"""What docs/operations.md has operators copy: the units of systemd and the Dockerfile."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.required import need_tool

TEXT = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    units: list[str] = []
    for name in ("handclasp.socket", "handclasp.service"):
        found = re.search(rf"```ini\n# /etc/systemd/system/{name}\n(.*?)```", TEXT, re.DOTALL)
        assert found is not None
        text = found[1].replace("/opt/handclasp/bin/handclasp", sys.executable)
        (tmp_path / name).write_text(text)
        units.append(str(tmp_path / name))
    command = [need_tool("systemd-analyze"), "verify", "--man=no", *units]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) not in done.stderr  # It warns of what it ignores, with status 0.


def test_what_the_page_uses_is_made_by_its_commands() -> None:
    assert "useradd --system" in TEXT
    for directory in ("/srv/tls", "/srv/www", "/opt/handclasp"):
        assert re.search(rf"^# (install -d|python3 -m venv)\b.* {directory}$", TEXT, re.MULTILINE)
    container = re.search("```dockerfile\n(.*?)```", TEXT, re.DOTALL)
    assert container is not None
    home = re.search("^ENV HANDCLASP_HOME=(.*)$", container[1], re.MULTILINE)
    assert home is not None
    assert f"VOLUME {home[1]}\n" in container[1]
    assert f"install -d -o 1000 -m 700 {home[1]}" in container[1]
    assert "handclasp[metrics]" in container[1]
