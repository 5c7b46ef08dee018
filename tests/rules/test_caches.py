"""What the process keeps: each thing by name, with its key, its bound and the reason for it.

A cache of a module lives as long as the process. So none is keyed by what a peer sends, none is
without a bound, and none is added without a line here. What is keyed by a peer's bytes belongs to
a config, a trust store or a connection, is bounded in bytes, and takes in only what was accepted.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import pytest
from tests.rules.source import Module, modules


class Cache(NamedTuple):
    """`key` says what an entry goes by, `bound` how many there can be, `reason` why that is so."""

    key: str
    bound: str
    reason: str


ONE = "one value"

OF_MODULES = {
    "adapters.buffers.READ_BUFFERS": Cache(
        "none", "4 buffers of one size", "They are overwritten with each read."
    ),
    "adapters.forks.FORKS": Cache("none", "one number", "A count of forks, which no peer makes."),
    "capture.tshark._not_needed": Cache(
        "the path of the program", ONE, "The protocols that an installed tshark knows."
    ),
    "certificates.crl._NUMBERS": Cache("none", ONE, "It counts objects of the application's."),
    "certificates.own_certificate._warn_once": Cache(
        "a certificate of this side, by its hash, and what is wrong with it",
        "1024 sentences",
        "The application loads them; a config may be built for each connection.",
    ),
    "certificates.path._without_name": Cache("whether it is a server", "2", "Constants."),
    "certificates.public_suffix._rules": Cache(
        "whether companies' suffixes count", "2", "The list of the installed package."
    ),
    "certificates.public_suffix.is_public_suffix": Cache(
        "the parent of the name that this side connects to",
        "1024 names of at most 253 bytes",
        "It is asked only about wildcards that cover that name.",
    ),
    "certificates.trust._system": Cache(
        "two variables of the environment", "8", "The system's store is one object."
    ),
    "certificates.verify._decide": Cache("none", ONE, "A function that is imported late."),
    "testing.authority.key_of_type": Cache(
        "the type of a key, and a number", "as many as a test asks for", "Keys for tests alone."
    ),
    "config.sessions._MADE_HERE": Cache(
        "ticket keys that a config made, held weakly", "as many as there are", "Gone with them."
    ),
    "compat.activation._replaced": Cache("none", ONE, "What inject replaced in one class."),
    "compat.asyncio_ends.ENDS": Cache("none", ONE, "What inject replaced in one class."),
    "compat.authorities._parsed": Cache(
        "the system's authorities as OpenSSL has read them", "8 stores", "No peer is in it."
    ),
    "compat.authorities._read_defaults": Cache(
        "a file or directory of the system, and its state",
        "8 systems' stores",
        "The application names them.",
    ),
    "compat.authorities._store_of": Cache(
        "the authorities of a context",
        "16 stores",
        "The application loads them; contexts that were given the same share one.",
    ),
    "compat.errors._CLASSES": Cache(
        "a class of ssl and one of this library", "as many as there are", "A peer adds none."
    ),
    "crypto.hkdf.label_head": Cache(
        "a label of this library or an exporter's, and two sizes",
        "128 labels of at most 249 bytes",
        "The application names labels, no peer does.",
    ),
    "crypto.signatures._FAMILIES": Cache(
        "a class of cryptography's keys", "as many as it has", "A peer can choose among them."
    ),
    "crypto.signatures._arguments": Cache(
        "the name of a scheme in SIGNATURE_SCHEMES", "14", "Others raise, and are not kept."
    ),
    "crypto.signatures._invalid_signature": Cache("none", ONE, "A class, imported late."),
    "handshake.tls13.certificate._smaller": Cache(
        "an algorithm, and a Certificate message of this side",
        "2 MiB",
        "Compressing takes longer than the rest of a handshake; a peer chooses among them only.",
    ),
    "server._handshake": Cache("none", ONE, "A function that is imported late."),
    "client._normal_name": Cache(
        "a name that this side connects to", "256 names", "They are this side's own."
    ),
    "handshake.offer.server_name_extension": Cache(
        "a name that this side connects to", "256 names", "They are this side's own."
    ),
    "handshake.client_sessions._COUNTER": Cache("none", ONE, "It counts callbacks."),
    "handshake.client_sessions._NUMBERS": Cache(
        "a callback of the application, held weakly", "as many as there are", "Gone with it."
    ),
    "handshake.client_sessions._name_of": Cache(
        "the client's own config, and the name and port that it connects to",
        "256",
        "A digest of settings; no peer has a part in it.",
    ),
    "keys.schedule13._extract_without_psk": Cache(
        "a suite of this library", "8", "A constant of the RFC."
    ),
    "keys.schedule13._early_secret_without_psk": Cache(
        "a suite of this library", "8", "A constant of the RFC."
    ),
    "keys.schedule13._extract_without_salt": Cache("a hash of this library", "8", "A constant."),
    "keys.schedule13._empty_hash": Cache("a hash of this library", "8", "A constant."),
    "process._this": Cache("none", ONE, "The name of the process, drawn anew after a fork."),
    "redis.forks._ALL": Cache(
        "keys and filters that the application made, held weakly",
        "as many as there are",
        "For fork.",
    ),
    "story.guides.alerts._guides": Cache("none", ONE, "The files of this library."),
    "story.guides.guides": Cache("none", ONE, "The files of this library."),
    "story.page.rendering._environment": Cache(
        "names of packages that hold templates", "as many as there are", "Compiled templates."
    ),
    "values._code": Cache(
        "the kinds of a class's fields", "256", "Of classes of this library, and of no peer's."
    ),
    "wire.compression.available_algorithms": Cache("none", ONE, "What is installed."),
}

OF_OBJECTS = {
    "adapters.trio_stream.allowing truncation": Cache(
        "none", ONE, "The same config with another setting of the application's."
    ),
    "certificates.remembered.RememberedChains": Cache(
        "chain, name and a token of the policy",
        "256 chains and 2 MiB, of at most 16 KiB each",
        "Of a trust store; chains that were accepted.",
    ),
    "certificates.trust.TrustStore": Cache(
        "an issuer's certificate",
        "512 KiB, of at most 16 KiB each",
        "Of a trust store; issuers on paths that were accepted.",
    ),
    "wire.memoize.new_memo": Cache(
        "lists of hellos, certificates, and the facts about a connection",
        "1 MiB, lists of at most 256 bytes, certificates of at most 16 KiB",
        "Of a config; of handshakes that were completed.",
    ),
    "config.peer_certificate_types": Cache("none", ONE, "Of a config: names."),
    "config.own_certificate_types": Cache("none", ONE, "Of a config: names."),
    "handshake.client_sessions.what sessions are bound to": Cache(
        "none", ONE, "Of a config: settings of its own."
    ),
    "handshake.offer.client hello": Cache("none", ONE, "Of a config: the client's own."),
    "handshake.tls13.certificate.written certificates": Cache(
        "a chain of this side, and its staple and timestamps",
        "1 MiB",
        "Of a config; a peer chooses among them only.",
    ),
    "handshake.offered.offered protocols": Cache(
        "none", ONE, "Of a config: a function that knows the config's own protocols."
    ),
    "handshake.tls13.ech_offer.outer config": Cache(
        "none", ONE, "Of a config: the same one without what names the server or the client."
    ),
    "handshake.tls13.client_hello.client hello forms": Cache(
        "none", ONE, "Of a config: the functions that read extensions."
    ),
    "handshake.tls13.client_hello.suites of TLS 1.3": Cache(
        "none", ONE, "Of a config: names of its own."
    ),
    "handshake.tls13.client_authentication.certificate request": Cache(
        "the kind of certificate", "2", "Of a config: the server's own."
    ),
}


def named(module: Module, name: str) -> str:
    return f"{module.name}.{name}"


def is_cache(node: ast.expr) -> bool:
    """`cache`, `lru_cache` or `cache_of_something(...)`, under whatever module's name."""
    target = node.func if isinstance(node, ast.Call) else node
    name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
    return name in {"cache", "lru_cache"}


