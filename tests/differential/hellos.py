"""Hellos that were really sent, and mutants of them: of their fields, and of their bytes."""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

from tests.vectors.client_hellos import CLIENT_HELLO_NAMES, client_hello

from handclasp import ClientConfig, ClientConnection
from handclasp.iana import ContentType, ExtensionType
from handclasp.wire.messages import ClientHello, read_message, write_message
from handclasp.wire.records import HEADER_SIZE, MAX_PLAINTEXT, write_plaintext
from handclasp.wire.structs import write_extensions

Change = Callable[[random.Random, ClientHello], "ClientHello | bytes"]

_NUMBERS = (0, 1, 0x0A0A, 0x0300, 0x0301, 0x0302, 0x0303, 0x0304, 0x0305, 0x7F1C, 0xFFFF)


@cache
def originals() -> tuple[bytes, ...]:
    """Whole ClientHello messages: ours, OpenSSL's, and those of browsers."""
    ours = [
        ClientConfig(verify_peer=False),
        ClientConfig(verify_peer=False, versions=["TLSv1.2"]),
        ClientConfig(verify_peer=False, groups=["X25519", "secp256r1"], alpn=["h2"], grease=False),
        ClientConfig(verify_peer=False, groups=["secp384r1", "X25519"], key_shares=["secp384r1"]),
    ]
    found = [
        _content(bytes(ClientConnection(config, server_name="localhost").data_to_send()))
        for config in ours
    ]
    for latest in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.maximum_version = latest
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            found.append(_content(outgoing.read()))
    return (*found, *[client_hello(name) for name in CLIENT_HELLO_NAMES])


