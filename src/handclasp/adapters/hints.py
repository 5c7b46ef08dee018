"""Hints for programs that come from `ssl`: what stands for an argument or a method of it here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handclasp.errors import ConfigurationError

_ARGUMENTS: Mapping[str, str] = {
    "ssl": "config= takes its place.",
    "context": "config= takes its place.",
    "ssl_context": "config= takes its place.",
    "server_hostname": "use server_name= (and config=, in place of ssl= or a context).",
    "server_side": "a ServerConfig makes a server, and wrap_server takes a socket for it.",
    "do_handshake_on_connect": "use handshake=.",
    "suppress_ragged_eofs": "use config=, which has allow_truncation.",
    "session": "use config=, which has sessions.",
    "ssl_handshake_timeout": "use config=, which has handshake_timeout.",
    "ssl_shutdown_timeout": "use close_timeout= (and config=, in place of ssl=).",
}
"""Arguments of `ssl`, of asyncio's functions and of trio's, and what takes their places."""

_ATTRIBUTES: Mapping[str, str] = {
    "cipher": "info.cipher_suite",
    "context": "connection.config",
    "get_channel_binding": "channel_binding(kind)",
    "get_unverified_chain": "info.peer_chain",
    "get_verified_chain": "info.verified_chain",
    "getpeercert": "info.peer_chain[0], a parsed certificate, or info.peer_chain_der[0], its bytes",
    "selected_alpn_protocol": "info.alpn",
    "server_hostname": "info.server_name",
    "session": "a SessionStore in the config",
    "session_reused": "info.resumed",
    "verify_client_post_handshake": "request_client_certificate()",
    "version": "info.version",
}
"""Methods and attributes of an `ssl.SSLSocket`, and what takes their places."""


def refuse_ssl_arguments(given: Mapping[str, Any]) -> None:
    """Refuse the arguments that other functions take for the ssl module."""
    for name in given:
        if name in _ARGUMENTS:
            raise ConfigurationError(f"{name} is for the ssl module; here {_ARGUMENTS[name]}")


def refuse_arguments(given: Mapping[str, Any]) -> None:
    """Refuse all arguments that a function does not have."""
    refuse_ssl_arguments(given)
    for name in given:
        raise TypeError(f"unexpected keyword argument {name!r}")


def no_attribute(owner: object, name: str) -> AttributeError:
    """Return the error for an attribute that is not there, with a hint if another socket has it."""
    message = f"{type(owner).__name__!r} object has no attribute {name!r}"
    if name == "explain":  # `handclasp.compat` has it.
        message += (
            ": a trace tells the story of the handshake. Give one before it begins, by "
            "trace=recorder with recorder = handclasp.Recorder(), and call recorder.to_text()"
        )
    elif name in _ATTRIBUTES:
        message += f", which is of the ssl module; here it is {_ATTRIBUTES[name]}"
    return AttributeError(message, name=name, obj=owner)
