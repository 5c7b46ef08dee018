"""What may cost too much: each target makes of a tree a call that is to be measured.

The tree's first parts are choices (which config, how it is cut into records and reads); the rest is
what a peer says, or what stands in a file. Everything that is no work on the input is done before:
keys of a scripted peer, its encryption, its signatures.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from tests.fuzz import material
from tests.fuzz.captures import GenuineScript, genuine
from tests.fuzz.conversation import CHANCE, Connection, Conversation, Wire, recorded, setups
from tests.fuzz.printed import printed, printed_seeds
from tests.fuzz.shapes import (
    CERTIFICATE12,
    CERTIFICATE13,
    REQUEST12,
    STATUS12,
    Node,
    der,
    json_tree,
    lines,
    render,
    repeated,
    tls,
)

from handclasp import (
    CertificateError,
    ClientAuth,
    ClientConfig,
    ClientConnection,
    ConnectionInfo,
    PreSharedKey,
    ProtocolError,
    Recorder,
    ServerConfig,
    ServerConnection,
    SessionStore,
    TLSError,
)
from handclasp.asgi import RefuseEarlyData
from handclasp.capture.observe import observe
from handclasp.capture.secrets import KeyLog, secrets_inside
from handclasp.capture.stream import Address, CaptureError, Piece, Stream, StreamEnd
from handclasp.certificates.crl import RevocationLists
from handclasp.certificates.describe import describe
from handclasp.certificates.explanation import Explanation, explain
from handclasp.certificates.ocsp import describe_staple
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.verify import verify_client_chain, verify_server_chain
from handclasp.errors import ConfigurationError
from handclasp.iana import ContentType, HandshakeType
from handclasp.iana import ExtensionType as Ext
from handclasp.record.protection13 import Protection13
from handclasp.serving.files import Files
from handclasp.serving.http import HTTP
from handclasp.serving.limits import Limits
from handclasp.serving.server import Serving
from handclasp.serving.site import Site
from handclasp.sessions.ticket_keys import TicketKeys
from handclasp.story.diagnosis import diagnose
from handclasp.story.diff import differences
from handclasp.story.narrate import narrate
from handclasp.testing.scripted import ScriptedClient, ScriptedPeer, ScriptedServer
from handclasp.testing.scripted12 import ScriptedClient12, ScriptedServer12
from handclasp.trace.events import TraceFormatError
from handclasp.wire import extensions as ext
from handclasp.wire.records import MAX_PLAINTEXT

MESSAGES = 140_000
"""Bytes of a flight that are tried: the largest Certificate message, and something around it."""

FILES = 300_000
"""Bytes of a file that are tried."""

_REFUSALS = (TLSError, CaptureError, TraceFormatError, ConfigurationError)


@dataclass(frozen=True)
class Attempt:
    """A call to be measured, and how many bytes it is about."""

    size: int
    call: Callable[[], object]


@dataclass(frozen=True)
class Spending:
    """One thing to attack.

    Attributes:
        prepare: makes the call; what it raises is nothing to be measured.
        most: bytes of an input at most.
        seconds: what one input may cost of processor time; None where it is a file that somebody
            wants to be read, which may take as long as it is large.
    """

    name: str
    prepare: Callable[[Node], Attempt]
    seeds: Callable[[], Iterable[Node]]
    most: int = MESSAGES
    seconds: float | None = 0.020


def outcome_of(call: Callable[[], object]) -> str:
    """What became of it, in a word. Nothing but what the library declares may come out."""
    try:
        call()
    except ProtocolError as error:
        return error.fault.name.lower()
    except CertificateError as error:
        return error.fault_name
    except _REFUSALS as error:
        return type(error).__name__
    return "taken"


# Roots: choices first


def _root(*parts: Node, choices: int = 2) -> Node:
    chosen = [Node("choice", data=b"\0", fixed=True) for _ in range(choices)]
    return Node("root", parts=[*chosen, *parts])


def _list(kind: str, parts: Iterable[Node]) -> Node:
    return Node(kind, parts=list(parts), many=True)


def _step(name: str) -> Node:
    """A message that a scripted peer makes itself."""
    return Node("step", data=name.encode(), fixed=True)


def _choices(root: Node) -> list[int]:
    return [part.data[0] for part in root.parts or () if part.kind == "choice"]


def _inside(root: Node) -> list[Node]:
    """What stands in the list of the root."""
    lists = [part for part in root.parts or () if part.kind != "choice"]
    return [each for part in lists for each in repeated(part.parts or ())]


_RECORDS = (MAX_PLAINTEXT, MAX_PLAINTEXT, 1, 100)
_READS = (0, 0, 100, 1460)
_MOST_RECORDS = 2000
"""Of a message: each must be encrypted before."""


def _in_records(raw: bytes, size: int) -> bytes:
    return b"".join(
        b"\x16\3\3" + len(piece).to_bytes(2, "big") + piece
        for start in range(0, len(raw), size)
        if (piece := raw[start : start + size])
    )


def _receiving(connection: Connection, stream: bytes, read: int) -> Attempt:
    pieces = [stream[at : at + read] for at in range(0, len(stream), read)] if read else [stream]

    def call() -> None:
        for piece in pieces:
            connection.receive_data(piece)
        connection.data_to_send()
        if connection.failure is not None:
            raise connection.failure

    return Attempt(len(stream), call)


# Hellos


_RETRIES = 3


@cache
def _servers() -> tuple[ServerConfig, ...]:
    common: dict[str, Any] = {"clock": material.now, "entropy": CHANCE}
    plain = ServerConfig(credentials=material.server(), **common)
    trust = material.authority().trust
    return (
        plain,
        replace(plain, client_auth=ClientAuth.OPTIONAL, trust=trust),
        replace(plain, alpn=["h2", "http/1.1"], max_early_data=4096, ticket_keys=TicketKeys()),
        replace(plain, groups=["secp384r1"], prefer_client_order=True, strict_server_name=True),
        replace(plain, psks=[PreSharedKey(b"a client", b"k" * 32)]),
    )


def _fresh(configs: Sequence[Any], choice: int) -> Any:
    """One of these, without what it has seen so far."""
    CHANCE.start()
    return replace(configs[choice % len(configs)])


def _hello(root: Node) -> Attempt:
    config, records, reads = _choices(root)
    stream = b"".join(_in_records(render(each), _RECORDS[records % 4]) for each in _inside(root))
    server = ServerConnection(_fresh(_servers(), config))
    return _receiving(server, stream, _READS[reads % 4])


def hello_seeds() -> Iterator[Node]:
    hellos = [raw for raw in recorded().messages if raw[0] == HandshakeType.CLIENT_HELLO]
    hellos.append(_many_sided_hello())
    # One of each form: most differ in their random values only.
    trees = [tls(raw) for raw in hellos]
    for tree in {
        tuple(sorted({each.kind for each in tree.walk()})): tree for tree in trees
    }.values():
        yield _root(_list("hellos", [tree]), choices=3)
    retried = _root(_list("hellos", map(tls, _retried_hellos())), choices=3)
    assert retried.parts is not None
    retried.parts[0].data = bytes([_RETRIES])
    yield retried


def _retried_hellos() -> tuple[bytes, bytes]:
    """The first and the second, to the server that takes none of the first's shares."""
    client = ScriptedClient(groups=("X25519", "secp384r1"))
    first = client.take()
    server = ServerConnection(_fresh(_servers(), _RETRIES))
    server.receive_data(first)
    client.feed(bytes(server.data_to_send()))
    return first[5:], client.take()[5:]


