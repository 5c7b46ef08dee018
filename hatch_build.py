"""Builds `handclasp._speedups` into a wheel, and makes the readme that package indexes show.

Where there is no C compiler, the extension is left out. With HANDCLASP_PURE in the environment it
is left out in any case, and the wheel is for every platform. With HANDCLASP_REQUIRE_SPEEDUPS a
failure of the compiler ends the build.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface
from setuptools import Distribution, Extension

_NAME = "handclasp._speedups"
_SOURCE = "src/handclasp/_speedups.c"
# A link of Markdown to a file of the repository: no address, and no heading of the same page.
_RELATIVE_LINK = re.compile(r"\]\((?![a-z]+:|#|/)([^)\s]+)\)")


class ReadmeHook(MetadataHookInterface):
    """Makes the links of the readme absolute: an index shows it without the files around it."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the readme, with the address of the source before each path."""
        written = Path(self.root, "README.md").read_text("utf-8")
        source = metadata["urls"]["Source"]
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": _RELATIVE_LINK.sub(rf"]({source}\1)", written),
        }


class SpeedupsHook(BuildHookInterface[Any]):
    """Compiles one file, and makes the wheel one for this Python and this platform."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile into the wheel, or beside the source where the install is editable."""
        is_editable = version == "editable"
        if is_editable:
            # Where none is built, one of an older build would be left beside the source.
            Path(self.root, _built_name()).unlink(missing_ok=True)
        if os.environ.get("HANDCLASP_PURE") or not _fits_this_python():
            return
        self._made = tempfile.TemporaryDirectory()
        target = Path(self.root, "src") if is_editable else Path(self._made.name)
        try:
            built = _compile(Path(self.root, _SOURCE), target, Path(self._made.name))
        except Exception as error:
            if os.environ.get("HANDCLASP_REQUIRE_SPEEDUPS"):
                raise
            self.app.display_info(f"{_NAME} is left out: {error}")
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        if not is_editable:
            build_data["force_include"][str(built)] = f"handclasp/{built.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was made on the way."""
        if hasattr(self, "_made"):
            self._made.cleanup()


def _fits_this_python() -> bool:
    """Say whether the extension is for this Python: CPython, with its global lock."""
    has_lock = not sysconfig.get_config_var("Py_GIL_DISABLED")
    return sys.implementation.name == "cpython" and has_lock


def _built_name() -> str:
    """Return where an editable installation has the extension for this Python."""
    return f"{_SOURCE.removesuffix('.c')}{sysconfig.get_config_var('EXT_SUFFIX')}"


def _compile(source: Path, target: Path, scratch: Path) -> Path:
    """Compile with what setuptools finds, which is what built this Python."""
    # What debuggers read would name the directory of the build: the same source, other bytes.
    flags = [] if sys.platform == "win32" else ["-g0"]
    extension = Extension(_NAME, [str(source)], extra_compile_args=flags)
    distribution = Distribution({"ext_modules": [extension]})
    command = distribution.get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(target), str(scratch)
    command.ensure_finalized()
    command.run()
    return Path(command.get_ext_fullpath(_NAME))
