"""README's first example: what the failure of a program says, without handclasp and with it."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of
from tests.programs.peers import Handler, HTTPServer
from tests.programs.test_programs import PYTHON, ROOT
from tests.required import lacking

README = (ROOT / "README.md").read_text("utf-8")
PROGRAM = next(
    block for block in re.findall(r"```python\n(.*?)```", README, re.S) if "get(" in block
)
WITHOUT, WITH = [
    block.splitlines()
    for block in re.findall(r"```text\n(.*?)```", README, re.S)
    if "SSLCertVerificationError" in block
]


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """A server that does not send the intermediate certificate; the root is in ca.pem."""
    root, key = Pki("Example Root"), key_of_type("ecdsa-p256")
    (tmp_path / "ca.pem").write_bytes(root.ca_pem)
    leaf = root.intermediate("Example Issuing CA").issue(Leaf(), key.public_key())
    (tmp_path / "server.pem").write_bytes(key_pem(key) + pem_of(leaf))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.context = context
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield int(server.server_address[1])
        server.shutdown()
        thread.join()


@pytest.mark.interop
@pytest.mark.fast
@pytest.mark.parametrize("injects", [False, True], ids=["without", "with"])
def test_the_failure_of_a_program(port: int, tmp_path: Path, injects: bool) -> None:
    if not PYTHON.exists():
        lacking("the programs are not installed (make programs)")
    lines = PROGRAM.replace("8443", str(port)).splitlines(keepends=True)
    text = "".join([line for line in lines if injects or "handclasp" not in line])
    (tmp_path / "fetch.py").write_text(text)
    made = subprocess.run(
        [PYTHON, tmp_path / "fetch.py"],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "src"),
            "REQUESTS_CA_BUNDLE": str(tmp_path / "ca.pem"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told = re.sub(r"_ssl.c:\d+", "_ssl.c:1006", made.stderr).splitlines()
    for line in WITH if injects else WITHOUT:
        assert line in told
    assert "requests.exceptions.SSLError" in made.stderr
