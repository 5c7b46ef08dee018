"""Targets: a client and a server of ours, each against a peer that has the keys and misbehaves.

The input is a script. It chooses the setup, says what becomes of each message that the mutant
sends, and what both applications do once the handshake is complete. Whatever it says:

- nothing but a `TLSError` comes out, and never one that says that we or a callback failed;
- a failed connection says one alert, and is silent then;
- no handshake completes without the peer's genuine Finished, and, where certificates prove the
  peer, with another chain than the one whose key it holds;
- the application reads what the peer's application wrote, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from tests.fuzz.conversation import Conversation, Setup, Wire, setups
from tests.fuzz.target import Choices, Target

from handclasp import ClientConnection, DataReceived, Fault, Recorder
from handclasp.errors import ProtocolError
from handclasp.iana import ContentType, HandshakeType

_SIZES = (0, 0, 1, 3, 17, 64, 500, 20_000)
_MAX_STEPS = 24
_OURS = (
    Fault.INTERNAL_ERROR,
    Fault.INTERRUPTED,
    Fault.CALLBACK_FAILED,
    Fault.KEY_LOG_FAILED,
    Fault.OWN_SIGNATURE_WRONG,
)
_LARGEST_ALERT = 64
"""Bytes of an alert's record, padded as some setups want it."""


class MutantScript:
    """What becomes of each message, as the choices say."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._held: bytes | None = None
        self.finished_sent = False
        self.injected_data = False

    def change(self, raw: bytes, wire: Wire) -> Sequence[Sequence[bytes]]:
        sent = self._changed(raw, wire)
        if any(b"".join(pieces)[: len(raw)] == raw for pieces in sent):
            self.finished_sent |= raw[0] == HandshakeType.FINISHED
        return sent

    def change_cipher_spec(self, wire: Wire) -> bool:
        return self._choices.byte() % 16 != 6

    def _changed(self, raw: bytes, wire: Wire) -> Sequence[Sequence[bytes]]:
        choices = self._choices
        held, self._held = self._held, None
        after = [[held]] if held is not None else []
        step = choices.byte() % 16
        if step in (4, 5):
            return [[edited(choices, raw)], *after]
        if step == 6:
            return after
        if step == 7:
            return [[raw], [raw], *after]
        if step == 8:
            return [[any_message(choices)], [raw], *after]
        if step == 9:
            return [[raw + choices.take(choices.byte())], *after]
        if step == 10:
            self.inject(wire)
        elif step == 11:
            wire.raw(any_record(choices))
        elif step == 12:
            self._held = raw
            return after
        elif step == 13:
            cut = choices.number() % (len(raw) + 1)
            return [[raw[:cut], raw[cut:]], *after]
        elif step == 14:
            return [[bytes([choices.byte()]) + raw[1:]], *after]
        elif step == 15:
            return [[resized(choices, raw)], *after]
        return [[raw], *after]

    def inject(self, wire: Wire) -> None:
        """A record of any type, under the mutant's keys."""
        content_type = (20, 21, 22, 23, 24, 0, 21, 23)[self._choices.byte() % 8]
        content = self._choices.take(self._choices.byte())
        # Behind type 0, which is padding, the last byte of the content is the type.
        self.injected_data |= content_type in (0, ContentType.APPLICATION_DATA)
        wire.sealed(content_type, content)


def edited(choices: Choices, raw: bytes) -> bytes:
    """The message with its bytes changed here and there; its header's length stays right."""
    out = bytearray(raw)
    for _ in range(1 + choices.byte() % 4):
        at = 4 + choices.number() % max(1, len(out) - 4)
        kind = choices.byte() % 4
        if kind == 0:
            out[at : at + 1] = choices.take(1)
        elif kind == 1:
            new = choices.take(choices.byte())
            out[at : at + len(new)] = new
        elif kind == 2:
            out[at:at] = choices.take(choices.byte())
        else:
            del out[at : at + choices.byte()]
    return framed(out)


def resized(choices: Choices, raw: bytes) -> bytes:
    """The message cut, or longer, under a header that fits, or does not."""
    size = choices.number() % (2 * len(raw))
    body = (raw[4:] + bytes(size))[:size]
    return framed(raw[:4] + body) if choices.byte() % 2 else raw[:4] + body


def any_message(choices: Choices) -> bytes:
    kind = choices.byte()
    return framed(bytes([kind, 0, 0, 0]) + choices.take(choices.byte()))


def framed(raw: bytes | bytearray) -> bytes:
    """With the right length in the header."""
    return bytes(raw[:1]) + max(0, len(raw) - 4).to_bytes(3, "big") + bytes(raw[4:])


