"""Blocks in PEM: which ones are found, and what a text without an end costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from handclasp import ConfigurationError, EchConfigList, EchKey
from handclasp.certificates.pem import pem_blocks
from handclasp.compat.authorities import Loaded
from handclasp.compat.credentials import load_credentials

SECONDS = 2
LINES = 16_000


def lines(kind: str, label: str) -> bytes:
    return f"-----{kind} {label}-----\n".encode()


def test_blocks_are_found_by_their_own_labels() -> None:
    text = b"".join(
        [
            b"Some words.\n",
            lines("END", "A"),
            lines("BEGIN", "A B") + lines("BEGIN", "A") + b"one\n" + lines("END", "A"),
            lines("BEGIN", "C") + b"no end\n",
            lines("BEGIN", "A") + b"two\n" + lines("END", "A"),
        ]
    )
    found = list(pem_blocks(text))
    assert [(block.label, block.body) for block in found] == [("A", b"\none\n"), ("A", b"\ntwo\n")]
    assert found[0].text == b"-----BEGIN A-----\none\n-----END A-----"


def load_key(data: bytes, path: Path) -> None:
    (path / "key.pem").write_bytes(data)
    load_credentials(path / "key.pem", None, None)


@pytest.mark.parametrize(
    ("label", "load"),
    [
        ("ECHCONFIG", lambda data, _: EchConfigList.load(data)),
        ("PRIVATE KEY", lambda data, _: EchKey.load(data)),
        ("X509 CRL", lambda data, _: Loaded().add_data(data.decode())),
        ("EC PRIVATE KEY", load_key),
    ],
)
def test_beginnings_without_an_end_cost_linear_time(
    label: str, load: Callable[[bytes, Path], object], tmp_path: Path
) -> None:
    data = lines("BEGIN", label) * LINES
    began = time.process_time()
    with suppress(ConfigurationError):
        load(data, tmp_path)
    # A search for each END from each BEGIN takes 20 seconds and more.
    assert time.process_time() - began < SECONDS


@pytest.mark.parametrize("load", [EchConfigList.load, EchKey.load])
def test_files_of_ech_are_bounded(load: Callable[[Path | bytes], object], tmp_path: Path) -> None:
    text = EchKey.generate("public.test").to_pem() + b"\n" * (1 << 20)
    path = tmp_path / "ech.pem"
    path.write_bytes(text)
    path.chmod(0o600)
    for source in (text, path):
        with pytest.raises(ConfigurationError, match="is too long: it may have 1,048,576 bytes"):
            load(source)
    load(text[: 1 << 20])
