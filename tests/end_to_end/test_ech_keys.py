"""A server whose keys for Encrypted Client Hello come from a source of the application.

That every path goes on with them, however the answer comes, is in `test_three_ways`.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, cast

import pytest
from tests.adapters.pairs import Aside, plain_pair
from tests.end_to_end.ech import KEY, PUBLIC, RETRY, SECRET, ech_client
from tests.end_to_end.pair import Pair
from tests.pki import Pki

import handclasp
from handclasp import (
    DEFER,
    ClientConfig,
    ConfigurationError,
    EchConfigList,
    EchKey,
    EchKeySource,
    EchRejectedError,
    Fault,
    PeerAlertError,
    ProtocolError,
    ServerConfig,
    aio,
)

NEXT = EchKey.generate(PUBLIC, avoid=[KEY])
RETIRED = replace(KEY, send_as_retry=False)


class Source:
    """A source with one answer, which remembers what it was asked."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.asked: list[tuple[int, str | None]] = []

    def find_keys(self, config_id: int, public_name: str | None) -> object:
        self.asked.append((config_id, public_name))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def __len__(self) -> int:
        return 0  # A source need not look true to be one.


class Later:
    """A source that has to wait for its keys."""

    async def find_keys(self, config_id: int, public_name: str | None) -> list[EchKey]:
        await asyncio.sleep(0)
        return [KEY]


client = pytest.fixture(ech_client)


def server(pki: Pki, source: EchKeySource, **more: Any) -> ServerConfig:
    return ServerConfig(credentials=pki.server(SECRET, PUBLIC), ech=source, **more)


@pytest.mark.parametrize("change", [{}, RETRY])
def test_it_is_asked_once_for_each_hello(
    pki: Pki, client: ClientConfig, change: dict[str, Any]
) -> None:
    source = Source([KEY])
    pair = Pair(client, server(pki, source, **change), SECRET).run()
    assert pair.server.info.ech_accepted
    assert source.asked == [(KEY.configs[0].config_id, PUBLIC)]


def test_hellos_without_the_extension_ask_nothing(pki: Pki) -> None:
    source = Source([KEY])
    plain = ClientConfig(trust=pki.trust, grease_ech=False)
    assert Pair(plain, server(pki, source), SECRET).run().established
    assert source.asked == []


def test_grease_without_a_name(pki: Pki) -> None:
    source = Source([KEY])
    nameless = ClientConfig(verify_peer=False)
    assert Pair(nameless, server(pki, source), None).run().established
    [(_, name)] = source.asked
    assert name is None


def test_keys_that_replace_others(pki: Pki, client: ClientConfig) -> None:
    source = Source((KEY,))
    config = server(pki, source)
    assert Pair(client, config, SECRET).run().client.info.ech_accepted
    # The old one is not published any more, and serves those who have it from before.
    source.answer = (NEXT, RETIRED)
    assert Pair(client, config, SECRET).run().client.info.ech_accepted
    # After it is gone, they get the new one.
    source.answer = (NEXT,)
    error = Pair(client, config, SECRET).run().client.error
    assert isinstance(error, EchRejectedError)
    assert error.retry_configs == EchConfigList(NEXT.configs)
    again = replace(client, ech=error.retry_configs)
    assert Pair(again, config, SECRET).run().client.info.ech_accepted


def test_none_says_that_there_is_no_ech(pki: Pki, client: ClientConfig) -> None:
    error = Pair(client, server(pki, Source(None)), SECRET).run().client.error
    assert isinstance(error, EchRejectedError)
    assert error.is_authentic
    assert error.retry_configs is None


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (OSError("gone"), "ech.find_keys() failed with OSError"),
        (KEY, "The answer of ech.find_keys() was EchKey; it must be a tuple or a list or None."),
        ((), "there is none"),
        ([EchConfigList(KEY.configs)], "one is"),
        ((RETIRED,), "must have send_as_retry"),
        ([KEY] * 1000, "15360 at most"),
    ],
)
def test_a_source_that_fails_does_not_say_that_there_is_no_ech(
    pki: Pki, client: ClientConfig, answer: object, words: str
) -> None:
    """A client would believe that, and its program might connect in the clear."""
    pair = Pair(client, server(pki, Source(answer)), SECRET).run()
    error = pair.server.error
    assert isinstance(error, ProtocolError)
    assert error.fault is Fault.CALLBACK_FAILED
    assert words in str(error)
    assert "ech.find_keys()" in error.fix
    assert isinstance(pair.client.error, PeerAlertError)
    assert pair.client.error.alert == "internal_error"


