"""The confirmation by which a server tells that it took the inner hello (RFC 9849 section 7.2)."""

from __future__ import annotations

from hashlib import new

from handclasp.crypto.hkdf import hkdf_expand_label, hkdf_extract
from handclasp.iana import ExtensionType
from handclasp.keys.transcript import Transcript
from handclasp.values import replace
from handclasp.wire.ech import CONFIRMATION_SIZE
from handclasp.wire.messages import HEADER_SIZE, ServerHello, write_message

_ECH = ExtensionType.ENCRYPTED_CLIENT_HELLO
_ACCEPT, _RETRY_ACCEPT = "ech accept confirmation", "hrr ech accept confirmation"
_NO_CONFIRMATION = bytes(CONFIRMATION_SIZE)
_CONFIRMATION = slice(HEADER_SIZE + 2 + 32 - CONFIRMATION_SIZE, HEADER_SIZE + 2 + 32)
"""The end of the random in a ServerHello."""


def server_hello_confirmation(
    transcript: Transcript, hash_name: str, inner_random: bytes, server_hello: bytes
) -> bytes:
    """Return the last 8 bytes of the random in a ServerHello that accepts the inner hello.

    Args:
        transcript: with the inner hello, up to the ServerHello; its hash may not be chosen yet.
        inner_random: of the first inner hello.
        server_hello: the message, with any bytes in their place.
    """
    end = _CONFIRMATION.stop
    blank = server_hello[: _CONFIRMATION.start] + _NO_CONFIRMATION + server_hello[end:]
    digest = transcript.digest_with(blank, hash_name)
    return _confirmation(hash_name, inner_random, _ACCEPT, digest)


def confirmed_server_hello(
    transcript: Transcript, hash_name: str, inner_random: bytes, server_hello: bytes
) -> bytes:
    """Return a ServerHello that accepts the inner hello; see `server_hello_confirmation`."""
    confirmation = server_hello_confirmation(transcript, hash_name, inner_random, server_hello)
    end = _CONFIRMATION.stop
    return server_hello[: _CONFIRMATION.start] + confirmation + server_hello[end:]


def retry_confirmation(
    transcript: Transcript, hash_name: str, inner_random: bytes, request: ServerHello
) -> bytes:
    """Return the confirmation in a HelloRetryRequest that accepts the inner hello (section 7.2.1).

    Args:
        transcript: with the message_hash of the inner hello alone; its hash is chosen.
        request: the message, with anything in its encrypted_client_hello.
    """
    blank = replace(request, extensions={**request.extensions, _ECH: _NO_CONFIRMATION})
    digest = transcript.digest_with(write_message(blank), hash_name)
    return _confirmation(hash_name, inner_random, _RETRY_ACCEPT, digest)


def _confirmation(hash_name: str, inner_random: bytes, label: str, digest: bytes) -> bytes:
    secret = hkdf_extract(hash_name, bytes(new(hash_name).digest_size), inner_random)
    return bytes(hkdf_expand_label(hash_name, secret, label, digest, CONFIRMATION_SIZE))
