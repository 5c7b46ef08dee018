"""Imports go downward only, and the protocol touches neither the network nor the clock."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass

import pytest
from tests.rules.source import Module, inside_imports, modules, modules_below, outside_imports

# layer -> what its modules may import, as prefixes of module names
ARROWS: dict[str, tuple[str, ...]] = {
    "faults": ("advice", "faults", "iana"),
    "alerts": ("advice", "alerts", "faults", "iana", "values"),
    "errors": ("alerts", "faults", "iana"),
    "limits": ("errors",),
    "info": ("certificates.evidence", "deferred", "iana"),
    "private_files": (),
    "values": (),
    "advice": (),
    "deferred": (),
    "process": (),
    "synchronous": ("errors",),
    "trusted_files": (),
    "kept": ("process",),
    "iana": ("iana",),
    "wire": ("wire", "iana", "errors", "faults", "values", "kept"),
    "crypto": ("crypto", "iana", "errors", "values"),
    "keys": ("keys", "crypto", "wire", "values"),
    "speedups": (),
    "record": (
        "_speedups",
        "record",
        "speedups",
        "keys",
        "crypto",
        "iana",
        "wire",
        "limits",
        "errors",
        "faults",
        "trace.hooks",
    ),
    "certificates": (
        "advice",
        "deferred",
        "certificates",
        "crypto",
        "iana",
        "wire.reader",
        "errors",
        "faults",
        "values",
        "private_files",
        "process",
        "trusted_files",
        "kept",
        "synchronous",
    ),
    "handshake": (
        "questions",
        "advice",
        "handshake",
        "keys",
        "crypto",
        "iana",
        "wire",
        "certificates",
        "config",
        "limits",
        "info",
        "errors",
        "faults",
        "sessions",
        "trace.hooks",
        "alerts",
        "values",
        "process",
        "kept",
    ),
    "trace": (
        "trace",
        "iana",
        "wire",
        "info",
        "errors",
        "private_files",
        "process",
        "crypto.secret",
    ),
    "story": (
        "advice",
        "alerts",
        # What is told of the certificates of either side.
        "certificates.describe",
        "certificates.fields",
        "deferred",
        "errors",
        "faults",
        "info",
        "private_files",
        "story",
        "trace",
        "iana",
        "wire",
    ),
    "capture": (
        "capture",
        "story",
        "trace",
        "record",
        "keys",
        "crypto",
        "iana",
        "wire",
        "limits",
        "info",
        "errors",
        "faults",
    ),
    "questions": ("certificates.credentials", "certificates.verify", "sessions.psk"),
    "events": ("questions", "info"),
    "sessions": (
        "sessions",
        "crypto",
        "wire.reader",
        "wire.structs",
        "wire.writer",
        "errors",
        "faults",
        "values",
        "process",
        "private_files",
        "trusted_files",
    ),
    "derived": ("sessions", "wire"),
    "config": (
        "config",
        "derived",
        "wire.compression",
        "certificates",
        "crypto",
        "questions",
        "limits",
        "errors",
        "sessions",
        "synchronous",
        "trace.keylog",
    ),
    "record_loop": (
        "questions",
        "crypto.suites",
        "errors",
        "events",
        "faults",
        "handshake",
        "info",
        "keys.epoch",
        "limits",
        "record",
        "trace.hooks",
        "iana",
        "wire.records",
    ),
    "lifecycle": (
        "questions",
        "alerts",
        "config",
        "crypto.suites",
        "errors",
        "events",
        "faults",
        "handshake",
        "info",
        "keys.epoch",
        "record",
        "record_loop",
        "trace.hooks",
        "iana",
    ),
    "connection": (
        "questions",
        "crypto.suites",
        "errors",
        "events",
        "faults",
        "handshake",
        "info",
        "lifecycle",
        "record",
        "trace.hooks",
        "iana",
        "speedups",
        "wire.memoize",
        "wire.records",
    ),
    "client": (
        "certificates.names",
        "certificates.trust",
        "config",
        "connection",
        "crypto.suites",
        "errors",
        "handshake",
        "keys.epoch",
        "sessions.store",
        "trace.hooks",
    ),
    "server": (
        "config",
        "connection",
        "crypto.suites",
        "errors",
        "handshake",
        "trace.hooks",
    ),
}

# The adapters, the look-alike of `ssl` and the command line build on what everybody can import.
OUTER = ("adapters", "cli", "compat", "ssl", "aio", "asgi", "trio", "redis", "__main__", "")

# What talks to the system: the adapters, and in `capture` the one module that has a program read
# the files of others. `capture` stands beside the adapters: only the command line imports it.
ADAPTERS = (
    "adapters",
    "cli",
    "compat",
    "ssl",
    "aio",
    "trio",
    "asgi",
    "redis",
    "",
    "capture.tshark",
)

# Modules that applications may import besides the package itself: the local authority, what a
# policy holds, the explanation of a certificate, and the parts of a trace.
PUBLIC_MODULES = (
    "certificates",
    "certificates.authority",
    "certificates.dane",
    "certificates.describe",
    "certificates.key_files",
    "certificates.key_usage",
    "certificates.policy",
    "certificates.reading",
    "certificates.revocation",
    "certificates.rules",
    "certificates.staple",
    "certificates.transparency",
    "adapters.polling",
    "adapters.progress",
    "advice",
    "alerts",
    "capture.choice",
    "capture.datagrams",
    "capture.formats",
    "capture.observe",
    "capture.secrets",
    "capture.segment",
    "capture.segments",
    "capture.stream",
    "capture.tshark",
    "private_files",
    "speedups",
    "story.diagnosis",
    "story.diff",
    "story.evidence",
    "story.facts",
    "story.fingerprints",
    "story.narrate",
    "story.page",
    "story.situation",
    "trace.events",
    "trace.hooks",
    "trace.keylog",
    "trace.pcapng",
)

NEVER_BELOW_ADAPTERS = {
    "asyncio",
    "logging",
    "multiprocessing",
    "random",
    "secrets",
    "select",
    "selectors",
    "signal",
    "socket",
    "socketserver",
    "ssl",
    "subprocess",
    "time",
    "trio",
}

# A recorder stamps what it notes, and files of credentials are looked at now and then, each by a
# clock that can be given; what killed writers left beside a file of sessions is removed by age; on
# Windows only `ssl` can read the system's store of authorities. Loading a key is before any
# connection, and what is wrong with its file is for people to hear.
EXCEPTIONS = {
    "trace.recorder": {"time"},
    "certificates.credentials": {"time"},
    "certificates.reloading": {"time"},
    "certificates.key_files": {"logging"},
    "sessions.session_file": {"logging", "time"},
    "certificates.system_trust": {"ssl"},
    "sessions.replay": {"time"},
    "sessions.ticket_keys": {"time"},
}

# What may be imported from outside of the standard library. All but the first are optional, and
# asked for where they are needed.
OPTIONAL = {
    "brotli",
    "certifi",
    "h11",
    "hypercorn",
    "idna",
    "jinja2",
    "markupsafe",
    "publicsuffixlist",
    "redis",
    "trio",
    "uvicorn",
    "zstandard",
}
DEPENDENCIES = {"cryptography", "_typeshed", *OPTIONAL}

# Modules that are nothing without an optional package. Of the others, only the package's namesake
# imports them with itself.
WRITTEN_FOR = {
    "hypercorn": {"adapters.asgi_hypercorn"},
    "trio": {
        "adapters.trio",
        "adapters.trio_accepting",
        "adapters.trio_duplex",
        "adapters.trio_stream",
    },
    "uvicorn": {"adapters.asgi_uvicorn"},
}

# Where the defaults of clock and entropy are set; the authority issues certificates and has no
# part in a connection.
SOURCES_OF_TIME_AND_CHANCE = {
    "config",
    "config.types",  # The default clock.
    "certificates.authority",
    "certificates.credentials",
    "certificates.reloading",
    "process",  # Names itself, and draws nothing for a connection.
    "private_files",  # Names its new files, likewise.
    "sessions.session_file",  # The same, and waits for other processes.
    "crypto.groups",  # Knows the system's source when it sees it; draws from what it is given.
    # Of keys that are shared by many connections, and no part of a replay.
    "sessions.ticket_keys",
}


def allowed(target: str, prefixes: tuple[str, ...]) -> bool:
    return any(target == prefix or target.startswith(f"{prefix}.") for prefix in prefixes)


def public_modules() -> set[str]:
    """The modules from which the package takes its public names."""
    return {target for target, _ in inside_imports(modules()[""])}


@dataclass(frozen=True, slots=True)
class Import:
    module: str
    target: str

    def __str__(self) -> str:
        return f"{self.module} imports {self.target}"


def test_every_layer_has_its_rule() -> None:
    layers = {module.layer for module in modules().values()}
    assert layers == set(ARROWS) | set(OUTER)


@pytest.mark.parametrize("layer", ARROWS)
def test_imports_go_downward_only(layer: str) -> None:
    wrong = [
        str(Import(module.name, target))
        for module in modules().values()
        if module.layer == layer
        for target, _ in inside_imports(module)
        if not allowed(target, ARROWS[layer])
    ]
    assert wrong == []


def test_packages_import_each_other_in_no_circle() -> None:
    imported: dict[str, set[str]] = {module.layer: set() for module in modules().values()}
    for module in modules().values():
        imported[module.layer] |= {target.partition(".")[0] for target, _ in inside_imports(module)}
    reached = {layer: reachable(layer, imported) for layer in imported}
    circles = [
        {other for other in reached[each] if each in reached.get(other, ())} for each in imported
    ]
    assert not any(circles), circles


def reachable(layer: str, imported: dict[str, set[str]]) -> set[str]:
    """What a package imports, and what that imports, and so on; not what it has of its own."""
    found: set[str] = set()
    ahead = [other for other in imported[layer] if other != layer]
    while ahead:
        each = ahead.pop()
        if each not in found:
            found.add(each)
            ahead += [other for other in imported.get(each, ()) if other != each]
    return found


def test_the_engine_knows_no_stories() -> None:
    told = {"story", "capture", "cli"}
    for module in modules_below("", "__main__", *told):
        assert not [t for t, _ in inside_imports(module) if t.partition(".")[0] in told]


def test_the_handshake_knows_no_records() -> None:
    # It is the rule most worth holding, so it stands here by itself.
    for module in modules().values():
        if module.layer in ("handshake", "certificates", "wire", "crypto", "keys"):
            assert not [t for t, _ in inside_imports(module) if t.partition(".")[0] == "record"]


def test_only_the_command_line_reads_captures() -> None:
    wrong = [
        str(Import(module.name, target))
        for module in modules_below("capture", "cli")
        for target, _ in inside_imports(module)
        if target.partition(".")[0] == "capture"
    ]
    assert wrong == []
    # The rest of `capture` takes what was read, from whatever reader.
    for module in modules().values():
        if module.layer == "capture" and module.name != "capture.tshark":
            assert "capture.tshark" not in {target for target, _ in inside_imports(module)}


@pytest.mark.parametrize("layer", ["adapters", "cli"])
def test_the_outside_builds_on_the_public_surface(layer: str) -> None:
    # What can be imported, and the tool that puts an import off.
    public = public_modules() | {"", "aio", "asgi", "trio", "deferred", *PUBLIC_MODULES}
    wrong = [
        str(Import(module.name, f"{target}:{name}"))
        for module in modules().values()
        if module.layer == layer
        for target, name in inside_imports(module)
        if target not in public and target.partition(".")[0] != layer
    ]
    assert wrong == []


def test_what_is_taken_from_the_package_is_public() -> None:
    import handclasp

    wrong = [
        str(Import(module.name, name))
        for module in modules().values()
        for target, name in inside_imports(module)
        if not target and name and name not in handclasp.__all__ and name != "__version__"
    ]
    assert wrong == []


def test_nothing_private_crosses_modules() -> None:
    wrong = [
        str(Import(module.name, f"{target}:{name}"))
        for module in modules().values()
        for target, name in inside_imports(module)
        if name.startswith("_") and name != "__version__"
    ]
    assert wrong == []


def test_no_import_is_relative() -> None:
    for module in modules().values():
        for node in ast.walk(module.tree):
            assert not (isinstance(node, ast.ImportFrom) and node.level), module.name


@pytest.mark.parametrize("module", modules_below(*ADAPTERS), ids=lambda module: module.name)
def test_the_protocol_does_no_input_or_output(module: Module) -> None:
    forbidden = outside_imports(module) & NEVER_BELOW_ADAPTERS
    assert forbidden == EXCEPTIONS.get(module.name, set())


@pytest.mark.parametrize("module", modules_below(*ADAPTERS), ids=lambda module: module.name)
def test_time_and_chance_come_from_the_config(module: Module) -> None:
    if module.name in SOURCES_OF_TIME_AND_CHANCE:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute):
            assert node.attr not in {"urandom", "getrandom", "monotonic", "utcnow", "token_bytes"}
            is_now = isinstance(node.value, ast.Name) and node.value.id == "datetime"
            assert not (is_now and node.attr in {"now", "today"})


def test_the_only_dependency_is_cryptography() -> None:
    for module in modules_below("cli"):
        strange = outside_imports(module) - DEPENDENCIES - sys.stdlib_module_names
        assert strange == set(), module.name
    for module in modules().values():
        own = {package for package, written in WRITTEN_FOR.items() if module.name in written}
        own |= {"h11"} if "uvicorn" in own else set()  # uvicorn's own dependency.
        wrong = imported_at_once(module) & (OPTIONAL - own)
        assert not wrong, f"{module.name} needs what is optional"


def imported_at_once(module: Module) -> set[str]:
    """The names of the modules and packages that are imported together with a module.

    An import that may fail counts, and one for type checkers does not.
    """
    found: set[str] = set()
    blocks = [module.tree.body]
    while blocks:
        for node in blocks.pop():
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {f"{node.module}.{alias.name}" for alias in node.names} | {
                    str(node.module)
                }
            elif isinstance(node, ast.Try):
                blocks.append(node.body)
    return found | {name.partition(".")[0] for name in found}


def test_what_is_written_for_an_optional_package_is_not_imported_unasked() -> None:
    for package, written in WRITTEN_FOR.items():
        names = {f"handclasp.{name}" for name in written}
        for module in modules().values():
            if module.name in written:
                assert package in imported_at_once(module)
            elif module.name != package:
                assert not names & imported_at_once(module), module.name


SELDOM = (
    "asyncio",
    "tempfile",
    "cryptography.x509",
    "handclasp.story",
    "handclasp.trace.events",
    "handclasp.handshake.server",
    "handclasp.handshake.tls12.client",
    "handclasp.certificates.transparency",
)


def test_what_few_need_is_not_imported_at_once() -> None:
    program = "import sys, handclasp; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "handclasp.connection" in done.stdout.split()
    assert not set(SELDOM) & set(done.stdout.split())
