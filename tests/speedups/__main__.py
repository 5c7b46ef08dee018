"""`python -m tests.speedups`: tests of records and HMAC, `_speedups.c` under gcc's sanitizers.

In a copy of the source, the file is compiled without a warning (-Wall -Wextra -Werror), and with
checks of every access to memory and of undefined behaviour. The interpreter gets its memory from
malloc, so that objects are checked as well. Arguments are those of pytest; without any, the tests
that reach the extension are run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
WARNINGS = ("-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wvla", "-Werror")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
TESTS = (
    "tests/record",
    "tests/crypto/test_hmac_key.py",
    "tests/crypto/test_hkdf.py",
    "tests/end_to_end/test_data.py",
    "tests/adversarial/test_records.py",
)


def main() -> int:
    """Compile, and run the tests."""
    parser = argparse.ArgumentParser(prog="python -m tests.speedups")
    arguments = parser.parse_known_args()[1]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "src"
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("_speedups.*.so"))
        compile_into(source / "handclasp")
        # Leaks are looked for by tests: the interpreter keeps much until its end.
        environment = os.environ | {
            "ASAN_OPTIONS": "detect_leaks=0",
            "HANDCLASP_PURE": "",
            "HANDCLASP_REQUIRE_PEERS": "1",
            "LD_PRELOAD": f"{_library('libasan.so')} {_library('libubsan.so')}",
            "PYTHONMALLOC": "malloc",
            "PYTHONPATH": str(source),
        }
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        return subprocess.run(
            [*command, *(arguments or TESTS)], cwd=ROOT, env=environment, check=False
        ).returncode


def compile_into(package: Path) -> None:
    """Compile the extension beside its source. Raises `CalledProcessError`."""
    built = package / f"_speedups{sysconfig.get_config_var('EXT_SUFFIX')}"
    include = f"-I{sysconfig.get_paths()['include']}"
    options = ["-std=c11", "-O1", "-g", "-fPIC", "-shared", *WARNINGS, *SANITIZERS, include]
    command = ["gcc", *options, str(package / "_speedups.c"), "-o", str(built)]
    subprocess.run(command, check=True)


def _library(name: str) -> str:
    """Return where gcc has a library, which must be there before the interpreter starts."""
    found = subprocess.run(
        ["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True
    )
    return found.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