def _many_sided_hello() -> bytes:
    """Everything that a server reads, once."""
    psks = ext.OfferedPsks((ext.PskIdentity(bytes(9), 0),), (bytes(32),))
    extensions: dict[int, bytes] = {
        Ext.SERVER_NAME: ext.write_server_name("localhost"),
        Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION: ext.write_alpn([b"h2"]),
        Ext.CERTIFICATE_AUTHORITIES: ext.write_certificate_authorities([b"0\0"]),
        Ext.COMPRESS_CERTIFICATE: ext.write_compress_certificate([1]),
        Ext.SERVER_CERTIFICATE_TYPE: b"\1\0",
        Ext.CLIENT_CERTIFICATE_TYPE: b"\1\0",
        Ext.SIGNATURE_ALGORITHMS_CERT: ext.write_signature_algorithms([0x0403]),
        Ext.EXTENDED_MASTER_SECRET: b"",
        Ext.PSK_KEY_EXCHANGE_MODES: ext.write_psk_key_exchange_modes(b"\1"),
        Ext.PRE_SHARED_KEY: ext.write_offered_psks(psks),
    }
    return ScriptedClient(extensions=extensions).take()[5:]


@cache
def _clients() -> tuple[ClientConfig, ...]:
    common: dict[str, Any] = {"clock": material.now, "entropy": CHANCE}
    plain = ClientConfig(trust=material.authority().trust, **common)
    return (
        plain,
        replace(plain, alpn=["h2", "http/1.1"], sessions=SessionStore()),
        replace(plain, credentials=material.client()),
    )


