"""RSA key transport: the client makes the secret and encrypts it to the server's key.

RFC 5246 section 7.4.7.1. Off unless the user names it: see docs/decisions/0014.

A server that lets on whether what it decrypted was well formed gives its key's power away, one
guess at a time (Bleichenbacher 1998, and ROBOT again in 2017). So there is one way through here
for every ciphertext: a random secret is drawn first; whatever decryption gives or raises, one of
the two is taken; and the handshake goes on to the Finished, which fails for all wrong ones alike.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

from handclasp.certificates.credentials import Credentials
from handclasp.certificates.reading import load_certificate
from handclasp.certificates.verify import VerifiedPeer
from handclasp.crypto.secret import Secret
from handclasp.errors import CertificateError
from handclasp.faults import Fault, advice
from handclasp.handshake.context import HandshakeContext
from handclasp.iana import TLS12
from handclasp.questions import Decrypt
from handclasp.wire.messages12 import (
    ClientKeyExchange,
    read_encrypted_secret,
    write_encrypted_secret,
)

_SIZE = 48
"""Bytes of PreMasterSecret: client_version and 46 of random."""

_VERSION = TLS12.to_bytes(2, "big")
"""The legacy_version of our clients, and of all others that can agree on TLS 1.2 here.

It is the version offered, which a man in the middle cannot lower without being noticed.
"""

_OR_ECDHE = "or choose a cipher suite with ECDHE, for which the key only has to sign."


def check_may_encipher(server: VerifiedPeer) -> None:
    """Refuse a certificate that does not allow keyEncipherment (RFC 5246 section 7.4.2)."""
    from cryptography import x509

    if server.spki_is_pss:  # RFC 4055 1.2: such a key is for signatures alone.
        detail = "its key is for signatures (id-RSASSA-PSS)"
        fix = advice(f"Use a certificate with a plain RSA key (rsaEncryption), {_OR_ECDHE}", "")
        refused = CertificateError(Fault.CERTIFICATE_WRONG_PURPOSE, detail, fix=fix)
        raise refused.at(0, "subjectPublicKeyInfo")
    if server.certificate_type == "RawPublicKey":
        return  # It has no keyUsage to say what its key is for.
    try:
        leaf = load_certificate(server.chain_der[0])
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    except Exception as error:
        raise CertificateError(Fault.BAD_CERTIFICATE, "its extensions cannot be read") from error
    if not usage.key_encipherment:
        detail = "its key usage does not allow to encipher keys"
        fix = advice(f"Get a certificate with the key usage keyEncipherment, {_OR_ECDHE}", "")
        refused = CertificateError(Fault.CERTIFICATE_WRONG_PURPOSE, detail, fix=fix)
        raise refused.at(0, "keyUsage")


def make_secret(
    server: VerifiedPeer, entropy: Callable[[int], bytes]
) -> tuple[ClientKeyExchange, Secret]:
    """Make a new secret as a client; return the message that carries it, and the secret."""
    from cryptography.hazmat.primitives.asymmetric import padding

    secret = Secret(_VERSION + entropy(_SIZE - len(_VERSION)))
    public_key: Any = server.public_key
    encrypted: bytes = public_key.encrypt(secret, padding.PKCS1v15())
    return ClientKeyExchange(write_encrypted_secret(encrypted)), secret


async def receive_secret(
    hs: HandshakeContext,
    credentials: Credentials,
    client_version: int,
    entropy: Callable[[int], bytes],
) -> Secret:
    """Return the client's secret, or a random one instead: nothing here tells which."""
    message = await hs.receive(ClientKeyExchange)
    ciphertext = read_encrypted_secret(message.exchange_keys)
    instead = entropy(_SIZE)
    answer = await hs.ask(Decrypt(credentials, ciphertext))
    decrypted = answer if isinstance(answer, bytes) else b""
    well_formed = len(decrypted) == _SIZE
    candidate = (decrypted + bytes(_SIZE))[:_SIZE]
    version = client_version.to_bytes(2, "big")
    well_formed &= hmac.compare_digest(candidate[:2], version)
    return Secret((instead, candidate)[well_formed])
