"""Run by an interpreter into which nothing but the package was installed: does it work there?

A handshake of the library, which may load no package but cryptography, and three commands.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from handclasp import ClientConfig, ClientConnection, ServerConfig, ServerConnection
from handclasp.certificates.authority import LocalAuthority

ALLOWED = {"cryptography", "_cffi_backend", "cffi", "handclasp"}


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        group = handshake(home)
    strange = packages_loaded() - ALLOWED
    assert not strange, f"the library loads {strange}"
    name = "handclasp.exe" if sys.platform == "win32" else "handclasp"
    command = str(Path(sysconfig.get_path("scripts"), name))
    version = subprocess.run([command, "--version"], check=True, capture_output=True, text=True)
    for arguments in (["--help"], ["demo", "--once", "--no-browser", "--port", "0"]):
        done = subprocess.run([command, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    print(f"{version.stdout.strip()}: a handshake with {group}, and the demo")


def handshake(home: str) -> str:
    """Connect both roles in memory; return the group that they agreed on."""
    authority = LocalAuthority.open_or_create(home)
    client = ClientConnection(ClientConfig(trust=authority.trust), server_name="localhost")
    server = ServerConnection(ServerConfig(credentials=authority.credentials(["localhost"])))
    while not (client.established and server.established):
        server.receive_data(client.data_to_send())
        client.receive_data(server.data_to_send())
    assert client.info is not None
    return str(client.info.group)


def packages_loaded() -> set[str]:
    """The packages that are loaded out of the directory of installed ones."""
    installed = sysconfig.get_path("purelib")
    return {
        name.partition(".")[0]
        for name, module in sys.modules.items()
        if str(getattr(module, "__file__", None) or "").startswith(installed)
    }


if __name__ == "__main__":
    main()