def _answer(root: Node) -> Attempt:
    """What a server says in the clear: ServerHello, HelloRetryRequest."""
    config, records, reads = _choices(root)
    client = ClientConnection(_fresh(_clients(), config), server_name="localhost")
    client.data_to_send()
    stream = b"".join(_in_records(render(each), _RECORDS[records % 4]) for each in _inside(root))
    return _receiving(client, stream, _READS[reads % 4])


def answer_seeds() -> Iterator[Node]:
    client = ClientConnection(_fresh(_clients(), 0), server_name="localhost")
    retries: dict[str, Any] = {"retry": "secp384r1"}
    for kind, script in ((ScriptedServer, retries), (ScriptedServer12, {})):
        server: Any = kind(material.server(), **script)
        if kind is ScriptedServer12:
            server.order = ("server_hello",)
        server.feed(bytes(client.data_to_send()))
        raw = server.take()[5:]
        yield _root(_list("answers", [tls(raw[: 4 + int.from_bytes(raw[1:4], "big")])]), choices=3)
        client = ClientConnection(_fresh(_clients(), 0), server_name="localhost")


# Flights of a scripted peer


def _say(peer: ScriptedPeer, flight: Iterable[Node], record: int) -> bytes:
    """What the peer sends: messages as they are, and those that it makes itself."""
    for node in flight:
        if node.kind == "step":
            peer.act([node.data.decode()])
            continue
        raw = render(node)
        peer.transcript.add(raw)
        size = max(_RECORDS[record % 4], len(raw) // _MOST_RECORDS)
        for start in range(0, len(raw), size):
            peer.send_record(ContentType.HANDSHAKE, raw[start : start + size])
    return peer.take()


def _server_flight(root: Node) -> Attempt:
    config, record = _choices(root)
    client = ClientConnection(_fresh(_clients(), config), server_name="localhost")
    server = ScriptedServer(material.server(), order=("server_hello",))
    server.feed(bytes(client.data_to_send()))
    stream = _say(server, _inside(root), record)
    return _receiving(client, stream, 0)


def server_flight_seeds() -> Iterator[Node]:
    proofs = [_step("certificate_verify"), _step("finished")]
    request = tls(_message(HandshakeType.CERTIFICATE_REQUEST, _REQUEST13))
    for certificate in (_certificate13(material.server().chain_der), _certificate_with_much()):
        yield _root(_list("flight", [_step("encrypted_extensions"), certificate, *proofs]))
    agreed = tls(_message(HandshakeType.ENCRYPTED_EXTENSIONS, b"\0\4\0\0\0\0"))
    yield _root(
        _list("flight", [agreed, request, _certificate13(material.server().chain_der), *proofs])
    )


_REQUEST13 = b"\0\0\x18\0\x0d\0\6\0\4\4\3\x08\7\0\x2f\0\x0a\0\x08\0\2\x30\0\0\2\x30\0"
"""A CertificateRequest's body, with schemes and authorities."""


def _message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def _certificate13(chain: Sequence[bytes], extensions: bytes = b"\0\0") -> Node:
    entries = [len(each).to_bytes(3, "big") + each + extensions for each in chain]
    body = b"".join(entries)
    raw = _message(HandshakeType.CERTIFICATE, b"\0" + len(body).to_bytes(3, "big") + body)
    return _resigned(tls(raw, CERTIFICATE13))


def _certificate12(chain: Sequence[bytes]) -> Node:
    body = b"".join(len(each).to_bytes(3, "big") + each for each in chain)
    raw = _message(HandshakeType.CERTIFICATE, len(body).to_bytes(3, "big") + body)
    return _resigned(tls(raw, CERTIFICATE12))


def _certificate_with_much() -> Node:
    """With a staple and timestamps."""
    along = b"\0\x05" + _long(b"\1" + len(_staple()).to_bytes(3, "big") + _staple())
    along += b"\0\x12" + _long(_long(_long(b"a timestamp")))
    return _certificate13(material.server().chain_der[:1], _long(along))


def _long(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


@cache
def _staple() -> bytes:
    staple = material.server().staple
    assert staple is not None
    response = staple.current(material.NOW)
    assert response is not None
    return response


def _resigned(node: Node) -> Node:
    """Each certificate of a chain is signed by the one above."""
    for number, certificate in enumerate(n for n in node.walk() if n.form == "signed"):
        certificate.data = (b"intermediate", b"root", b"stranger")[min(number, 2)]
    return node


def _server_flight12(root: Node) -> Attempt:
    config, record = _choices(root)
    client = ClientConnection(
        replace(_fresh(_clients(), config), versions=["TLSv1.2"]), server_name="localhost"
    )
    server = ScriptedServer12(
        material.server(),
        order=("server_hello",),
        staple=_staple(),
        server_hello=_asking(record >> 4 & 1),
    )
    server.feed(bytes(client.data_to_send()))
    stream = _say(server, _inside(root), record)
    return _receiving(client, stream, 0)


def _asking(staples: int) -> Callable[[Any], Any]:
    """The ServerHello, which promises a staple or none."""

    def changed(hello: Any) -> Any:
        kept = dict(hello.extensions)
        if not staples:
            kept.pop(Ext.STATUS_REQUEST, None)
        return replace(hello, extensions=kept)

    return changed


def server_flight12_seeds() -> Iterator[Node]:
    end = [_step("server_key_exchange"), _step("server_hello_done")]
    chain = _certificate12(material.server().chain_der)
    yield _root(_list("flight", [chain, *end]))
    asks = b"\2\x40\1\0\4\4\3\x08\7\0\x08\0\2\x30\0\0\2\x30\0"
    request = tls(_message(HandshakeType.CERTIFICATE_REQUEST, asks), REQUEST12)
    yield _root(_list("flight", [chain, end[0], request, end[1]]))
    status = b"\1" + len(_staple()).to_bytes(3, "big") + _staple()
    stapled = _root(
        _list(
            "flight",
            [chain, tls(_message(HandshakeType.CERTIFICATE_STATUS, status), STATUS12), *end],
        )
    )
    assert stapled.parts is not None
    stapled.parts[1].data = b"\x10"
    yield stapled


@cache
def _asking_servers() -> tuple[ServerConfig, ...]:
    optional = _servers()[1]
    return optional, replace(optional, client_auth=ClientAuth.REQUIRED, send_authorities=True)


def _client_flight(root: Node) -> Attempt:
    config, record = _choices(root)
    server = ServerConnection(_fresh(_asking_servers(), config))
    client = ScriptedClient(credentials=material.client(), order=())
    server.receive_data(client.take())
    client.feed(bytes(server.data_to_send()))
    return _receiving(server, _say(client, _inside(root), record), 0)


def client_flight_seeds() -> Iterator[Node]:
    for chain in (
        material.client().chain_der,
        material.client().chain_der[:1],
        material.server().chain_der,
    ):
        steps = [_step("certificate_verify"), _step("finished")]
        yield _root(_list("flight", [_certificate13(chain), *steps]))


def _client_flight12(root: Node) -> Attempt:
    config, record = _choices(root)
    server = ServerConnection(_fresh(_asking_servers(), config))
    client = ScriptedClient12(credentials=material.client(), order=())
    server.receive_data(client.take())
    client.feed(bytes(server.data_to_send()))
    return _receiving(server, _say(client, _inside(root), record), 0)


def client_flight12_seeds() -> Iterator[Node]:
    steps = ("client_key_exchange", "certificate_verify", "change_cipher_spec", "finished")
    for chain in (material.client().chain_der, material.server().chain_der):
        yield _root(_list("flight", [_certificate12(chain), *map(_step, steps)]))


# After the handshake, both versions and roles


def _after(root: Node) -> Attempt:
    which, role = _choices(root)
    mutant = ("client", "server")[role % 2]
    conversation = Conversation(setups()[which % len(setups())], GenuineScript(), mutant=mutant)
    assert conversation.victim.established
    wire = Wire(conversation.mutant)
    for node in _inside(root):
        if node.kind == "step":
            conversation.mutant.update_keys(request_peer=node.data == b"ask")
            wire.end_record()
            continue
        kind, content, padding = node.parts or []
        _seal(conversation.mutant, kind.data[0], render(content)[:MAX_PLAINTEXT], len(padding.data))
    stream = bytes(conversation.mutant.data_to_send())
    return _receiving(conversation.victim, stream, 0)


def _seal(mutant: Connection, kind: int, content: bytes, padding: int) -> None:
    records = mutant._records
    write = records.write_key
    if isinstance(write, Protection13):
        padding = min(padding, MAX_PLAINTEXT - len(content))
        records.out.append(write.seal(kind, content, padding))
    else:
        records.out.append(records.writer.seal(kind, content))


def _record(kind: int, *content: Node, padding: int = 0) -> Node:
    parts = [
        Node("content type", data=bytes([kind]), fixed=True),
        _list("content", content),
        Node("padding", data=bytes(padding)),
    ]
    return Node("record", parts=parts)


def after_seeds() -> Iterator[Node]:
    ticket = bytes(3) + b"\x78" + bytes(4) + b"\1a\0\x09a ticket!\0\x08\0\x2a\0\4\0\0\1\0"
    message = tls(_message(HandshakeType.NEW_SESSION_TICKET, ticket))
    data = Node("data", data=b"a few words")
    for which in (0, 9, 10):
        for role in (0, 1):
            records = [
                _record(23, data.copy()),
                _record(22, message.copy()),
                _record(23, data.copy(), padding=100),
                _record(23),
                _record(21, Node("alert", data=b"\1\x5a", fixed=True)),
                _record(22, Node("HelloRequest", data=bytes(4), fixed=True)),
            ]
            for chosen in ([*records[:1]], records[:2], records[2:4], records[4:]):
                root = _root(_list("records", [*chosen, *([_step("ask")] if which < 9 else [])]))
                assert root.parts is not None
                root.parts[0].data, root.parts[1].data = bytes([which]), bytes([role])
                yield root


# Certificates, told to people


_POLICIES = (
    CertificatePolicy(),
    CertificatePolicy(profile="private"),
    CertificatePolicy(stapled_ocsp="require"),
)


def _chain(root: Node) -> Attempt:
    which, _ = _choices(root)
    entries, vouchers = (repeated(part.parts or ()) for part in (root.parts or [])[2:])
    chain = tuple(render(each) for each in entries)
    staple = render(vouchers[0]) if vouchers else None
    timestamps = render(vouchers[1]) if len(vouchers) > 1 else None
    trust, policy = material.authority().trust, _POLICIES[which % len(_POLICIES)]
    along: dict[str, Any] = {"policy": policy, "ocsp_response": staple, "sct_list": timestamps}

    def call() -> None:
        try:
            verify_server_chain(chain, trust, "localhost", material.NOW, **along)
        except CertificateError:
            told = explain(chain, "localhost", trust, material.NOW, **along)
            told.to_json()
            for certificate in certificates_of(told):
                describe(certificate)
            if staple:
                describe_staple(staple)
            raise
        finally:
            verify_client_chain(chain, trust, material.NOW, policy=policy)

    return Attempt(sum(map(len, chain)) + len(staple or b"") + len(timestamps or b""), call)


def certificates_of(told: Explanation) -> list[x509.Certificate]:
    """Each once, known by its place: to compare or to hash certificates is no work of ours."""
    found = {id(each): each for path in told.paths for each in path.certificates}
    return list(found.values())


def chain_seeds() -> Iterator[Node]:
    staple = Node("staple", parts=der(_staple()))
    timestamps = Node("timestamps", "2", parts=[Node("timestamp", "2", b"a timestamp")], many=True)
    chains = [material.server().chain_der, material.client().chain_der]
    chains.append((*material.server().chain_der, *material.client().chain_der))
    for chain in chains:
        nodes = [Node("certificate", parts=der(each)) for each in chain]
        tree = _list("chain", nodes)
        _resigned(tree)
        yield _root(tree, Node("vouchers", parts=[]))
        yield _root(tree.copy(), Node("vouchers", parts=[staple.copy(), timestamps.copy()]))


def _crl(root: Node) -> Attempt:
    data = render(_inside(root)[0])
    path = _path()

    def call() -> None:
        RevocationLists.from_bytes(data).check(path, material.NOW)

    return Attempt(len(data), call)


@cache
def _path() -> tuple[Any, ...]:
    from cryptography import x509

    chain = [x509.load_der_x509_certificate(each) for each in material.server().chain_der]
    return (*chain, material.authority().certificate)


def crl_seeds() -> Iterator[Node]:
    revoked = material.intermediate().crl([1, 2, 3])
    data = revoked.public_bytes(serialization.Encoding.DER)
    crl = Node("crl", parts=der(data))
    to_be_signed = crl.named("signed").parts or []
    (to_be_signed[0].parts or [])[_REVOKED].kind = "revoked"
    yield _root(_list("file", [crl]), choices=0)


_REVOKED = 5
"""The place of revokedCertificates in a TBSCertList with nextUpdate (RFC 5280 section 5.1)."""


# Captures, traces, key logs


_ENDS = (Address("10.0.0.1", 50000), Address("10.0.0.2", 443))


def _capture(root: Node) -> Attempt:
    which, keys = _choices(root)
    heard = genuine()[which % len(genuine())]
    pieces = []
    for number, node in enumerate(_inside(root)):
        sender, said = node.parts or []
        pieces.append(Piece(number, sender.data[0] % 2, render(said)))
    stream = Stream(0, _ENDS, tuple(pieces), (StreamEnd(1, 0, "end"),))
    secrets = KeyLog()
    if keys % 2 == 0:
        secrets.add(heard.keylog)

    def call() -> None:
        stream.starts_of_hello()
        story = Recorder()
        story.events = list(observe(stream, secrets).events)
        diagnose(story.events)
        narrate(story.events)
        story.to_html("localhost")

    return Attempt(sum(len(piece.data) for piece in pieces), call)


def capture_seeds() -> Iterator[Node]:
    for number in (0, 3, 9, 10):
        pieces = []
        for piece in genuine()[number].pieces:
            sender = Node("sender", data=bytes([piece.sender]), fixed=True)
            pieces.append(Node("piece", parts=[sender, _records_of(piece.data)]))
        root = _root(_list("pieces", pieces))
        assert root.parts is not None
        root.parts[0].data = bytes([number])
        yield root


def _records_of(data: bytes) -> Node:
    records = []
    while data:
        end = 5 + int.from_bytes(data[3:5], "big")
        body = data[5:end]
        whole = data[0] == 22 and len(body) > 4 and len(body) == 4 + int.from_bytes(body[1:4])
        inner = [tls(body)] if whole and body[0] in (1, 2) else [Node("content", data=body)]
        head = Node("header", data=data[:3], fixed=True)
        records.append(Node("record", parts=[head, Node("body", "2", parts=inner)]))
        data = data[end:]
    return _list("records", records)


def _trace(root: Node) -> Attempt:
    first, second = (render(each) for each in (*_inside(root), *_inside(root))[:2])

    def call() -> None:
        loaded = Recorder.from_json(first)
        diagnose(loaded.events)
        narrate(loaded.events)
        loaded.to_html("localhost")
        loaded.redacted(names=True, addresses=True).to_json()
        loaded.to_json(fields=True)
        with suppress(ConfigurationError):  # It needs the bytes of the transport.
            loaded.to_pcapng()
        differences(loaded, Recorder.from_json(second))

    return Attempt(len(first), call)


def trace_seeds() -> Iterator[Node]:
    for kept in recorded().traces[::6]:
        document = json.loads(kept.to_json())
        yield _root(_list("files", [json_tree(document, "trace")]), choices=0)
        # Short ones, too, which are read faster: one event of each kind.
        kinds = {event["event"]: event for event in document["events"]}
        short = document | {"events": list(kinds.values())}
        yield _root(_list("files", [json_tree(short, "trace")]), choices=0)


def _keylog(root: Node) -> Attempt:
    data = b"".join(map(render, _inside(root)))

    def call() -> None:
        found = KeyLog()
        found.add(data)
        for text in secrets_inside(data):
            found.add(text)

    return Attempt(len(data), call)


def keylog_seeds() -> Iterator[Node]:
    yield _root(_list("files", [lines(genuine()[0].keylog)]), choices=0)
    blocks = Node("file", data=genuine()[0].file)
    yield _root(_list("files", [blocks]), choices=0)
    section, block = blocks.data[:28], b"\x0a\0\0\0\x20\0\0\0KLST\x0c\0\0\0A 0a 0b\nA 0a\x20\0\0\0"
    parts = [Node("block", data=section), Node("block", data=block)]
    yield _root(_list("files", [_list("file", parts)]), choices=0)


def _printed(root: Node) -> Attempt:
    which = _choices(root)[0]
    text = b"".join(map(render, _inside(root)))
    return Attempt(len(text), lambda: printed(bytes([which % 2]) + text))


def printed_trees() -> Iterator[Node]:
    for seed in [each for each in printed_seeds() if each[0] < 2][:4]:
        root = _root(lines(seed[1:]), choices=1)
        assert root.parts is not None
        root.parts[0].data = seed[:1]
        yield root


# HTTP


_INFO = ConnectionInfo(
    "TLSv1.3", "TLS_AES_128_GCM_SHA256", "X25519", "ed25519", None, "localhost", False, "none",
    False, (), False, (),
)  # fmt: skip


class _Pipe(asyncio.Transport):
    """A transport to nobody."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "handclasp": _INFO})
        self._loop = loop
        self._protocol = protocol
        self._is_closing = False
        self.closed = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Nobody listens."""

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._loop.call_soon(self._protocol.connection_lost, None)
            self._loop.call_soon(self.closed.set)

    abort = close

    def pause_reading(self) -> None:
        """It is all there."""

    resume_reading = pause_reading


class _Deaf:
    """An observer that does not listen."""

    def connected(self, visit: object) -> None: ...
    def failed(self, visit: object) -> None: ...
    def ended(self, visit: object) -> None: ...
    def answered(self, request: object) -> None: ...
    def remarked(self, text: str) -> None: ...


@cache
def _site() -> tuple[asyncio.Runner, Any]:
    directory = Path(mkdtemp(prefix="handclasp-fuzz-"))
    (directory / "index.html").write_text("a page", encoding="utf-8")
    runner = asyncio.Runner()

    async def make() -> Any:
        files = RefuseEarlyData(Files(Site(os.fspath(directory))))
        return HTTP(files, Serving(Limits(), _Deaf()))

    return runner, runner.run(make())


async def _exchange(http: Any, said: bytes) -> None:
    """Let a client say this, and end."""
    protocol = http()
    pipe = _Pipe(asyncio.get_running_loop(), protocol)
    protocol.connection_made(pipe)
    if not pipe.is_closing():
        protocol.data_received(said)
    while protocol.is_busy() and not pipe.is_closing():
        await asyncio.sleep(0)
    pipe.close()
    await pipe.closed.wait()


def _http(root: Node) -> Attempt:
    said = b"".join(map(render, _inside(root)))
    runner, http = _site()
    return Attempt(len(said), lambda: runner.run(_exchange(http, said)))


def http_seeds() -> Iterator[Node]:
    for said in (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nEarly-Data: 1\r\n\r\n",
        b"GET /a/../%2e%2e/index.html?a=b#c HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1,2-3\r\n"
        b"If-Modified-Since: Sat, 29 Oct 1994 19:43:31 GMT\r\nConnection: close\r\n\r\n",
        b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    ):
        yield _root(lines(said), choices=0)


Prepare: TypeAlias = Callable[[Node], Attempt]


@cache
def spendings() -> dict[str, Spending]:
    """All of them by name."""
    found = (
        Spending("hello", _hello, hello_seeds),
        Spending("answer", _answer, answer_seeds),
        Spending("server-flight", _server_flight, server_flight_seeds),
        Spending("server-flight12", _server_flight12, server_flight12_seeds),
        Spending("client-flight", _client_flight, client_flight_seeds),
        Spending("client-flight12", _client_flight12, client_flight12_seeds),
        Spending("after", _after, after_seeds, seconds=None),
        Spending("chain", _chain, chain_seeds, seconds=0.100),
        Spending("crl", _crl, crl_seeds, FILES, None),
        Spending("capture", _capture, capture_seeds, FILES, None),
        Spending("trace", _trace, trace_seeds, FILES, None),
        Spending("keylog", _keylog, keylog_seeds, FILES, None),
        Spending("printed", _printed, printed_trees, FILES, None),
        Spending("http", _http, http_seeds, seconds=None),
    )
    return {each.name: each for each in found}
