"""Every message at every pause, as `make states` does it, and each state once by itself."""

from __future__ import annotations

import pytest
from tests.exploration.__main__ import PAGE, explore
from tests.exploration.explore import MODES, Pause, deliver, messages, pauses
from tests.exploration.picture import page
from tests.exploration.rfc import GRAPHS
from tests.fuzz.conversation import setups

from handclasp.handshake import context
from handclasp.handshake.context import HandshakeContext
from handclasp.iana import AlertDescription
from handclasp.wire.codecs import MESSAGE_TYPES


def one_of_each_state() -> dict[str, Pause]:
    found: dict[str, Pause] = {}
    for pause in pauses():
        name = f"{pause.role}, {pause.version}, {pause.state}"
        # The last ones of the setups have most in them.
        found[name] = pause
    return found


PAUSES = one_of_each_state()


@pytest.mark.parametrize("name", PAUSES)
def test_only_what_the_rfc_allows_is_accepted(name: str) -> None:
    pause = PAUSES[name]
    allowed = GRAPHS[pause.role, pause.version][pause.state]
    for message in messages(pause.version):
        found = deliver(pause, message)
        assert found.accepted is (message in allowed), (str(pause), found)
        if not found.accepted:
            assert found.alert == AlertDescription.UNEXPECTED_MESSAGE, (str(pause), found)


@pytest.mark.long
def test_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Each pause of each setup, as `make states` goes through them."""
    assert explore() == 0, capsys.readouterr().out


def test_every_state_of_the_rfc_is_reached() -> None:
    states = {
        f"{role}, {version}, {state}"
        for (role, version), graph in GRAPHS.items()
        for state in graph
    }
    assert states == set(PAUSES)


def test_every_setup_is_explored() -> None:
    assert set(MODES) == {setup.name for setup in setups()}


def test_the_page_shows_these_graphs() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make states`"


def test_a_state_that_takes_too_much_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the check of the type, messages out of their turn would be passed over."""

    async def lenient(self: HandshakeContext, *expected: type) -> bytes:
        while True:
            raw = await context.next_message()
            for kind in expected:
                if raw[0] == MESSAGE_TYPES[kind]:
                    self.transcript.add(raw)
                    return raw

    pause = PAUSES["client, TLSv1.3, WAIT_EE"]
    assert not deliver(pause, "Certificate").accepted
    monkeypatch.setattr(HandshakeContext, "receive_raw", lenient)
    assert deliver(pause, "Certificate").accepted