def decorated(module: Module) -> Iterator[str]:
    """Functions that keep what they gave, and calls of what makes such functions."""
    decorators: set[int] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in filter(is_cache, node.decorator_list):
                decorators.update(id(inner) for inner in ast.walk(decorator))
                yield named(module, node.name)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and id(node) not in decorators and is_cache(node):
            yield named(module, ast.unparse(node))


CHANGES = {
    *("add", "append", "appendleft", "clear", "discard", "extend", "insert", "move_to_end"),
    *("pop", "popitem", "popleft", "remove", "setdefault", "update"),
}
MUTABLE = {
    *("OrderedDict", "WeakKeyDictionary", "WeakSet", "WeakValueDictionary", "bytearray", "count"),
    *("defaultdict", "deque", "dict", "list", "set", "Counter", "Kept", "KeptResults"),
}


def assigned(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            for name, value in assigned(node.body):
                yield f"{node.name}.{name}", value
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
        given: ast.expr | None = getattr(node, "value", None)
        if given is not None:
            yield from ((each.id, given) for each in targets if isinstance(each, ast.Name))


def changed(module: Module) -> set[str]:
    """Names whose objects are changed in functions of the module."""
    found: set[str] = set()
    for node in ast.walk(module.tree):
        inner: ast.expr | None = None
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            inner = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            inner = node.func.value if node.func.attr in CHANGES else None
        elif isinstance(node, ast.Global):
            found.update(node.names)
        if isinstance(inner, ast.Name):
            found.add(inner.id)
    return found


@cache
def of_the_package() -> frozenset[str]:
    """Classes whose objects change: some method other than `__init__` sets or changes something."""
    found: set[str] = set()
    for module in modules().values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                methods = [each for each in node.body if isinstance(each, ast.FunctionDef)]
                others = [each for each in methods if not each.name.startswith("__")]
                if any(_changes_itself(each) for each in others):
                    found.add(node.name)
    return frozenset(found)


def _changes_itself(function: ast.FunctionDef) -> bool:
    for node in ast.walk(function):
        stored = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        called = node.func if isinstance(node, ast.Call) else None
        if stored or (isinstance(called, ast.Attribute) and called.attr in CHANGES):
            return True
    return False


def kept_in_variables(module: Module) -> Iterator[str]:
    """Variables of the module, and of classes, whose value changes as the process goes on."""
    classes = of_the_package()
    touched = changed(module)
    for name, value in assigned(module.tree.body):
        maker = value.func if isinstance(value, ast.Call) else None
        called = getattr(maker, "id", getattr(maker, "attr", ""))
        empty = isinstance(value, ast.Dict | ast.List) and not ast.unparse(value).strip("{}[]")
        if name in touched or empty or called in MUTABLE | classes:
            yield named(module, name)


@pytest.mark.long
def test_every_cache_of_a_module_is_in_the_table() -> None:
    found = {
        name
        for module in modules().values()
        if module.layer != "cli"
        for name in (*decorated(module), *kept_in_variables(module))
    }
    assert found == set(OF_MODULES)


def test_the_command_line_keeps_nothing() -> None:
    found = {
        name for module in modules().values() if module.layer == "cli" for name in decorated(module)
    }
    assert found == set()


@pytest.mark.long
def test_every_cache_of_an_object_is_in_the_table() -> None:
    found: set[str] = set()
    for module in modules().values():
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call):
                continue
            if isinstance(node.func, ast.Attribute) and node.func.attr == "once":
                text = (
                    ast.literal_eval(node.args[0]) if isinstance(node.args[0], ast.Constant) else ""
                )
                if isinstance(node.args[0], ast.JoinedStr):
                    text = str(ast.literal_eval(node.args[0].values[0])).strip()
                found.add(named(module, text))
    for holding, holder in (
        ("certificates.remembered", "RememberedChains"),
        ("certificates.trust", "TrustStore"),
        ("wire.memoize", "new_memo"),
    ):
        assert any(getattr(node, "name", "") == holder for node in modules()[holding].tree.body)
        found.add(f"{holding}.{holder}")
    makers = {
        module.name
        for module in modules().values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") in {"Kept", "RememberedChains"}
    }
    assert makers == {"certificates.trust", "handshake.tls13.certificate", "kept", "wire.memoize"}
    assert found == set(OF_OBJECTS)


def test_nothing_in_the_tables_is_said_without_a_reason() -> None:
    for each in (*OF_MODULES.values(), *OF_OBJECTS.values()):
        assert all(each)
