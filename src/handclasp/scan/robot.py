"""Malformed key exchanges of RSA, and whether the answers to them can be told apart (ROBOT).

If a server answers a badly padded secret otherwise than a well padded one, an attacker with enough
questions opens recordings with its key, or signs with it (Bleichenbacher 1998, ROBOT 2017). This
finds out whether it does: secrets that nobody needs are sent, padded in five ways, each of them
three times at most. RFC 5246 section 7.4.7.1 demands the same answer to all of them.

Like the hellos of old versions this stands apart from the engine. Behind the key exchange comes
random in place of the Finished, so that no handshake can be completed, whatever the server says.
The secrets are made here: no message of anybody else is sent, and no answer is used for more than
to compare it with the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from handclasp.certificates.reading import load_certificate, read_or_none
from handclasp.iana import TLS12, VERSION_NAMES, ContentType, alert_name
from handclasp.scan.hello import SSL30
from handclasp.scan.probes import OLDER, Offer, codes_of
from handclasp.scan.report import Fact, Report
from handclasp.scan.steps import Probe, Provoke, RsaKey, ask
from handclasp.scan.suites import exchange_of
from handclasp.wire.codecs import write_message
from handclasp.wire.messages12 import ClientKeyExchange, write_encrypted_secret
from handclasp.wire.records import HEADER_SIZE
from handclasp.wire.writer import opaque16

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

FORMS = ("well formed", "no type 2", "a zero too early", "no zero", "another version")
"""The forms of the block that is encrypted (RFC 8017 section 7.2.1); the first is as it must be."""

RANDOM_BYTES = 2048
LEAST_BITS, LARGEST_BITS = 512, 8192
"""The sizes of keys for which the block has room, and a computation is cheap."""

_LARGEST_EXPONENT = 1 << 33
_SECRET_BYTES = 46
"""The random bytes of a PreMasterSecret; its version comes before them."""
_FINISHED_BYTES = 64
"""A multiple of each cipher's block: the record is not refused for its length."""


def rsa_oracle(offer: Offer, report: Report) -> Probe[None]:
    """See whether a server tells well padded secrets from others, in the newest version with RSA.

    First each key exchange comes with the rest of the flight; then alone, for servers that only
    wait if it was well padded. A difference counts if it is there a second time.
    """
    found = _suites_with_rsa(report)
    if found is None:
        return
    version, codes = found
    hello = offer.hello(version, codes)
    answer = yield from ask(hello, whole_flight=True)
    key = _key_of(answer.certificates)
    if answer.version != version or key is None:
        return
    name = VERSION_NAMES[version]
    for complete in (True, False):
        provoked = [Provoke(hello, key, form, complete) for form in FORMS]
        first = yield from _reactions(provoked)
        if len(set(first)) == 1:
            said = f"the same answer to {len(FORMS)} forms in {name}: {first[0]}"
            report.features.setdefault("rsa_oracle", Fact(False, said))
            continue
        second = yield from _reactions(provoked)
        says = "; ".join(f"{form}: {said}" for form, said in zip(FORMS, first, strict=True))
        if second != first:
            report.features["rsa_oracle"] = Fact(None, f"its answers vary in {name}: {says}")
            return
        report.features["rsa_oracle"] = Fact(True, f"in {name}: {says} (ROBOT)")
        return


def _suites_with_rsa(report: Report) -> tuple[int, list[int]] | None:
    for version in OLDER:
        found = report.suites.get(VERSION_NAMES[version])
        codes = codes_of(version, found.names) if found is not None else []
        codes = [code for code in codes if exchange_of(code) == "RSA"]
        if codes and version != SSL30:  # There the message has another form.
            return version, codes
    return None


def _key_of(chain: Sequence[bytes]) -> RsaKey | None:
    """Return the numbers of the leaf's key; None if it is no RSA key that is cheap to use."""
    key = read_or_none(lambda: load_certificate(chain[0]).public_key())
    numbers = read_or_none(lambda: cast("RSAPublicKey", key).public_numbers())
    modulus, exponent = getattr(numbers, "n", 0), getattr(numbers, "e", 0)
    size = modulus.bit_length()
    if size > LARGEST_BITS or exponent > _LARGEST_EXPONENT:
        return None
    return RsaKey(modulus, exponent) if size >= LEAST_BITS else None


def _reactions(provoked: Sequence[Provoke]) -> Probe[list[str]]:
    said: list[str] = []
    for each in provoked:
        reaction: str = yield each
        said.append(reaction)
    return said


def write_second_flight(provoke: Provoke, random: bytes) -> bytes:
    """Return the records of a client's second flight.

    Args:
        random: `RANDOM_BYTES` bytes, for the secret, its padding and the Finished.
    """
    version = min(provoke.hello.version, TLS12).to_bytes(2, "big")
    block = _block(provoke, version, random)
    number = pow(int.from_bytes(block, "big"), provoke.key.exponent, provoke.key.modulus)
    secret = write_encrypted_secret(number.to_bytes(len(block), "big"))
    message = write_message(ClientKeyExchange(secret))
    records = _record(ContentType.HANDSHAKE, version, message)
    if provoke.complete:
        records += _record(ContentType.CHANGE_CIPHER_SPEC, version, b"\1")
        records += _record(ContentType.HANDSHAKE, version, random[-_FINISHED_BYTES:])
    return records


def _record(kind: int, version: bytes, content: bytes) -> bytes:
    """Return a record of the version that was agreed upon: older servers refuse any other."""
    return bytes((kind,)) + version + opaque16(content)


def _block(provoke: Provoke, version: bytes, random: bytes) -> bytes:
    """Return the padded secret (RFC 8017 section 7.2.1), as long as the modulus."""
    random = random.replace(b"\0", b"\1")
    secret, rest = random[:_SECRET_BYTES], random[_SECRET_BYTES:]
    size = (provoke.key.modulus.bit_length() + 7) // 8
    padding = rest[: size - len(b"\0\2\0") - len(version) - len(secret)]
    match provoke.form:
        case "no type 2":
            return b"\0\x17" + padding + b"\0" + version + secret
        case "a zero too early":
            return b"\0\2" + padding[:4] + b"\0" + padding[5:] + b"\x11" + version + secret
        case "no zero":
            return b"\0\2" + padding + b"\x11" + version + secret
        case "another version":
            return b"\0\2" + padding + b"\0\2\2" + secret
        case _:
            return b"\0\2" + padding + b"\0" + version + secret


def read_reaction(data: bytes) -> str:
    """Return the first thing that a server says to the second flight; empty while it is cut."""
    if len(data) < HEADER_SIZE:
        return ""
    if data[0] != ContentType.ALERT:
        return f"a record of type {data[0]}"
    if len(data) < HEADER_SIZE + 2:
        return ""
    return f"alert {alert_name(data[HEADER_SIZE + 1])}"
