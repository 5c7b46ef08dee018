"""Shares that are no public values of their group (RFC 8446 section 4.2.8.2)."""

from __future__ import annotations

import pytest
from tests.adversarial.conftest import ClientRefuses, ServerRefuses
from tests.pki import Pki

from handclasp import ClientConfig, ClientConnection, Fault, ProtocolError, ServerConfig
from handclasp.crypto.groups import GROUPS
from handclasp.iana import ExtensionType as Ext
from handclasp.testing.deviations import with_extension
from handclasp.testing.scripted import ScriptedServer
from handclasp.wire import extensions as ext
from handclasp.wire.messages import ServerHello

CURVES = {"secp256r1": 32, "secp384r1": 48, "secp521r1": 66}

SMALL_ORDER = [
    bytes(32),
    b"\1" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]
"""Points of Curve25519 whose order divides 8, with which every secret is zero (RFC 7748 6.1)."""


def valid_share(group: str) -> bytes:
    return GROUPS[group].exchange.generate(lambda size: b"\x42" * size).share


def bad_for_any_curve(group: str) -> list[bytes]:
    size = CURVES[group]
    good = valid_share(group)
    return [
        b"\0",  # the point at infinity
        b"\4" + bytes(2 * size),
        b"\4" + b"\xff" * 2 * size,
        good[:-1],
        good + b"\0",
        good[:-1] + bytes([good[-1] ^ 1]),  # beside the curve
        b"\2" + good[1 : size + 1],  # compressed
        b"\6" + good[1:],  # hybrid
    ]


def bad_mlkem(group: str) -> list[bytes]:
    """Shares of a client: encapsulation keys with a coefficient that is not reduced, and others."""
    good = valid_share(group)
    at = 0 if group == "X25519MLKEM768" else 65 if group == "SecP256r1MLKEM768" else 97
    return [
        good[:at] + b"\xff\xff\xff" + good[at + 3 :],
        good[:-1],
        good + b"\0",
        good[: len(good) // 2],
        good[:1],
    ]


BAD_OF_CLIENT = [
    *[("X25519", share) for share in SMALL_ORDER],
    *[("X25519", share) for share in (b"x", bytes(31), b"\x42" * 33)],
    *[("X448", share) for share in (bytes(56), b"\1" + bytes(55), b"\x42" * 55, b"\x42" * 57)],
    *[(group, share) for group in CURVES for share in bad_for_any_curve(group)],
    *[
        (group, share)
        for group in ("X25519MLKEM768", "SecP256r1MLKEM768", "SecP384r1MLKEM1024")
        for share in bad_mlkem(group)
    ],
    ("X25519MLKEM768", valid_share("X25519MLKEM768")[:-32] + bytes(32)),
    ("SecP256r1MLKEM768", b"\4" + bytes(64) + valid_share("SecP256r1MLKEM768")[65:]),
]


@pytest.mark.parametrize(("group", "share"), BAD_OF_CLIENT)
def test_of_a_client(server_refuses: ServerRefuses, group: str, share: bytes) -> None:
    entry = ext.KeyShareEntry(GROUPS[group].code, share)
    deviation = with_extension(Ext.KEY_SHARE, ext.write_key_share_client_hello([entry]))
    server_refuses(Fault.BAD_KEY_SHARE, groups=[group], shares=(), first_hello=deviation)


def test_of_a_client_after_a_retry(pki: Pki, server_refuses: ServerRefuses) -> None:
    entry = ext.KeyShareEntry(GROUPS["X25519"].code, bytes(32))
    deviation = with_extension(Ext.KEY_SHARE, ext.write_key_share_client_hello([entry]))
    config = ServerConfig(credentials=pki.server(), groups=["X25519"])
    server_refuses(Fault.BAD_KEY_SHARE, config=config, shares=(), second_hello=deviation)


def bad_of_server(group: str) -> list[bytes]:
    """Replies: the same for curves; a ciphertext of ML-KEM has only its length to be wrong."""
    if group == "X25519":
        return [*SMALL_ORDER, b"x", bytes(33)]
    if group == "X448":
        return [bytes(56), b"\x42" * 57]
    if group in CURVES:
        return bad_for_any_curve(group)
    reply, _ = GROUPS[group].exchange.respond(valid_share(group), lambda size: b"\x24" * size)
    bad = [reply[:-1], reply + b"\0", reply[: len(reply) // 2], reply[:1]]
    if group == "X25519MLKEM768":
        bad.append(reply[:-32] + bytes(32))
    else:
        size = 65 if group == "SecP256r1MLKEM768" else 97
        bad.append(b"\4" + bytes(size - 1) + reply[size:])
    return bad


@pytest.mark.parametrize(
    ("group", "share"),
    [
        # The shares are random, and so no names.
        pytest.param(group, share, id=f"{group}-{number}")
        for group in GROUPS
        for number, share in enumerate(bad_of_server(group))
    ],
)
def test_of_a_server(pki: Pki, client_refuses: ClientRefuses, group: str, share: bytes) -> None:
    entry = ext.write_key_share_server_hello(ext.KeyShareEntry(GROUPS[group].code, share))
    config = ClientConfig(trust=pki.trust, groups=[group])
    client_refuses(
        Fault.BAD_KEY_SHARE, config=config, server_hello=with_extension(Ext.KEY_SHARE, entry)
    )


class WrongCiphertext(ScriptedServer):
    """An ML-KEM ciphertext of the right length decapsulates to a secret that nobody else has."""

    def server_hello(self) -> ServerHello:
        message = super().server_hello()
        data = bytearray(message.extensions[Ext.KEY_SHARE])
        data[10] ^= 1
        return with_extension(Ext.KEY_SHARE, bytes(data))(message)


def test_wrong_ciphertext_fails_at_the_first_record(pki: Pki) -> None:
    connection = ClientConnection(ClientConfig(trust=pki.trust), server_name="localhost")
    server = WrongCiphertext(pki.server())
    server.feed(bytes(connection.data_to_send()))
    with pytest.raises(ProtocolError) as caught:
        connection.receive_data(server.take())
    assert caught.value.fault is Fault.BAD_RECORD_MAC
