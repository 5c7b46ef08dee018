"""Imports go downward only, and the protocol touches neither the network nor the clock."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass
from typing import NamedTuple

import pytest
from tests.rules.source import Module, inside_imports, modules, modules_below, outside_imports

# layer -> what its modules may import, as prefixes of module names
ARROWS: dict[str, tuple[str, ...]] = {
    "addresses": (),
    "faults": ("addresses", "advice", "faults", "iana"),
    "alerts": ("advice", "alerts", "faults", "iana", "values", "wording"),
    "errors": ("alerts", "faults", "iana"),
    "limits": ("errors", "values"),
    "info": (
        "certificates.alternative_names",
        "certificates.evidence",
        "deferred",
        "iana",
        "values",
    ),
    "private_files": (),
    "input_files": (),
    "values": (),
    "advice": (),
    "descriptors": (),
    "wording": (),
    "deferred": (),
    "explained": ("errors",),
    "process": (),
    "synchronous": ("errors",),
    "trusted_files": (),
    "kept": ("process",),
    "iana": ("iana", "wording"),
    "wire": ("wire", "iana", "advice", "errors", "faults", "values", "kept"),
    "crypto": ("_speedups", "crypto", "speedups", "iana", "errors", "values"),
    "keys": ("keys", "crypto", "iana", "wire", "values"),
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
        "input_files",
        "private_files",
        "process",
        "trusted_files",
        "kept",
        "synchronous",
        "wording",
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
        "ech",
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
        "synchronous",
    ),
    "trace": (
        "addresses",
        "trace",
        "iana",
        "wire",
        "info",
        "errors",
        "private_files",
        "process",
        "crypto.secret",
        "values",
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
        "values",
        "wording",
    ),
    "starttls": ("explained", "starttls", "values", "wire.records"),
    "capture": (
        "capture",
        "starttls",
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
        "input_files",
        "values",
    ),
    "scan": (
        "scan",
        "advice",
        "certificates",
        "client",
        "config",
        "crypto",
        "descriptors",
        "dns.errors",
        "dns.records",
        "errors",
        "events",
        "iana",
        "info",
        "limits",
        "sessions.store",
        "starttls",
        "trace.events",
        "trace.recorder",
        "values",
        "wire",
        "wording",
    ),
    "questions": (
        "certificates.credentials",
        "certificates.verify",
        "ech",
        "sessions.psk",
        "values",
    ),
    "events": ("questions", "info", "values"),
    "sessions": (
        "sessions",
        "input_files",
        "crypto",
        "wire.reader",
        "wire.structs",
        "wire.writer",
        "errors",
        "faults",
        "synchronous",
        "values",
        "process",
        "private_files",
        "trusted_files",
    ),
    "derived": ("sessions", "wire"),
    "ech": (
        "certificates.key_files",
        "certificates.loading",
        "certificates.names",
        "certificates.pem",
        "certificates.reloading",
        "crypto",
        "errors",
        "faults",
        "iana",
        "synchronous",
        "values",
        "wire.ech",
        "wording",
    ),
    "config": (
        "config",
        "derived",
        "ech",
        "wire.compression",
        "certificates",
        "crypto",
        "questions",
        "limits",
        "errors",
        "sessions",
        "synchronous",
        "trace.keylog",
        "values",
        "wording",
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
        "ech",
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
OUTER = (
    "adapters",
    "serving",
    "cli",
    "compat",
    "ssl",
    "aio",
    "asgi",
    "trio",
    "dns",
    "redis",
    "metrics",
    "testing",
    "__main__",
    "",
)

# What talks to the system: the adapters, and in `capture` the module that has a program read the
# files of others, and those that relay and watch. `capture` stands beside the adapters: only the
# command line imports it, and so it is with `scan`, where one module makes the connections,
# one asks the system for addresses, and one forks the processes that do both.
# In `starttls`, one module holds a dialogue over a socket.
ADAPTERS = (
    "adapters",
    "serving",
    "cli",
    "compat",
    "ssl",
    "aio",
    "trio",
    "asgi",
    "dns",
    "redis",
    "metrics",
    "testing",
    "",
    "capture.relay",
    "capture.tshark",
    "capture.watching",
    "scan.names",
    "scan.runner",
    "scan.workers",
    "starttls.blocking",
)

# Modules that applications may import besides the package itself: the local authority, what a
# policy holds, the explanation of a certificate, and the parts of a trace.
PUBLIC_MODULES = (
    "certificates",
    "certificates.authority",
    "certificates.dane",
    "certificates.describe",
    "certificates.doctor",
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
    "capture.proxy_head",
    "capture.relay",
    "capture.secrets",
    "capture.segment",
    "capture.segments",
    "capture.stream",
    "capture.tshark",
    "capture.watching",
    "descriptors",
    "dns",
    "explained",
    "private_files",
    "scan",
    "scan.workers",
    "speedups",
    "starttls",
    "starttls.blocking",
    "starttls.dialogue",
    "starttls.proxy",
    "starttls.proxy_protocol",
    "story.diagnosis",
    "story.diff",
    "story.evidence",
    "story.facts",
    "story.fingerprints",
    "story.guides",
    "story.guides.alerts",
    "story.narrate",
    "story.page",
    "story.situation",
    "testing",
    "trace.events",
    "trace.hooks",
    "trace.keylog",
    "trace.pcapng",
    "wording",
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
    "input_files": {"select"},  # Waits for the writer of a pipe that the user named.
    "trace.recorder": {"time"},
    "certificates.credentials": {"time"},
    "certificates.reloading": {"time"},
    "certificates.key_files": {"logging"},
    "ech": {"time"},
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
    "dns",  # dnspython
    "h11",
    "hypercorn",
    "hypothesis",
    "idna",
    "jinja2",
    "markupsafe",
    "prometheus_client",
    "publicsuffixlist",
    "pytest",
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
    "prometheus_client": {"metrics", "serving.exposition", "serving.metering"},
    "hypothesis": {"testing.strategies"},
    "pytest": {"testing.pytest_plugin"},
    "trio": {
        "adapters.trio",
        "adapters.trio_accepting",
        "adapters.trio_duplex",
        "adapters.trio_stream",
    },
    "uvicorn": {"adapters.asgi_uvicorn", "serving.http"},
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
    "ech",  # Gives a key its number, before any connection; looks at its files now and then.
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
    told = {"story", "capture", "scan", "cli"}
    for module in modules_below("", "__main__", *told):
        assert not [t for t, _ in inside_imports(module) if t.partition(".")[0] in told]


def test_only_the_command_line_misbehaves() -> None:
    """What deviates lives in `testing` alone, where no server in production can reach it."""
    allowed_here = {"cli.faulty"}
    wrong = [
        str(Import(module.name, target))
        for module in modules_below("testing", *allowed_here)
        for target, _ in inside_imports(module)
        if target.partition(".")[0] == "testing"
    ]
    assert wrong == []


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
    # What can be imported, the tool that puts an import off, the one that knows awaitables, the one
    # that reads what a user names, and the one that knows IPv4-mapped addresses.
    tools = {"deferred", "synchronous", "input_files", "addresses"}
    public = public_modules() | {"", "aio", "asgi", "trio"} | tools | set(PUBLIC_MODULES)
    wrong = [
        str(Import(module.name, f"{target}:{name}"))
        for module in modules().values()
        if module.layer == layer
        for target, name in inside_imports(module)
        # The command line has a server of its own, which nobody else uses.
        if target not in public and target.partition(".")[0] not in {layer, "serving"}
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


def test_no_module_imports_inspect_or_dataclasses() -> None:
    """Both take long, and `synchronous` and `values` have what is needed of them."""
    for module in modules_below("cli", *WRITTEN_FOR["trio"]):
        slow = {"inspect", "dataclasses"} & imported_at_once(module)
        assert not slow, f"{module.name} imports {slow}"


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


# What takes long to import, and what may be there once each thing was done: the modules of the
# standard library and of cryptography, and how many of ours.
SLOW = {
    "ast",
    "asyncio",
    "cryptography.x509",
    "dataclasses",
    "inspect",
    "ipaddress",
    "json",
    "logging",
    "multiprocessing",
    "pathlib",
    "socket",
    "ssl",
    "subprocess",
    "tempfile",
    "threading",
    "typing",
}
NETWORK = {"ipaddress", "pathlib", "socket", "threading", "typing"}


class Step(NamedTuple):
    """A program, and what of `SLOW` and how many modules of the package it loads at most."""

    program: str
    slow: set[str]
    ours: int


HANDSHAKE = """
from handclasp import ClientConfig, ClientConnection, PreSharedKey, ServerConfig, ServerConnection
psks = [PreSharedKey(b"id", bytes(range(32)))]
client = ClientConnection(ClientConfig(psks=psks), server_name="a.test")
server = ServerConnection(ServerConfig(psks=psks))
while not (client.established and server.established):
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
"""

# One of the modules of ours is the accelerator, where it was built.
STEPS = {
    "import": Step("import handclasp", set(), 1),
    "a name of it": Step("from handclasp import TLSError", {"typing"}, 21),
    # click needs most of them.
    "the command line": Step(
        "import handclasp.cli.application", SLOW - {"asyncio", "cryptography.x509", "ssl"}, 35
    ),
    "connect": Step("from handclasp import connect", NETWORK, 184),
    "a client's hello": Step(
        "from handclasp import ClientConfig, ClientConnection\n"
        "ClientConnection(ClientConfig(verify_peer=False), server_name='a.test')",
        NETWORK - {"socket"},
        171,
    ),
    "a handshake without certificates": Step(HANDSHAKE, NETWORK - {"socket"}, 187),
}


@pytest.mark.parametrize("step", STEPS)
def test_what_few_need_is_not_imported_at_once(step: str) -> None:
    program, slow, ours = STEPS[step]
    loaded = modules_after(program)
    assert loaded & SLOW <= slow
    assert len([name for name in loaded if name.partition(".")[0] == "handclasp"]) <= ours


SELDOM = {
    "handclasp.story",
    "handclasp.trace.events",
    "handclasp.handshake.server",
    "handclasp.handshake.tls12.client",
    "handclasp.certificates.transparency",
}


def test_a_client_needs_nothing_of_servers() -> None:
    loaded = modules_after(STEPS["a client's hello"].program)
    assert "handclasp.connection" in loaded
    assert not SELDOM & loaded


def modules_after(program: str) -> set[str]:
    """The names of the modules that are loaded after a program."""
    command = [sys.executable, "-c", f"import sys\n{program}\nprint(*sys.modules)"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_public_names_are_listed_alike_everywhere() -> None:
    """The type checkers read one list, the interpreter another, and users a third."""
    import handclasp

    checked = {
        (target, name)
        for target, name in inside_imports(modules()[""])
        if target not in ("aio", "asgi", "trio")
    }
    imported = {
        (target, name)
        for target, names in vars(handclasp)["_NAMES"].items()
        for name in names.split()
    }
    assert checked == imported
    assert {name for _, name in imported} | {"aio"} == set(handclasp.__all__)
    assert len(set(handclasp.__all__)) == len(handclasp.__all__)


def test_names_are_found_once_and_strangers_are_not() -> None:
    import handclasp

    assert handclasp.connect is vars(handclasp)["connect"]
    missing = "conect"
    with pytest.raises(AttributeError, match="'handclasp' has no attribute 'conect'"):
        getattr(handclasp, missing)
    with pytest.raises(ImportError, match="cannot import name 'conect'"):
        exec("from handclasp import conect")


def test_threads_may_import_names_at_once() -> None:
    program = """
import random, sys, threading
import handclasp
sys.setswitchinterval(1e-6)
barrier, failed = threading.Barrier(8), []
def run(seed):
    names = list(handclasp.__all__)
    random.Random(seed).shuffle(names)
    barrier.wait()
    for name in names:
        try:
            getattr(handclasp, name)
        except BaseException as error:
            failed.append(repr(error))
threads = [threading.Thread(target=run, args=(seed,)) for seed in range(8)]
[each.start() for each in threads]
[each.join() for each in threads]
print(failed)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"


def test_help_shows_every_name() -> None:
    import pydoc

    import handclasp

    text = pydoc.plain(pydoc.render_doc(handclasp))
    for name in ("connect(", "class ClientConfig", "class TLSSocket", "explain("):
        assert name in text
