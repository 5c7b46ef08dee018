"""The documentation site: what it lists is all there is, and what the tutorial shows is so."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import handclasp
from handclasp import ClientConfig, ServerConfig
from handclasp.certificates.authority import LocalAuthority

ROOT = Path(__file__).parent.parent
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT / "src")}
REFERENCE = ROOT / "docs" / "reference"


def test_the_reference_has_every_public_name_once() -> None:
    listed = [
        name
        for page in REFERENCE.glob("*.md")
        for name in re.findall(r"^::: handclasp\.(\w+)$", page.read_text("utf-8"), re.MULTILINE)
    ]
    elsewhere = {"aio"}  # Its functions are listed one by one.
    assert sorted(listed) == sorted(set(handclasp.__all__) - elsewhere)


@pytest.mark.parametrize(
    "module", ["aio", "asgi", "compat", "dns", "metrics", "redis", "testing", "trio"]
)
def test_the_reference_has_every_name_of_the_other_public_modules(module: str) -> None:
    text = "\n".join(page.read_text("utf-8") for page in REFERENCE.glob("*.md"))
    listed = re.findall(rf"^::: handclasp\.{module}\.(\w+)$", text, re.MULTILINE)
    offered = import_module(f"handclasp.{module}").__all__
    assert sorted(name for name in listed if name != "pytest_plugin") == sorted(offered)


def test_the_reference_has_the_classes_that_guides_import_from_elsewhere() -> None:
    text = "\n".join(page.read_text("utf-8") for page in REFERENCE.glob("*.md"))
    for name in (
        "certificates.authority.LocalAuthority",
        "certificates.authority.IssuedCertificate",
        "testing.pytest_plugin.StartServer",
        "testing.pytest_plugin.ConnectClient",
    ):
        assert f"::: handclasp.{name}\n" in text


def test_every_setting_is_compared_with_those_of_other_libraries() -> None:
    text = (ROOT / "docs" / "settings.md").read_text("utf-8")
    rows = re.findall(r"^\| (`.*?) \| ", text, re.MULTILINE)
    listed = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    shown = {each.name for kind in (ClientConfig, ServerConfig) for each in fields(kind)}
    assert sorted(listed) == sorted(shown)


def test_every_how_to_guide_has_its_program() -> None:
    text = (ROOT / "docs" / "how-to" / "index.md").read_text("utf-8")
    included = re.findall(r'^    --8<-- "(examples/\w+\.py)"$', text, re.MULTILINE)
    assert sorted(included) == sorted(f"examples/{each.name}" for each in _examples())


def _examples() -> list[Path]:
    return list((ROOT / "examples").glob("*.py"))


def test_an_example_in_a_docstring_is_shown_as_code() -> None:
    pytest.importorskip("griffe", reason="make docs installs it")
    namespace: dict[str, Any] = {}
    exec((ROOT / "docs" / "docstring_examples.py").read_text("utf-8"), namespace)
    shown = namespace["fenced"]("Do it.\n\n>>> do(\n...     it)\n'done'\n\nArgs:\n    it: this.")
    assert shown == "Do it.\n\n```python\n>>> do(\n...     it)\n'done'\n```\n\nArgs:\n    it: this."


@pytest.mark.long  # It reads the whole library.
def test_a_config_is_shown_with_its_arguments() -> None:
    griffe: Any = pytest.importorskip("griffe")
    extensions = griffe.load_extensions(str(ROOT / "docs" / "docstring_examples.py"))
    package = griffe.load("handclasp", search_paths=[ROOT / "src"], extensions=extensions)
    shown = package["ServerConfig"].final_target.parameters
    assert [each.name for each in shown][1:] == [
        each.name for each in fields(handclasp.ServerConfig)
    ]


def test_the_server_and_the_client_of_the_tutorial(tmp_path: Path) -> None:
    blocks = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "tutorial.md").read_text("utf-8"), re.DOTALL
    )
    server, client = [block for block in blocks if "8443" in block]
    authority = LocalAuthority.open_or_create(tmp_path / "authority")
    issued = authority.issue(["localhost"])
    for name, content in (("key.pem", issued.key_pem), ("chain.pem", issued.chain_pem)):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "ca.pem").write_bytes(authority.certificate_pem)
    # A free port instead of a fixed one, which the server tells.
    listening = server.replace("8443", "0").replace(
        "    while True:", "    print(listener.getsockname()[1], flush=True)\n    while True:"
    )
    with subprocess.Popen(
        [sys.executable, "-c", listening],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        try:
            done = _run(client.replace("8443", port), tmp_path)
            untrusting = client.replace('ClientConfig(trust=TrustStore.from_pem("ca.pem"))', "None")
            failed = _run(untrusting.replace("8443", port), tmp_path)
        finally:
            process.send_signal(signal.SIGTERM)
    assert done.stdout == "b'HELLO'\nTLSv1.3 TLS_AES_128_GCM_SHA256 X25519MLKEM768\n", done.stderr
    assert "No path leads from the certificate to a trusted authority." in failed.stderr


def _run(code: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=directory,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