def any_record(choices: Choices) -> bytes:
    """A plaintext record, or bytes that look like none."""
    kind = choices.byte()
    body = choices.take(choices.byte())
    if kind >= 0x80:
        return body
    return bytes([kind % 32, 3, 3]) + len(body).to_bytes(2, "big") + body


def attack(data: bytes, mutant: str) -> None:
    """One conversation, judged."""
    choices = Choices(data)
    setup = setups()[choices.byte() % len(setups())]
    flags = choices.byte()
    script = MutantScript(choices)
    trace = Recorder(record_secrets=True) if flags & 8 else None
    size = _SIZES[flags % 8]
    conversation = Conversation(setup, script, mutant=mutant, size=size, trace=trace)
    judge(conversation, setup, script)
    written = b""
    for _ in range(_MAX_STEPS):
        if conversation.error is not None or not choices.more():
            break
        written += after_handshake(conversation, choices, script)
        judge(conversation, setup, script)
    conversation.end()
    judge(conversation, setup, script)
    read = b"".join(event.data for event in conversation.events if isinstance(event, DataReceived))
    if not script.injected_data and not written.startswith(read):
        raise AssertionError("data that nobody wrote")


def after_handshake(conversation: Conversation, choices: Choices, script: MutantScript) -> bytes:
    """One step of either side; gives what the mutant's application wrote."""
    mutant, victim = conversation.mutant, conversation.victim
    wire = Wire(mutant)
    step = choices.byte() % 11
    written = b""
    if step == 0 and mutant.established and not mutant.closed:
        written = choices.take(1 + choices.byte()) * (1 + choices.byte() % 3 * 400)
        conversation.do(lambda: mutant.send_data(written))
    elif step == 1:
        conversation.do(lambda: wire.message(any_message(choices)))
    elif step == 2:
        conversation.do(lambda: script.inject(wire))
    elif step == 3:
        conversation.do(lambda: wire.raw(any_record(choices)))
    elif step == 4:
        conversation.do(lambda: mutant.update_keys(request_peer=bool(choices.byte() & 1)))
    elif step == 5:
        conversation.do(lambda: victim.send_data(choices.take(choices.byte())))
    elif step == 6:
        conversation.do(victim.update_keys)
    elif step == 7:
        conversation.do(mutant.close)
    elif step == 8:
        conversation.do(victim.close)
    elif step == 9:
        conversation.do(lambda: wire.message(choices.take(choices.byte())))
    else:
        conversation.do(lambda: wire.sealed(ContentType.ALERT, choices.take(2)))
    return written


def judge(conversation: Conversation, setup: Setup, script: MutantScript) -> None:
    """The side that behaves is as it must be, whatever the other one did."""
    victim, error = conversation.victim, conversation.error
    if isinstance(error, ProtocolError) and error.origin == "local" and error.fault in _OURS:
        raise AssertionError(f"our own failure: {error}") from error
    if error is not None:
        rest = bytes(victim.data_to_send())
        if len(rest) > _LARGEST_ALERT or victim.established:
            raise AssertionError("a failed connection goes on")
    info = victim.info
    if info is None:
        return
    if not script.finished_sent:
        raise AssertionError("complete without the peer's Finished")
    if isinstance(victim, ClientConnection) and setup.client.verify_peer:
        genuine = conversation.mutant.config.credential_list
        chains = [each.chain_der for each in genuine]
        if info.psk_identity is None and info.peer_chain_der not in chains:
            raise AssertionError("complete with a chain whose key the peer does not hold")
        if info.psk_identity is None and not info.peer_verified:
            raise AssertionError("complete without verification")


def attack_client(data: bytes) -> None:
    attack(data, "server")


def attack_server(data: bytes) -> None:
    attack(data, "client")


def seeds() -> Iterable[bytes]:
    """Each setup as it should be, each with each kind of trouble at each of its messages."""
    for number in range(len(setups())):
        start = bytes([number, 0])
        talk = b"\0" * 12 + b"\0\3abc\0\4\1\5\2hi\6\0\1x\0\7"
        yield start + talk
        yield bytes([number, 2]) + talk
        for message in range(8):
            for step in range(4, 16):
                yield start + bytes(message) + bytes([step]) + b"\x01\x00\x09\x00\xff\x05abcdefgh"


@cache
def targets() -> tuple[Target, ...]:
    return (
        Target("client", attack_client, seeds, weight=4),
        Target("server", attack_server, seeds, weight=4),
    )
