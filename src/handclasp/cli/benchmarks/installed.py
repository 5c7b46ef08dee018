"""Which of the stacks are there to be compared."""

from __future__ import annotations

import importlib
import ssl
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from handclasp.cli.benchmarks.pyrtls import Pyrtls
from handclasp.cli.benchmarks.stacks import Handclasp, PyOpenSsl, Stack, StandardLibrary
from handclasp.cli.benchmarks.tlslite import TlsliteNg


def installed_stacks() -> Iterator[Stack]:
    """This library, `ssl`, and what else can be imported."""
    yield Handclasp()
    yield StandardLibrary("ssl", ssl, ssl.OPENSSL_VERSION)
    if (module := _imported("OpenSSL.SSL")) is not None:
        told = module.SSLeay_version(module.SSLEAY_VERSION).decode()
        yield PyOpenSsl("pyOpenSSL", module, told)
    if (module := _imported("rtls")) is not None:
        yield StandardLibrary("rtls", module, f"{version('rtls')} (rustls)")
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
