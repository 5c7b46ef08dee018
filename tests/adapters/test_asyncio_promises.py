"""Every promise of asyncio's, kept by asyncio with `ssl` and by handclasp in the same scenario."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.loops import ON_UVLOOP
from tests.adapters.promises import ROWS, Row, ours, table, theirs

from handclasp.config import ClientConfig, ServerConfig

DOCUMENT = Path(__file__).parents[2] / "docs" / "asyncio.md"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.scenario.__name__)
def test_promise(
    row: Row,
    client_config: ClientConfig,
    server_config: ServerConfig,
    ssl_client: ssl.SSLContext,
    ssl_server: ssl.SSLContext,
) -> None:
    stacks = theirs(ssl_client, ssl_server), ours(client_config, server_config)
    standard, here = (run(row, stack) for stack in stacks)
    if ON_UVLOOP and row.on_uvloop is not None:
        assert (standard, here) == row.on_uvloop
    elif row.standard is None and row.here is None:
        assert here == standard
    else:
        assert (standard, here) == (row.standard, row.here)


def run(row: Row, stack: Any) -> Any:
    try:
        return asyncio.run(asyncio.wait_for(row.scenario(stack), 30))
    except (TypeError, NotImplementedError) as error:
        if ON_UVLOOP and row.on_uvloop is not None:
            return type(error).__name__
        raise


def test_the_document_has_the_table() -> None:
    """`python -m tests.adapters.promises` prints it."""
    rows = [line for line in table().splitlines() if line.startswith("| `")]
    text = DOCUMENT.read_text(encoding="utf-8")
    missing = [line for line in rows if line not in text]
    assert not missing
