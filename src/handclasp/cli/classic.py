"""`handclasp demo --classic`: the handshake of the old days beside today's, with the same key.

Both take place between two connections in this process. Then the server's private key is
"stolen", and the thief tries to read what was recorded of each.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from handclasp.cli.outcome import configuration_checked
from handclasp.cli.terminal import columns

if TYPE_CHECKING:
    from handclasp import ClientConfig, ConnectionInfo, Credentials, ServerConfig
    from handclasp.certificates.authority import LocalAuthority
    from handclasp.story.facts import Facts

SUITE = "TLS_RSA_WITH_AES_128_GCM_SHA256"
"""TLS 1.2, and RSA key transport, which is as old as SSL."""

NAME = "localhost"
SECRET_WORDS = b"Meet me at noon."
"""The first data of the client."""

OLD: dict[str, Any] = {
    "versions": ("TLSv1.2",),
    "cipher_suites": (SUITE,),
    "allow_rsa_key_transport": True,
}
NEW: dict[str, Any] = {
    "versions": ("TLSv1.3",),
    # So that the certificate would be seen on the way if it were not encrypted.
    "certificate_compression": (),
}

Row = tuple[str, str, str]
"""A label, and what is to be said of then and of now."""

_LABEL = 12
"""Columns of the labels; the other two share what is left."""


@dataclass(frozen=True, slots=True)
class Recording:
    """The recording of an eavesdropper: all bytes of both directions, in order."""

    to_server: bytearray = field(default_factory=bytearray)
    to_client: bytearray = field(default_factory=bytearray)

    def shows(self, data: bytes) -> bool:
        """Return whether the data are visible in the recording."""
        return data in self.to_server or data in self.to_client

    @property
    def server_random(self) -> bytes:
        """The random value in the ServerHello, which is never encrypted."""
        # A record's header has 5 bytes, a message's 4, and the version is 2.
        return bytes(self.to_client[11:43])


@dataclass(frozen=True, slots=True)
class Conversation:
    """One handshake with a few words after it.

    Attributes:
        facts: what the client recorded.
        diagram: the same as a sequence diagram.
        arrived: what the server read.
        recording: what passed on the way.
        stolen: what a thief of the server's key reads in the recording, or else "".
        obstacle: why the thief reads nothing.
    """

    facts: Facts
    diagram: str
    arrived: bytes
    recording: Recording
    stolen: bytes
    obstacle: str

    @property
    def info(self) -> ConnectionInfo:
        """The parameters of the connection, as the client knows them."""
        if self.facts.info is None:
            raise ValueError("a handshake that did not complete cannot be compared")
        return self.facts.info


def run_classic(authority: LocalAuthority) -> bool:
    """Run both, tell of both, compare them; whether what is claimed is so."""
    with configuration_checked():
        credentials = authority.credentials((NAME,), key_type="rsa-2048")
        for settings in (OLD, NEW):
            converse(authority, credentials, settings)  # What runs first pays for what is loaded.
    then = converse(authority, credentials, OLD)
    now = converse(authority, credentials, NEW)
    _tell(then, now)
    return holds(then, now)


def holds(then: Conversation, now: Conversation) -> bool:
    """Return whether the claims about the two are true."""
    certificate = then.info.peer_chain_der[0]
    return (
        all(each.info.peer_verified and each.arrived == SECRET_WORDS for each in (then, now))
        and now.info.peer_chain_der[0] == certificate
        and (then.facts.key_exchange, now.facts.key_exchange) == ("transport", "agreement")
        and (then.stolen, now.stolen) == (SECRET_WORDS, b"")
        and then.recording.shows(certificate)
        and not now.recording.shows(certificate)
        and not any(each.recording.shows(SECRET_WORDS) for each in (then, now))
    )


def converse(
    authority: LocalAuthority, credentials: Credentials, settings: dict[str, Any]
) -> Conversation:
    """Run a connection in memory, record it, and attack the recording."""
    from handclasp import ClientConfig, Recorder, ServerConfig
    from handclasp.story.facts import facts_of
    from handclasp.story.narrate import narrate

    trace = Recorder()
    # No tickets: the demo is about a single connection.
    server_config = ServerConfig(credentials=credentials, tickets=0, **settings)
    client_config = ClientConfig(trust=authority.trust.prepare(), **settings)
    recording, arrived = _shake_hands_and_talk(client_config, server_config, trace)
    stolen, obstacle = read_with_stolen_key(recording, server_config)
    facts, diagram = facts_of(trace.events), narrate(trace.events, columns())
    return Conversation(facts, diagram, arrived, recording, stolen, obstacle)


def _shake_hands_and_talk(
    client_config: ClientConfig, server_config: ServerConfig, trace: Any
) -> tuple[Recording, bytes]:
    from handclasp import ClientConnection, DataReceived, ServerConnection

    client = ClientConnection(client_config, server_name=NAME, trace=trace)
    server = ServerConnection(server_config)
    recording, arrived = Recording(), bytearray()
    said = False
    while True:
        if client.established and not said:
            client.send_data(SECRET_WORDS)
            said = True
        to_server = bytes(client.data_to_send())
        recording.to_server.extend(to_server)
        for event in server.receive_data(to_server) if to_server else ():
            arrived += event.data if isinstance(event, DataReceived) else b""
        to_client = bytes(server.data_to_send())
        recording.to_client.extend(to_client)
        if to_client:
            client.receive_data(to_client)
        if not (to_server or to_client):
            return recording, bytes(arrived)


def read_with_stolen_key(recording: Recording, server_config: ServerConfig) -> tuple[bytes, str]:
    """Return what an attacker who later obtains the server's key reads in a recording, or why not.

    The thief has the key, and all that was on the wire. So they are the server once more: a
    server that says the same, given the client's old bytes again. All of what it says is in the
    recording, except what it makes up and keeps to itself.
    """
    from dataclasses import replace

    from handclasp import DataReceived, ServerConnection, TLSError

    thief = ServerConnection(replace(server_config, entropy=_repeating(recording.server_random)))
    read = bytearray()
    try:
        for event in thief.receive_data(bytes(recording.to_server)):
            read += event.data if isinstance(event, DataReceived) else b""
    except TLSError as error:
        return b"", error.fault_name
    return bytes(read), "" if read else "nothing came out"


def _repeating(first: bytes) -> Callable[[int], bytes]:
    """Randomness that starts with what was drawn in the recorded conversation."""
    known = [first]

    def entropy(size: int) -> bytes:
        return known.pop() if known and size == len(known[-1]) else os.urandom(size)

    return entropy


def _tell(then: Conversation, now: Conversation) -> None:
    from handclasp.cli.report import print_paragraphs

    print_paragraphs(
        "1. Then: the client makes the secret",
        "As in the first browsers, and in many more for twenty years: the client makes up a "
        "secret, encrypts it to the public key in the server's certificate, and sends it. Only "
        "the server can open it, and that it can is the proof that it is the server.",
    )
    click.echo(then.diagram)
    print_paragraphs(
        "2. Now: both make it, a half each",
        "The same server with the same certificate and key, today. Each side makes a key pair for "
        "this one conversation and sends the public half; the certificate's key only signs.",
    )
    click.echo(now.diagram)
    print_paragraphs(
        "3. What changed",
        "After each of the two handshakes the client said a few words. All that was on the wire "
        "was recorded. Then the server's private key was stolen, and the thief, with nothing but "
        "that key and the recording, became the server once more and tried to read them.",
    )
    click.echo(comparison(rows(then, now)))
    print_paragraphs("4. Why", _WHY)
    click.echo(_TRY_IT)


_WHY = (
    "One key did everything then: it proved who the server is, and it opened every secret that "
    "was ever sent to it. Anybody who got it, even years later, could read every connection that "
    "had been recorded. Today the key only proves who the server is. A thief can still pose as the "
    "server from then on, but the past stays closed: what made its secrets was thrown away after "
    "use. That is called forward secrecy. Besides, a server that opens what strangers send gave "
    "attackers something to guess at (Bleichenbacher 1998, ROBOT 2017). So TLS 1.3 does without "
    "it, and handclasp has it switched off unless you ask for it."
)

_TRY_IT = f"""\
To try it with other programs:
  handclasp serve --tls12 --allow-rsa-key-transport
  handclasp connect HOST:PORT --allow-rsa-key-transport \\
      --suite {SUITE}"""


def rows(then: Conversation, now: Conversation) -> list[Row]:
    """Return the comparison, computed from the recordings."""
    tellers: tuple[tuple[str, Callable[[Conversation], str]], ...] = (
        ("version", lambda each: each.info.version),
        ("cipher suite", lambda each: each.info.cipher_suite),
        ("who makes the secret", _maker),
        ("how it gets across", _way),
        ("if the key is stolen later", _loot),
        ("what the server signs", _signed),
        ("the name asked for", _name),
        ("the certificate", _certificate),
        ("round trips before data", lambda each: str(each.facts.round_trips)),
    )
    return [(label, tell(then), tell(now)) for label, tell in tellers]


def _maker(conversation: Conversation) -> str:
    if conversation.facts.key_exchange == "transport":
        return "the client alone"
    return f"both together, with {conversation.info.group}"


def _way(conversation: Conversation) -> str:
    facts = conversation.facts
    if facts.encrypted_secret_size is not None:
        return f"in {facts.encrypted_secret_size:,} bytes, encrypted to the key in the certificate"
    used = [share for share in facts.client_shares if share.group == conversation.info.group]
    sizes = [f"{share.size:,}" for share in (*used, facts.server_share) if share is not None]
    return f"never: only public halves do, of {' and '.join(sizes)} bytes"


def _loot(conversation: Conversation) -> str:
    if conversation.stolen:
        words = conversation.stolen.decode("ascii", "backslashreplace")
        return f'all can be read. The thief did: "{words}"'
    return f"nothing can be read. The thief tried: the keys do not fit ({conversation.obstacle})"


def _signed(conversation: Conversation) -> str:
    scheme = conversation.info.signature_scheme
    if scheme is None:
        return "nothing: only the server can decrypt the secret"
    return f"all that was said so far, in {scheme}"


def _name(conversation: Conversation) -> str:
    return f"{NAME}, {_visibility(conversation, NAME.encode('ascii'))}"


def _certificate(conversation: Conversation) -> str:
    certificate = conversation.info.peer_chain_der[0]
    return f"{len(certificate):,} bytes, {_visibility(conversation, certificate)}"


def _visibility(conversation: Conversation, data: bytes) -> str:
    return "in the clear" if conversation.recording.shows(data) else "encrypted"


def comparison(table: Sequence[Row]) -> str:
    """Return the rows as a table of at most 80 columns, with long values wrapped."""
    width = columns()
    lines = _cells(("", "Then", "Now"), width)
    for row in table:
        lines += ["  " + "-" * (width - 2), *_cells(row, width)]
    return "\n".join(lines) + "\n"


def _cells(row: Row, width: int) -> list[str]:
    label, *cells = row
    room = (width - _LABEL - 6) // 2
    wrapped = [textwrap.wrap(label, _LABEL), *(textwrap.wrap(cell, room) for cell in cells)]
    lines: list[str] = []
    for number in range(max(map(len, wrapped))):
        first, then, now = (column[number] if number < len(column) else "" for column in wrapped)
        lines.append(f"  {first:{_LABEL}}  {then:{room}}  {now}".rstrip())
    return lines
