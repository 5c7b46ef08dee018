"""Targets: what a peer may put into an encrypted hello, and into configurations (RFC 9849).

Whoever has a server's configuration, which is everybody, can encrypt any bytes to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache
from unittest.mock import patch

from tests.fuzz import material
from tests.fuzz.target import Choices, Target

from handclasp import (
    ClientConfig,
    ClientConnection,
    EchConfigList,
    EchKey,
    ProtocolError,
    ServerConfig,
    ServerConnection,
    TLSError,
)
from handclasp.errors import ConfigurationError
from handclasp.wire.ech import (
    decode_inner_hello,
    encode_inner_hello,
    read_ech_config_list,
    read_encrypted_client_hello,
    write_ech_config_list,
    write_encrypted_client_hello,
)
from handclasp.wire.messages import ClientHello, read_message, write_message

KEY = EchKey.generate("public.test")


def ech_configs(data: bytes) -> None:
    """A list of configurations writes back to itself, and says of each whether it can be used."""
    with suppress(ConfigurationError):
        EchConfigList.load(data)
    try:
        configs = read_ech_config_list(data)
    except ProtocolError:
        return
    if write_ech_config_list(configs) != data:
        raise AssertionError("a list was read that does not write back to itself")
    found = EchConfigList(configs)
    if (found.usable is None) != all(found.problems()):
        raise AssertionError("usable and problems disagree")


def ech_configs_seeds() -> Iterable[bytes]:
    yield EchConfigList(KEY.configs).to_bytes()
    yield KEY.to_pem()
    yield EchConfigList([*KEY.configs, *EchKey.generate("a.test", kem="P-256").configs]).to_bytes()


def encrypted_hello(data: bytes) -> None:
    """The extension itself writes back to itself, by the quick way and by the reader."""
    try:
        hello = read_encrypted_client_hello(data)
    except ProtocolError:
        return
    if hello is not None and write_encrypted_client_hello(hello) != data:
        raise AssertionError("an extension was read that does not write back to itself")


def encrypted_hello_seeds() -> Iterable[bytes]:
    yield b"\1"
    yield _outer().extensions[0xFE0D]


def inner_hello(data: bytes) -> None:
    """EncodedClientHelloInner, inside of a given outer hello, and sealed for a server.

    The first byte says whether a server gets it as well, which takes longer.
    """
    choices = Choices(data)
    asks_server, encoded = choices.byte() & 1, choices.rest()
    try:
        inner, _ = decode_inner_hello(encoded, _outer())
    except ProtocolError:
        pass
    else:
        if write_message(inner) != inner.raw or read_message(inner.raw) != inner:
            raise AssertionError("an inner hello that does not read as it is written")
    if asks_server:
        _serve(encoded)


def inner_hello_seeds() -> Iterable[bytes]:
    encoded: list[bytes] = []

    def encode(inner: ClientHello, shared: Sequence[int], *sizes: int) -> bytes:
        encoded.append(encode_inner_hello(inner, shared, *sizes))
        return encoded[-1]

    _hello_with(encode)
    yield b"\1" + encoded[0]
    yield b"\0" + encoded[0].rstrip(b"\0")


def _serve(encoded: bytes) -> None:
    sent = _hello_with(lambda *_: encoded)
    server = ServerConnection(ServerConfig(credentials=material.server(), ech=[KEY]))
    with suppress(TLSError):
        server.receive_data(sent)


def ech_answer(data: bytes) -> None:
    """What a server sends first to a client that has encrypted its hello, or only seems to.

    The first byte says which.
    """
    choices = Choices(data)
    configs = EchConfigList(KEY.configs) if choices.byte() & 1 else None
    config = ClientConfig(verify_peer=False, ech=configs)
    client = ClientConnection(config, server_name="secret.test")
    client.data_to_send()
    with suppress(TLSError):
        client.receive_data(choices.rest())
    client.data_to_send()
    if client.info is not None:
        raise AssertionError("a client is content with a server that it has not heard of")


def ech_answer_seeds() -> Iterable[bytes]:
    for groups in (["X25519"], ["secp384r1"]):
        config = ServerConfig(credentials=material.server(), ech=[KEY], groups=groups)
        server = ServerConnection(config)
        server.receive_data(_hello_with(encode_inner_hello))
        answer = bytes(server.data_to_send())
        yield b"\1" + answer
        yield b"\0" + answer


def _hello_with(encode: Callable[..., bytes]) -> bytes:
    """Return what a client sends whose inner hello is encoded by another function."""
    with patch("handclasp.handshake.tls13.ech_offer.encode_inner_hello", encode):
        config = ClientConfig(verify_peer=False, ech=EchConfigList(KEY.configs))
        return bytes(ClientConnection(config, server_name="secret.test").data_to_send())


@cache
def _outer() -> ClientHello:
    hello = read_message(_hello_with(encode_inner_hello)[5:])
    if not isinstance(hello, ClientHello):
        raise TypeError("a client begins with something else")
    return hello


def targets() -> tuple[Target, ...]:
    return (
        Target("ech_configs", ech_configs, ech_configs_seeds),
        Target("encrypted_hello", encrypted_hello, encrypted_hello_seeds),
        Target("inner_hello", inner_hello, inner_hello_seeds),
        Target("ech_answer", ech_answer, ech_answer_seeds),
    )
