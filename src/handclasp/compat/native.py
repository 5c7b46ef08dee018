"""The C part of `ssl`, which has no public name: `_ssl`, imported here alone.

`Native` is the C base class of `ssl.SSLContext`. Its attributes are descriptors that keep and check
the settings of every context, and are called by name where a context of handclasp overrides them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_ssl: Any = import_module("_ssl")

Native: Any = _ssl._SSLContext
ENCODING_PEM: int = _ssl.ENCODING_PEM
ENCODING_DER: int = _ssl.ENCODING_DER
