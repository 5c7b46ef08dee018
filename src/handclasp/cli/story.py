"""The seven steps of a handshake, with the real values of handshakes that really took place."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING

from handclasp.cli.identity import (
    dates_of,
    issuer_of,
    key_of,
    names_of,
    subject_of,
    trust_anchor_of,
)

if TYPE_CHECKING:
    from handclasp import ClientConfig, ConnectionInfo, Credentials, TrustStore
    from handclasp.story.facts import Facts

EXPORTER_LABEL = "EXPERIMENTAL handclasp demo"
MEGABYTE = 1_000_000
RECORD = 2**14


@dataclass(frozen=True, slots=True)
class Step:
    """One of the seven: what happens, and what it was this time.

    Attributes:
        title, telling: for people.
        values: labels and real values.
    """

    title: str
    telling: str
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Handshake:
    """One handshake over a real socket, as both sides saw it.

    Attributes:
        facts: what the client recorded.
        server_facts: what the server recorded.
        client_fingerprint, server_fingerprint: of key material that each side exported by itself.
        diagram: the client's record, as a sequence diagram.
    """

    facts: Facts
    server_facts: Facts
    client_fingerprint: str
    server_fingerprint: str
    diagram: str

    @property
    def info(self) -> ConnectionInfo:
        """The parameters of the connection, as the client knows them."""
        if self.facts.info is None:
            raise ValueError("a handshake that did not complete has no story")
        return self.facts.info


@dataclass(frozen=True, slots=True)
class Speed:
    """Times in nanoseconds, each the median of a few runs in memory, without a network.

    Attributes:
        handshake_ns: both sides' computing for one handshake.
        seal_ns, open_ns: protecting a megabyte, and the peer's reading of it.
    """

    handshake_ns: int
    seal_ns: int
    open_ns: int


def fingerprint_of(secret: bytes) -> str:
    """Return the first 8 bytes of SHA-256: enough to compare secrets, without revealing them."""
    return hashlib.sha256(secret).digest()[:8].hex(":")


def measure_speed(config: ClientConfig, credentials: Credentials, runs: int = 5) -> Speed:
    """Shake hands and move a megabyte between two connections in memory, a few times."""
    times = [_measure_once(config, credentials) for _ in range(runs)]
    return Speed(*(int(median(column)) for column in zip(*times, strict=True)))


def _measure_once(config: ClientConfig, credentials: Credentials) -> tuple[int, int, int]:
    from handclasp import ClientConnection, DataReceived, ServerConfig, ServerConnection

    began = time.perf_counter_ns()
    client = ClientConnection(config, server_name="localhost")
    server = ServerConnection(ServerConfig(credentials=credentials, alpn=config.alpn))
    while not (client.established and server.established):
        server.receive_data(client.data_to_send())
        client.receive_data(server.data_to_send())
    agreed = time.perf_counter_ns()
    client.send_data(bytes(MEGABYTE))
    wire = client.data_to_send()
    sealed = time.perf_counter_ns()
    events = server.receive_data(wire)
    opened = time.perf_counter_ns()
    if sum(len(event.data) for event in events if isinstance(event, DataReceived)) != MEGABYTE:
        raise ValueError("the megabyte did not arrive whole")
    return agreed - began, sealed - agreed, opened - sealed


def seven_steps(
    first: Handshake, second: Handshake, refused: str, speed: Speed, trust: TrustStore
) -> tuple[Step, ...]:
    """Return the seven steps of a handshake.

    Args:
        first: the handshake to explain.
        second: another one with the same server.
        refused: what the same client said to the same certificate under another name.
        trust: the authorities that the client trusts.
    """
    return (
        _hello(first),
        _identity(first),
        _trust(first, refused, trust),
        _secret(first),
        _both(first),
        _speed(first, speed),
        _one_time((first, second)),
    )


def _hello(handshake: Handshake) -> Step:
    facts = handshake.facts
    return Step(
        "Hello",
        "The client asks the server for a secure conversation. It says whom it is looking for, "
        "which ciphers it can do, and already adds its public half of a key exchange, so that no "
        "time is lost.",
        (
            ("looking for", facts.info.server_name or "nobody by name" if facts.info else ""),
            ("ciphers offered", ", ".join(s for s in facts.cipher_suites if s.startswith("TLS_"))),
            ("public halves", " and ".join(map(str, facts.client_shares))),
            ("the server chose", f"{handshake.info.cipher_suite} of {handshake.info.version}"),
        ),
    )


def _identity(handshake: Handshake) -> Step:
    info, facts = handshake.info, handshake.facts
    leaf = info.peer_chain[0]
    sizes = sum(facts.certificate_sizes)
    return Step(
        "Certificate, public key and identity",
        "The server answers with its certificate: its name and its public key, signed by an "
        "authority. To show that it holds the private key too, it signs this very conversation. "
        "Both travel encrypted already.",
        (
            ("certificate", f"{subject_of(leaf)}, {sizes:,} bytes"),
            ("for the names", names_of(leaf)),
            ("public key", key_of(leaf)),
            ("proof", f"a signature in {info.signature_scheme}, {_took(handshake)}"),
        ),
    )


def _took(handshake: Handshake) -> str:
    sign_ns = handshake.server_facts.sign_ns
    return f"made in {_milliseconds(sign_ns)}" if sign_ns is not None else "made by the server"


def _trust(handshake: Handshake, refused: str, trust: TrustStore) -> Step:
    info = handshake.info
    leaf = info.peer_chain[0]
    anchored = trust_anchor_of(info.peer_chain, trust) is not None
    known = "the client trusts it" if anchored else "the client does NOT know it"
    verdict = "trusted" if info.peer_verified else "NOT trusted"
    return Step(
        "The decision to trust",
        "The client decides whether it believes the certificate. Is it valid today? Was it issued "
        "by an authority that the client trusts, and does the signature prove that? Is it for the "
        "name that the client asked for? One no ends the conversation.",
        (
            ("valid", dates_of(leaf, datetime.now(UTC))),
            ("issuer", f"{issuer_of(leaf)}: {known}"),
            ("name", f"asked for {info.server_name}; the certificate is for {names_of(leaf)}"),
            ("verdict", verdict),
            ("and otherwise?", refused),
        ),
    )


def _secret(handshake: Handshake) -> Step:
    info, facts = handshake.info, handshake.facts
    theirs = facts.server_share
    ours = next((share for share in facts.client_shares if share.group == info.group), None)
    return Step(
        "One secret, agreed upon in public",
        "Each side sends a public half and keeps a private one. Own private half and the other's "
        "public half together give the same secret on both sides; to an observer, the two "
        "public halves give nothing. (Once, the client invented the secret and sent it "
        "encrypted to the server's public key. TLS 1.3 no longer does: anybody who got that "
        "key later could read every old conversation. `handclasp demo --classic` shows both.)",
        (
            ("group", _group(info)),
            ("client to server", f"{ours.size:,} bytes in public" if ours else "unknown"),
            ("server to client", f"{theirs.size:,} bytes in public" if theirs else "unknown"),
            ("the secret itself", "never travels"),
        ),
    )


def _group(info: ConnectionInfo) -> str:
    from handclasp.story.facts import key_exchange_of_info, secret_in_words

    told = secret_in_words(key_exchange_of_info(info), info)
    if "MLKEM" in told:
        return f"{told}, safe against quantum computers too, as far as anybody knows"
    return told


def _both(handshake: Handshake) -> Step:
    client, server = handshake.client_fingerprint, handshake.server_fingerprint
    same = "equal: both hold the same secret" if client == server else "NOT EQUAL"
    return Step(
        "Both sides hold it",
        "Client and server have worked out the same keys, each on its own. To compare without "
        "showing them, each derives another value from them and takes a fingerprint of that.",
        (("client's", client), ("server's", server), ("comparison", same)),
    )


def _speed(handshake: Handshake, speed: Speed) -> Step:
    records = -(-MEGABYTE // RECORD)
    times = speed.handshake_ns * records / speed.seal_ns
    return Step(
        "Over to symmetric cryptography, for its speed",
        "Public-key cryptography lets strangers agree on a secret in public, but it is slow. A "
        "symmetric cipher is fast, but needs a shared secret. So the one makes the secret, and "
        "the other does the work. Measured just now on this machine, without the network:",
        (
            (
                "public-key part",
                f"{_milliseconds(speed.handshake_ns)}: such a handshake, both sides computing",
            ),
            (
                "symmetric part",
                f"{_milliseconds(speed.seal_ns)}: 1 MB sealed with {handshake.info.cipher_suite} "
                f"({_milliseconds(speed.open_ns)} to open it)",
            ),
            (
                "if it had to be",
                f"a handshake for each of that megabyte's {records} records would take "
                f"{_milliseconds(speed.handshake_ns * records)}, {times:,.0f} times as long",
            ),
        ),
    )


def _one_time(handshakes: Sequence[Handshake]) -> Step:
    first, second = (handshake.client_fingerprint for handshake in handshakes)
    differ = "different: nothing was reused" if first != second else "THE SAME"
    return Step(
        "Used once, then forgotten",
        "The keys are for this one conversation. Other clients have other keys, and when the same "
        "client comes back, the two agree on new ones. So we came back:",
        (("first time", first), ("second time", second), ("comparison", differ)),
    )


def holds(first: Handshake, second: Handshake) -> bool:
    """Return whether the claims of the story are true."""
    return (
        first.info.peer_verified
        and first.client_fingerprint == first.server_fingerprint
        and second.client_fingerprint == second.server_fingerprint
        and first.client_fingerprint != second.client_fingerprint
    )


def _milliseconds(nanoseconds: float) -> str:
    return f"{nanoseconds / 1e6:,.2f} ms"
