"""The tests on each Python that the package names as supported: `make pythons`.

A Python that is not here is skipped, with a word. `nox -p 3.13` takes one alone, and what comes
after `--` goes to pytest: `nox -p 3.13 -- tests/adapters -x`.
"""

from __future__ import annotations

import nox

nox.needs_version = ">=2025.2.9"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True


@nox.session(python=nox.project.python_versions(nox.project.load_toml("pyproject.toml")))
def tests(session: nox.Session) -> None:
    """Run what `make test` runs."""
    session.install("--editable", ".", "--group", "dev")
    chosen = session.posargs or ["-m", "not (long or interop or browser or capture)"]
    session.run("python", "-m", "pytest", "-n", "auto", "--dist", "loadfile", *chosen)
