"""The module `ssl` with connections of handclasp: `import handclasp.ssl as ssl`.

It has every name of the standard library's `ssl`. `SSLContext` and the functions that make contexts
are handclasp's, and everything else is the standard library's own, so that exceptions and
`isinstance` checks mean the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from handclasp.compat.activation import look_alike

if TYPE_CHECKING:
    # A type checker sees the names of `ssl`, which are filled in below.
    from ssl import *  # noqa: F403  # pyright: ignore[reportWildcardImportFromLibrary]

    from handclasp.compat.context import SSLContext as SSLContext

look_alike(globals())
