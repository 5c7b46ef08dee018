"""The graphs as pictures (Mermaid), for docs/states.md."""

from __future__ import annotations

from collections.abc import Iterator

from tests.exploration.rfc import (
    AUTHENTICATION_CLIENT13,
    AUTHENTICATION_SERVER13,
    CCS,
    DATA,
    GRAPHS,
    Graph,
)

_SOURCES = {
    ("client", "TLSv1.3"): "Client of TLS 1.3 (RFC 8446 Appendix A.1)",
    ("server", "TLSv1.3"): "Server of TLS 1.3 (RFC 8446 Appendix A.2)",
    ("client", "TLSv1.2"): "Client of TLS 1.2 (RFC 5246 section 7.3)",
    ("server", "TLSv1.2"): "Server of TLS 1.2 (RFC 5246 section 7.3)",
}

_AUTHENTICATION = {
    "Client of TLS 1.3 that offered post_handshake_auth (RFC 8446 section 4.6.2)": (
        AUTHENTICATION_CLIENT13
    ),
    "Server of TLS 1.3 that has asked after the handshake (RFC 8446 section 4.6.2)": (
        AUTHENTICATION_SERVER13
    ),
}

_INTRODUCTION = """\
# The states of a handshake

What may come in each state, and where it leads. The tests bring each role, in every mode of both
versions, to each pause of its handshake, and deliver every type of message there is, known or
unknown, and change_cipher_spec and application data besides: what an arrow shows is accepted, and
everything else ends the connection with the alert unexpected_message. So these are at the same
time the graphs of the RFCs and those of the code. `make states` tries it all, and writes this page.

change_cipher_spec means nothing in TLS 1.3 and is dropped, in limited number, in the states that
are marked with it; in TLS 1.2 it is a step. A state that an RFC has no name for is called by what
it waits for.
"""


def page() -> str:
    """The whole document."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield _INTRODUCTION
    for key, title in _SOURCES.items():
        yield from _picture(title, GRAPHS[key], is_tls13=key[1] == "TLSv1.3")
    for title, graph in _AUTHENTICATION.items():
        yield from _picture(title, graph, is_tls13=True)


def _picture(title: str, graph: Graph, *, is_tls13: bool) -> Iterator[str]:
    yield f"## {title}\n"
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield from _edges(graph, is_tls13=is_tls13)
    yield "```\n"


def _edges(graph: Graph, *, is_tls13: bool) -> Iterator[str]:
    names = {state: f"s{number}" for number, state in enumerate(graph)}
    for state, name in names.items():
        dropped = " (drops change_cipher_spec)" if is_tls13 and CCS in graph[state] else ""
        yield f'    state "{state}{dropped}" as {name}'
    yield "    [*] --> s0"
    for state, messages in graph.items():
        for message, following in messages.items():
            if is_tls13 and message == CCS:
                continue
            ways = {"": following} if isinstance(following, str) else following
            for mode, target in ways.items():
                label = f"{message} [{mode}]" if mode else message
                yield f"    {names[state]} --> {names[target]} : {label}"
    # In the picture as elsewhere: the application's data flow from here on.
    assert DATA in graph["CONNECTED"]
