"""The keys of each end's records, from a key log, or the reason why they are unknown."""

from __future__ import annotations

from handclasp.capture.conversation import CLIENT, SERVER, Conversation, Side
from handclasp.capture.protection import Draft13, ShortTag12, ShortTag13
from handclasp.capture.suites import suite12_of, suite13_of, tag_size_of, why_closed
from handclasp.crypto.secret import Secret
from handclasp.crypto.suites import TAG_SIZE
from handclasp.faults import Fault
from handclasp.keys.schedule12 import MasterSecret12, Randoms
from handclasp.keys.schedule13 import TrafficSecret
from handclasp.record.protection12 import Protection12
from handclasp.record.protection13 import Protection13
from handclasp.trace.events import KeysInstalled

_ENCRYPTED = "The rest is encrypted, and the secrets of this connection are not available."
_NEEDS_A_KEY_LOG = (
    f"{_ENCRYPTED} To see more, let one of the two ends log them while the connection "
    "is made (SSLKEYLOGFILE for browsers, curl and others; openssl s_client "
    "-keylogfile; handclasp connect --keylog), and give the file as --keylog."
)
_NOT_IN_THIS_KEY_LOG = (
    "The key log has secrets, but none of this connection: what is encrypted stays closed. A line "
    "of this connection has the random of its ClientHello as its second word: "
)


def change_keys(talk: Conversation, side: Side, epoch: str) -> None:
    """Record a change of keys: no message spans it (RFC 9846 section 5.1)."""
    side.epoch = epoch
    if side.reassembly:
        why = Fault.HANDSHAKE_ACROSS_KEY_CHANGE.sentence
        talk.miss(f"What the {side.role} says cannot be followed any further: {why}")
        side.seen.is_lost = True


def install(talk: Conversation, side: Side, epoch: str, label: str) -> None:
    """Open a side's later records with the secret of this label (TLS 1.3)."""
    change_keys(talk, side, epoch)
    version, draft = talk.version or "", _draft_of(talk.version)
    suite, secret = suite13_of(talk.suite_code), talk.secrets.get(label)
    side.protection = side.later = None
    if suite is None:
        side.blind = why_closed(version, talk.suite_code)
    elif draft < _FIRST_DRAFT_READ:
        side.blind = (
            f"What {version} protects is not opened here, with or without a key log: its keys "
            f"are derived otherwise. Drafts are opened from the {_FIRST_DRAFT_READ}th on."
        )
    elif secret is None:
        side.blind = _why_blind(talk, label, f"what the {side.role} says under its {epoch} keys")
        after = talk.secrets.get(f"{side.role.upper()}_TRAFFIC_SECRET_0", b"")
        if epoch == "handshake" and len(after) == suite.hash_size:
            side.secret = TrafficSecret(suite, Secret(after))
            side.later = _protection13(talk, side.secret)
    elif len(secret) == suite.hash_size:
        side.blind = ""
        side.secret = TrafficSecret(suite, Secret(secret))
        side.protection = _protection13(talk, side.secret)
        talk.note(side.role, KeysInstalled(talk.at, "", epoch, suite.name))
    else:
        side.blind = f"The secret {label} in the key log has a wrong size."


def next_keys(talk: Conversation, side: Side) -> None:
    """Install the next keys of a side (RFC 9846 section 7.2), if it has any."""
    if side.secret is not None:
        change_keys(talk, side, "application")
        side.secret = side.secret.next()
        side.protection = _protection13(talk, side.secret)


def _protection13(talk: Conversation, secret: TrafficSecret) -> Protection13:
    keys, draft = secret.keys(), _draft_of(talk.version)
    if draft < _LAST_DRAFT:
        return Draft13(keys, draft)
    if tag_size_of(secret.suite.name) == TAG_SIZE:
        return Protection13.of(keys)
    return ShortTag13.of(keys)


def _why_blind(talk: Conversation, label: str, what: str) -> str:
    """Return why a secret is missing: no key log, none of this connection, or a missing line."""
    keylog = talk.keylog
    if not talk.has_hello:
        return f"Without the ClientHello, {what} stays closed."
    if talk.secrets:
        return f"{lacks(label, what)} {keylog.trouble}".rstrip()
    if len(keylog):
        random = talk.randoms.get(CLIENT, b"").hex()
        return f"{_NOT_IN_THIS_KEY_LOG}{random}. {keylog.trouble}".rstrip()
    if keylog.trouble:
        return f"{_ENCRYPTED} {keylog.trouble} {keylog.advice}".rstrip()
    return _NEEDS_A_KEY_LOG


def change_cipher_spec(talk: Conversation, side: Side) -> None:
    """Treat this end's later records as protected (TLS 1.2; RFC 5246 section 7.1)."""
    change_keys(talk, side, "application")
    suite = suite12_of(talk.suite_code) if talk.version == "TLSv1.2" else None
    master = talk.secrets.get("CLIENT_RANDOM")
    side.protection = None
    if suite is None:
        side.blind = why_closed(talk.version or "this version", talk.suite_code)
    elif master is None:
        side.blind = _why_blind(talk, "CLIENT_RANDOM", "what is encrypted")
    else:
        side.blind = ""
        randoms = Randoms(talk.randoms[CLIENT], talk.randoms[SERVER])
        block = MasterSecret12(suite, randoms, Secret(master), extended=True).key_block()
        keys = block.client if side.role == CLIENT else block.server
        is_short = tag_size_of(suite.name) != TAG_SIZE
        side.protection = (ShortTag12 if is_short else Protection12)(keys, suite)
        talk.note(side.role, KeysInstalled(talk.at, "", "application", suite.name))


_FIRST_DRAFT_READ, _LAST_DRAFT = 20, 29
"""From draft 20 on, the labels of the key schedule are those of TLS 1.3."""


def _draft_of(version: str | None) -> int:
    """Return the number of a draft of TLS 1.3; for all others, one after the last draft."""
    name, _, number = (version or "").partition(" draft ")
    return int(number) if name == "TLSv1.3" and number.isdecimal() else _LAST_DRAFT


def lacks(label: str, what: str) -> str:
    """Return a sentence about a missing line of the key log, and what stays encrypted."""
    return f"The key log has secrets of this connection, but not {label}: {what} stays closed."
