"""The verdict of `cert check` is the decision's, also beyond what its words can compare."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from tests.certificates.test_verdict import KEY, ROOT, excluding, many_paths
from tests.cli.conftest import Run
from tests.pki import Leaf, pem_of


def check(
    run: Run, directory: Path, chain: Sequence[x509.Certificate], anchor: bytes, name: str
) -> tuple[int, dict[str, object]]:
    (directory / "chain.pem").write_bytes(pem_of(*chain))
    (directory / "ca.pem").write_bytes(anchor)
    arguments = [
        str(directory / "chain.pem"),
        "--name",
        name,
        "--ca",
        str(directory / "ca.pem"),
    ]
    as_json = run("cert", "check", *arguments, "--json")
    as_text = run("cert", "check", *arguments)
    value = json.loads(as_json.stdout)
    assert as_text.exit_code == as_json.exit_code
    assert ("Trusted: every rule held" in as_text.stdout) is value["accepted"]
    return as_json.exit_code, value


def test_a_name_that_is_excluded_among_many(run: Run, tmp_path: Path) -> None:
    root, chain = excluding(70, 70)
    code, value = check(run, tmp_path, chain, pem_of(root.certificate), "h0.example")
    assert (code, value["accepted"], value["fault"]) == (1, False, "BAD_CERTIFICATE")
    assert value["reasons"]


def test_a_name_that_ends_in_a_dot(run: Run, tmp_path: Path) -> None:
    chain = [ROOT.issue(Leaf(["www.example.com."]), KEY)]
    code, value = check(run, tmp_path, chain, ROOT.pem, "www.example.com")
    assert (code, value["fault"]) == (1, "CERTIFICATE_NAME_MISMATCH")


def test_a_path_beyond_those_that_the_walk_tries(run: Run, tmp_path: Path) -> None:
    chain, trust = many_paths()
    code, value = check(run, tmp_path, chain, pem_of(*trust.anchors), "a.example")
    assert (code, value["accepted"], value["reasons"]) == (0, True, [])
