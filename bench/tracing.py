"""What tracing costs: where nobody traces, where somebody does, and with the secrets.

That it costs nothing where it is off is measured against this library without its hooks: a copy
in which every `trace is not None` is plainly false, so that the compiler drops what it guards.
What stays in the copy is a field that is None in each secret, and one call around each operation
with public keys: a microsecond of a handshake.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import handclasp
from bench.measure import Row
from handclasp.certificates.authority import LocalAuthority

BARE = "handclasp_without_hooks"
_HOOKS = {"trace", "_trace", "observer"}


def rows(directory: Path) -> Iterator[Row]:
    """Handshakes and records; the last two columns say with what they are compared."""
    authority = LocalAuthority.open_or_create(directory)
    issued = authority.issue(["localhost"], key_type="ecdsa-p256")
    pem = authority.certificate_pem, issued.chain_pem, issued.key_pem
    here, bare = _Ends(handclasp, *pem), _Ends(without_hooks(directory), *pem)
    yield Row("handshake, tracing off", here.meet, "no hooks", bare.meet)
    for size in (100, 16384, 262_144):
        data = bytes(size)
        ours, theirs = here.established(), bare.established()
        yield Row(
            f"{size} bytes, tracing off",
            partial(here.transfer, ours, data),
            "no hooks",
            partial(bare.transfer, theirs, data),
        )
    yield Row("handshake, traced", lambda: here.meet(_recorder), "tracing off", here.meet)
    yield Row(
        "handshake, traced with secrets",
        lambda: here.meet(_recorder_of_secrets),
        "tracing off",
        here.meet,
    )
    for size in (100, 16384, 262_144):
        data = bytes(size)
        ours, theirs = here.established(_recorder), here.established()
        yield Row(
            f"{size} bytes, traced",
            partial(here.transfer, ours, data),
            "tracing off",
            partial(here.transfer, theirs, data),
        )


def without_hooks(directory: Path) -> Any:
    """The library once more, as a package of its own, without a single hook."""
    source = Path(handclasp.__file__).parent
    for path in source.rglob("*.py"):
        target = directory / BARE / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        tree = _WithoutHooks().visit(ast.parse(path.read_text(encoding="utf-8")))
        target.write_text(ast.unparse(ast.fix_missing_locations(tree)), encoding="utf-8")
    sys.path.insert(0, str(directory))
    try:
        return importlib.import_module(BARE)
    finally:
        sys.path.remove(str(directory))


class _WithoutHooks(ast.NodeTransformer):
    """Every question whether somebody traces is answered: nobody does."""

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        name = node.left.attr if isinstance(node.left, ast.Attribute) else None
        name = node.left.id if isinstance(node.left, ast.Name) else name
        compares_none = (
            len(node.ops) == 1
            and isinstance(node.comparators[0], ast.Constant)
            and node.comparators[0].value is None
        )
        if name not in _HOOKS or not compares_none:
            return node
        return ast.copy_location(ast.Constant(isinstance(node.ops[0], ast.Is)), node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom:
        node.module = _renamed(node.module or "")
        return node

    def visit_Import(self, node: ast.Import) -> ast.Import:
        for alias in node.names:
            alias.name = _renamed(alias.name)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        # Modules that are imported when they are needed stand in strings.
        if isinstance(node.value, str) and node.value.startswith("handclasp."):
            return ast.copy_location(ast.Constant(_renamed(node.value)), node)
        return node


def _renamed(module: str) -> str:
    first, dot, rest = module.partition(".")
    return f"{BARE}{dot}{rest}" if first == "handclasp" else module


class _Ends:
    """A client and a server of one of the two packages."""

    def __init__(self, package: Any, ca_pem: bytes, chain_pem: bytes, key_pem: bytes) -> None:
        self._package = package
        self._client = package.ClientConfig(
            trust=package.TrustStore.from_pem(ca_pem), groups=["X25519"]
        )
        self._server = package.ServerConfig(
            credentials=package.Credentials.from_pem(chain_pem, key_pem)
        )

    def meet(self, trace: Callable[[], object] | None = None) -> object:
        """One handshake."""
        return self.established(trace)

    def established(self, trace: Callable[[], object] | None = None) -> tuple[Any, Any]:
        """Both ends of a connection, each with a recorder of its own if there is to be one."""
        traces = (trace(), trace()) if trace is not None else (None, None)
        client = self._package.ClientConnection(
            self._client, server_name="localhost", trace=traces[0]
        )
        server = self._package.ServerConnection(self._server, trace=traces[1])
        server.receive_data(client.data_to_send())
        client.receive_data(server.data_to_send())
        server.receive_data(client.data_to_send())
        if not (client.established and server.established):
            raise RuntimeError("the handshake did not complete")
        return client, server

    def transfer(self, pair: tuple[Any, Any], data: bytes) -> None:
        """`data` from the client to the server."""
        client, server = pair
        client.send_data(data)
        server.receive_data(client.data_to_send())


def _recorder() -> handclasp.Recorder:
    return handclasp.Recorder()


def _recorder_of_secrets() -> handclasp.Recorder:
    return handclasp.Recorder(record_secrets=True)