def test_a_source_without_tls13(pki: Pki) -> None:
    with pytest.raises(ConfigurationError, match=r"requires TLS 1\.3"):
        server(pki, Source([KEY]), versions=["TLSv1.2"])


@pytest.mark.parametrize("is_tried", [False, True])
def test_trial_decryption_with_found_keys(pki: Pki, client: ClientConfig, is_tried: bool) -> None:
    [made] = KEY.configs
    client = replace(client, ech=EchConfigList([replace(made, config_id=made.config_id ^ 1)]))
    config = server(pki, Source([NEXT, KEY]), ech_trial_decryption=is_tried)
    assert Pair(client, config, SECRET).run().established is is_tried


def test_asyncio_waits_for_the_keys(pki: Pki, client: ClientConfig) -> None:
    async def main() -> None:
        async def answer(reader: Any, writer: Any) -> None:
            writer.write(await reader.read(5))
            await writer.drain()
            writer.close()

        config = server(pki, Later())
        async with await aio.start_server(answer, "127.0.0.1", 0, config=config) as listening:
            port = listening.sockets[0].getsockname()[1]
            reader, writer = await aio.open_connection(
                "127.0.0.1", port, config=client, server_name=SECRET
            )
            writer.write(b"hello")
            assert await reader.read(5) == b"hello"
            writer.close()

    asyncio.run(main())


class Held:
    """A source that answers hellos to `KEY` only when told, and others at once."""

    def __init__(self) -> None:
        self.is_asked, self.may_answer = asyncio.Event(), asyncio.Event()

    async def find_keys(self, config_id: int, public_name: str | None) -> list[EchKey]:
        if config_id == KEY.configs[0].config_id:
            self.is_asked.set()
            await self.may_answer.wait()
        return [KEY, NEXT]


def test_others_go_on_while_one_waits_for_its_keys(pki: Pki, client: ClientConfig) -> None:
    async def main() -> None:
        async def answer(reader: Any, writer: Any) -> None:
            writer.write(await reader.read(5))
            await writer.drain()
            writer.close()

        async def conversation(config: ClientConfig) -> None:
            reader, writer = await aio.open_connection(
                "127.0.0.1", port, config=config, server_name=SECRET
            )
            writer.write(b"hello")
            assert await reader.read(5) == b"hello"
            writer.close()

        source = Held()
        config = server(pki, source)
        async with await aio.start_server(answer, "127.0.0.1", 0, config=config) as listening:
            port = listening.sockets[0].getsockname()[1]
            waiting = asyncio.create_task(conversation(client))
            await asyncio.wait_for(source.is_asked.wait(), 20)
            others = [
                replace(client, ech=EchConfigList(NEXT.configs)),  # it asks, and is answered
                replace(client, ech=None, grease_ech=False),
            ]
            await asyncio.wait_for(asyncio.gather(*map(conversation, others)), 20)
            assert not waiting.done()
            source.may_answer.set()
            await asyncio.wait_for(waiting, 20)

    asyncio.run(main())


def test_threads_that_share_a_source_which_rotates(pki: Pki, client: ClientConfig) -> None:
    """All answers hold both keys, in another order and role, so that every hello is decrypted."""
    source = Source((KEY,))
    config = server(pki, source)
    newer = replace(client, ech=EchConfigList(NEXT.configs))

    def handshakes(number: int) -> list[bool]:
        accepted = []
        for turn in range(6):
            source.answer = (KEY, NEXT) if (number + turn) % 2 else (NEXT, RETIRED)
            pair = Pair(newer if number % 2 else client, config, SECRET).run()
            accepted.append(pair.client.info.ech_accepted and pair.server.info.ech_accepted)
        return accepted

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(handshakes, range(8))) == [[True] * 6] * 8
    assert len(source.asked) == 48


@pytest.mark.parametrize(("source", "given"), [(Later(), "an awaitable"), (Source(DEFER), "DEFER")])
def test_a_blocking_socket_cannot_wait_for_the_keys(
    pki: Pki, client: ClientConfig, source: Any, given: str
) -> None:
    with plain_pair() as (ours, theirs):
        aside = Aside(lambda: handclasp.wrap_client(theirs, client, server_name=SECRET))
        with pytest.raises(ConfigurationError, match=f"FindEchKeys answered with {given}"):
            handclasp.wrap_server(ours, server(pki, source))
        with pytest.raises(PeerAlertError, match="internal_error"):
            aside.result()


def test_a_dict_of_keys_is_no_source(pki: Pki) -> None:
    with pytest.raises(ConfigurationError, match="ech must be"):
        server(pki, cast(Any, {1: KEY}))
