"""What was set on the contexts of `ssl`, told to configs of ours."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from handclasp import Credentials

_SETTINGS: WeakKeyDictionary[ssl.SSLContext, dict[str, Any]] = WeakKeyDictionary()
_VERSIONS = {
    "TLSv1.2": (ssl.TLSVersion.TLSv1_2, ssl.OP_NO_TLSv1_2),
    "TLSv1.3": (ssl.TLSVersion.TLSv1_3, ssl.OP_NO_TLSv1_3),
}
_OF_ONE_VERSION = {
    ssl.PROTOCOL_TLSv1: "TLSv1",
    ssl.PROTOCOL_TLSv1_1: "TLSv1.1",
    ssl.PROTOCOL_TLSv1_2: "TLSv1.2",
}
_SETTERS = ("load_cert_chain", "load_verify_locations", "set_alpn_protocols", "set_ecdh_curve")


def watch_settings() -> None:
    """Note what is set on contexts, which they do not tell."""
    for name in _SETTERS:
        _note_calls(name)


def _note_calls(name: str) -> None:
    real = getattr(ssl.SSLContext, name)

    def note(self: ssl.SSLContext, *arguments: Any, **named: Any) -> Any:
        given = _SETTINGS.setdefault(self, {}).setdefault(name, [])
        given.append((arguments, named))
        return real(self, *arguments, **named)

    setattr(ssl.SSLContext, name, note)


def _calls(context: ssl.SSLContext, name: str) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    return list(_SETTINGS.get(context, {}).get(name, []))


def credentials_of(context: ssl.SSLContext) -> list[Credentials]:
    return [
        Credentials.load(arguments[0], (arguments[1:2] or (None,))[0] or arguments[0])
        for arguments, _ in _calls(context, "load_cert_chain")
    ]


def alpn_of(context: ssl.SSLContext) -> list[str]:
    calls = _calls(context, "set_alpn_protocols")
    return list(calls[-1][0][0]) if calls else []


def curve_of(context: ssl.SSLContext) -> str | None:
    calls = _calls(context, "set_ecdh_curve")
    return str(calls[-1][0][0]) if calls else None


def versions_of(context: ssl.SSLContext) -> list[str]:
    """Those that are spoken here as well."""
    return [
        name
        for name, (version, without) in _VERSIONS.items()
        if context.minimum_version <= version
        and (context.maximum_version < 0 or version <= context.maximum_version)
        and not context.options & without
        and name == _OF_ONE_VERSION.get(context.protocol, name)
    ]


def authorities_of(context: ssl.SSLContext) -> list[bytes]:
    """The content of what was given to trust, which may be certificates or revocation lists."""
    found: list[bytes] = []
    for arguments, named in _calls(context, "load_verify_locations"):
        given = named | dict(zip(("cafile", "capath", "cadata"), arguments, strict=False))
        if given.get("cafile"):
            found.append(Path(os.fsdecode(given["cafile"])).read_bytes())
        if given.get("capath"):
            folder = Path(os.fsdecode(given["capath"]))
            found += [path.read_bytes() for path in sorted(folder.iterdir())]
        if given.get("cadata"):
            data = given["cadata"]
            found.append(data.encode() if isinstance(data, str) else bytes(data))
    return found
