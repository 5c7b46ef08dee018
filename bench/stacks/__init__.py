"""The stacks that this library is compared with besides `ssl`, as far as they are installed."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from bench.stacks.pyopenssl import PyOpenSsl
from bench.stacks.pyrtls import Pyrtls
from bench.stacks.rtls import Rtls
from bench.stacks.tlslite import TlsliteNg
from handclasp.cli.benchmarks.stacks import Stack, own_and_ssl


def installed_stacks() -> Iterator[Stack]:
    """This library, `ssl`, and what else can be imported."""
    yield from own_and_ssl()
    if (module := _imported("OpenSSL.SSL")) is not None:
        told = module.SSLeay_version(module.SSLEAY_VERSION).decode()
        yield PyOpenSsl("pyOpenSSL", module, told)
    if (module := _imported("rtls")) is not None:
        yield Rtls("rtls", module, f"{version('rtls')} (rustls)")
    if (module := _imported("pyrtls")) is not None:
        yield Pyrtls(module, f"{version('pyrtls')} (rustls)")
    if (module := _imported("tlslite.api")) is not None:
        yield TlsliteNg(module, version("tlslite-ng"))


def _imported(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Of what they import: not ours to fix.
        try:
            return importlib.import_module(name)
        except ImportError:
            return None
