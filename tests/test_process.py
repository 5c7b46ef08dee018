"""The name of this process: another one in each forked child, and the same ever after."""

from __future__ import annotations

import os

import pytest
from tests.security.test_forks import told_by_child

from handclasp import process
from handclasp.process import this_process

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here"),
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),
]


def test_it_stays_the_same() -> None:
    assert this_process() == this_process()
    assert len(this_process()) == 16


def test_no_two_processes_have_the_same() -> None:
    names = [this_process(), told_by_child(this_process), told_by_child(this_process)]
    assert len(set(names)) == 3
    assert told_by_child(lambda: this_process() + this_process()) not in names
    assert this_process() == names[0]


def test_a_fork_that_python_is_not_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    name, pid = this_process(), os.getpid()
    monkeypatch.setattr(process._this, "name", name)
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    other = this_process()
    assert other != name
    assert this_process() == other


def test_a_child_with_the_number_of_an_ancestor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers come again; a name does not."""
    name, pid = this_process(), os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid)
    assert told_by_child(this_process) != name
