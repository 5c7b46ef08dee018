"""Whether the accelerator is used: it is not where it was built from another revision."""

from __future__ import annotations

import ast
import hashlib
import re
import runpy
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.required import need_module, need_speedups

import handclasp
from handclasp import speedups

ROOT = Path(__file__).parents[1]
SOURCE = Path(handclasp.__file__).with_name("_speedups.c")
RECORDED = (2, "2a3847a0812ba1f2")
"""The revision, and the digest of the C that has it (without comments and space)."""

_MODULE = "handclasp._speedups"


def stale(**names: object) -> ModuleType:
    """An accelerator that has these names, and no others."""
    module = ModuleType(_MODULE)
    module.__dict__.update(names)
    return module


def test_the_python_and_the_c_have_the_same_revision() -> None:
    (written,) = re.findall(r"\bREVISION = (\d+)", SOURCE.read_text("utf-8"))
    assert int(written) == speedups.REVISION


def test_a_change_of_the_c_raises_the_revision() -> None:
    code = re.sub(r"/\*.*?\*/|\s+", "", SOURCE.read_text("utf-8"), flags=re.DOTALL)
    digest = hashlib.sha256(code.encode()).hexdigest()[:16]
    assert (speedups.REVISION, digest) == RECORDED, (
        "The C has changed: raise REVISION in speedups.py and _speedups.c, then record both here."
    )


def test_it_has_every_name_that_its_types_list() -> None:
    built = need_speedups()
    listed = ast.parse(SOURCE.with_suffix(".pyi").read_text("utf-8")).body
    assert names_missing(listed, built) == []


def names_missing(listed: list[ast.stmt], owner: Any) -> list[str]:
    """The functions, classes and variables among the statements that `owner` does not have."""
    missing = []
    for entry in listed:
        if isinstance(entry, ast.AnnAssign):
            name = ast.unparse(entry.target)
        elif isinstance(entry, ast.FunctionDef | ast.ClassDef):
            name = entry.name
        else:
            continue
        if not hasattr(owner, name):
            missing.append(name)
        elif isinstance(entry, ast.ClassDef):
            missing += names_missing(entry.body, getattr(owner, name))
    return missing


@pytest.mark.parametrize("names", [{}, {"REVISION": speedups.REVISION - 1}])
def test_one_of_another_revision_is_not_used(
    names: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HANDCLASP_PURE", raising=False)
    monkeypatch.setitem(sys.modules, _MODULE, stale(**names))
    with pytest.warns(RuntimeWarning, match=r"another revision .* `pip install -e \.`") as warned:
        assert speedups._choose() == (
            False,
            "pure Python: the accelerator was built from another revision of handclasp",
        )
    assert len(warned) == 1


def test_one_that_cannot_be_imported_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that takes a name out of the source around it which is there no longer."""

    def import_module(name: str) -> ModuleType:
        raise AttributeError("module 'handclasp.crypto.hashes' has no attribute 'TABLE'")

    monkeypatch.delenv("HANDCLASP_PURE", raising=False)
    monkeypatch.setattr(speedups, "import_module", import_module)
    with pytest.warns(RuntimeWarning, match=r"cannot be imported \(.*'TABLE'\)"):
        in_use, form = speedups._choose()
    assert not in_use
    assert form.startswith("pure Python: the accelerator cannot be imported (")


def test_where_none_was_built_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HANDCLASP_PURE", raising=False)
    monkeypatch.setitem(sys.modules, _MODULE, None)  # As if there were none.
    assert speedups._choose() == (False, "pure Python")


def test_an_editable_installation_without_a_compiler_leaves_no_older_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The remedy of the warning would be none otherwise."""
    need_module("hatchling")
    hook = runpy.run_path(str(ROOT / "hatch_build.py"))["SpeedupsHook"]
    (tmp_path / "src/handclasp").mkdir(parents=True)
    stale = tmp_path / f"src/handclasp/_speedups{sysconfig.get_config_var('EXT_SUFFIX')}"
    for version, left in (("standard", True), ("editable", False)):
        stale.write_bytes(b"of an older build")
        monkeypatch.setenv("HANDCLASP_PURE", "1")
        hook(str(tmp_path), {}, None, None, str(tmp_path), "wheel").initialize(version, {})
        assert stale.exists() == left


def test_the_command_says_so_and_works() -> None:
    """In a process of its own, where every module chooses its form anew."""
    program = (
        "import sys, types\n"
        f"sys.modules[{_MODULE!r}] = types.ModuleType({_MODULE!r})\n"
        "from handclasp.record import record_key\n"
        "assert record_key.RecordKey is record_key.PureRecordKey\n"
        "from handclasp.cli import main\n"
        "sys.argv = ['handclasp', '--version']\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(SOURCE.parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.endswith(
        " (pure Python: the accelerator was built from another revision of handclasp)\n"
    )
    assert done.stderr.count("RuntimeWarning") == 1