def mutants(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """So many hellos as they go over the wire, each with the names of what was done to it."""
    chance = random.Random(seed)
    for _ in range(count):
        raw = chance.choice(originals())
        names: list[str] = []
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            name = chance.choice(list(CHANGES))
            try:
                hello = read_message(raw)
            except Exception:
                break  # It is broken already.
            assert isinstance(hello, ClientHello)
            changed = CHANGES[name](chance, hello)
            raw = changed if isinstance(changed, bytes) else write_message(changed)
            names.append(name)
        yield " + ".join(names), in_records(raw)


def in_records(raw: bytes) -> bytes:
    pieces = [raw[at : at + MAX_PLAINTEXT] for at in range(0, len(raw), MAX_PLAINTEXT)]
    return b"".join(
        write_plaintext(ContentType.HANDSHAKE, each, first_hello=True) for each in pieces
    )


# What can be done to a hello


def byte_changed(chance: random.Random, hello: ClientHello) -> bytes:
    raw = bytearray(write_message(hello))
    at = chance.randrange(4, len(raw))
    raw[at] = chance.randrange(256)
    return bytes(raw)


def cut(chance: random.Random, hello: ClientHello) -> bytes:
    body = write_message(hello)[4:]
    return _framed(body[: chance.randrange(len(body))])


def longer(chance: random.Random, hello: ClientHello) -> bytes:
    return _framed(write_message(hello)[4:] + chance.randbytes(chance.choice((1, 2, 4, 9))))


def extension_left_out(chance: random.Random, hello: ClientHello) -> ClientHello:
    left = dict(hello.extensions)
    if left:
        del left[chance.choice(list(left))]
    return replace(hello, extensions=left)


def extension_empty(chance: random.Random, hello: ClientHello) -> ClientHello:
    return _with_one(chance, hello, lambda data: b"")


def extension_cut(chance: random.Random, hello: ClientHello) -> ClientHello:
    return _with_one(chance, hello, lambda data: data[: chance.randrange(len(data) or 1)])


def extension_longer(chance: random.Random, hello: ClientHello) -> ClientHello:
    return _with_one(chance, hello, lambda data: data + chance.randbytes(chance.choice((1, 2, 4))))


def extension_byte_changed(chance: random.Random, hello: ClientHello) -> ClientHello:
    def change(data: bytes) -> bytes:
        out = bytearray(data)
        if out:
            out[chance.randrange(len(out))] = chance.randrange(256)
        return bytes(out)

    return _with_one(chance, hello, change)


def extension_twice(chance: random.Random, hello: ClientHello) -> bytes:
    if not hello.extensions:
        return write_message(hello)
    kind, data = chance.choice(list(hello.extensions.items()))
    vector = write_extensions(hello.extensions)[2:]
    again = write_extensions({kind: data})[2:]
    body = write_message(replace(hello, extensions={}))[4:-2]
    return _framed(body + len(vector + again).to_bytes(2, "big") + vector + again)


def extensions_shuffled(chance: random.Random, hello: ClientHello) -> ClientHello:
    entries = list(hello.extensions.items())
    chance.shuffle(entries)
    last = [each for each in entries if each[0] == ExtensionType.PRE_SHARED_KEY]
    return replace(hello, extensions=dict([e for e in entries if e not in last] + last))


def extension_unknown(chance: random.Random, hello: ClientHello) -> ClientHello:
    new = {chance.choice((0x1234, 0x0A0A, 0xFFFE)): chance.randbytes(chance.randrange(20))}
    return replace(hello, extensions=new | dict(hello.extensions))


def extension_of_another(chance: random.Random, hello: ClientHello) -> ClientHello:
    """One kind's content under another kind."""
    kinds = list(hello.extensions)
    if len(kinds) < 2:
        return hello
    one, other = chance.sample(kinds, 2)
    return replace(hello, extensions={**hello.extensions, one: hello.extensions[other]})


def version(chance: random.Random, hello: ClientHello) -> ClientHello:
    return replace(hello, legacy_version=chance.choice(_NUMBERS))


def suites(chance: random.Random, hello: ClientHello) -> ClientHello:
    some = chance.sample(hello.cipher_suites, chance.randrange(1, len(hello.cipher_suites) + 1))
    return replace(hello, cipher_suites=(*some, *chance.sample(_NUMBERS, chance.randrange(3))))


def compression(chance: random.Random, hello: ClientHello) -> ClientHello:
    methods = chance.choice((b"\1", b"\0\1", b"\1\0", b"\0\0", b"\xff"))
    return replace(hello, legacy_compression_methods=methods)


def session_id(chance: random.Random, hello: ClientHello) -> ClientHello:
    return replace(hello, legacy_session_id=chance.randbytes(chance.choice((0, 1, 31, 32))))


def versions(chance: random.Random, hello: ClientHello) -> ClientHello:
    some = chance.sample(_NUMBERS, chance.randrange(1, 5))
    data = bytes([2 * len(some)]) + b"".join(number.to_bytes(2, "big") for number in some)
    return replace(
        hello, extensions={**hello.extensions, int(ExtensionType.SUPPORTED_VERSIONS): data}
    )


CHANGES: dict[str, Change] = {
    change.__name__: change
    for change in (
        byte_changed,
        cut,
        longer,
        extension_left_out,
        extension_empty,
        extension_cut,
        extension_longer,
        extension_byte_changed,
        extension_twice,
        extensions_shuffled,
        extension_unknown,
        extension_of_another,
        version,
        suites,
        compression,
        session_id,
        versions,
    )
}


def _with_one(
    chance: random.Random, hello: ClientHello, change: Callable[[bytes], bytes]
) -> ClientHello:
    if not hello.extensions:
        return hello
    kind = chance.choice(list(hello.extensions))
    changed = change(hello.extensions[kind])
    return replace(hello, extensions={**hello.extensions, kind: changed})


def _framed(body: bytes) -> bytes:
    return b"\1" + len(body).to_bytes(3, "big") + body


def _content(stream: bytes) -> bytes:
    out = b""
    while stream:
        end = HEADER_SIZE + int.from_bytes(stream[3:HEADER_SIZE], "big")
        out, stream = out + stream[HEADER_SIZE:end], stream[end:]
    return out
