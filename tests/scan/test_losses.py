"""Connections that are lost in the middle of a scan: nothing counts as refused because of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from tests.scan.model import Model

from handclasp.iana import TLS12, TLS13
from handclasp.scan import Finding, Report, findings, profiles
from handclasp.scan.answer import Answer
from handclasp.scan.hello import TLS10, TLS11, Hello
from handclasp.scan.legacy import OldAnswer
from handclasp.scan.refusals import IMPOSSIBLE
from handclasp.scan.steps import Ask, AskOld, Exchange, Shake, Shaken

CBC = 0xC013  # TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA
BAD_CURVE = 0x001A  # brainpoolP256r1
INFO: Any = object()
NO_HANDSHAKE = ["Resumption in TLSv1.2: a model makes no handshake"]
WAYS = ("reset", "closed", "silent")
Way = Literal["reset", "closed", "silent"]


@dataclass
class Losing(Model):
    """A server behind a network that loses some of its connections.

    Attributes:
        lost: says whether the answer to a hello is lost.
        times: how many of them at most.
        way: how.
    """

    lost: Callable[[Hello], bool] = lambda hello: False
    times: int = 1
    way: Way = "reset"

    def answer(self, exchange: Exchange) -> Any:
        if isinstance(exchange, Ask) and self.times and self.lost(exchange.hello):
            self.times -= 1
            return Answer(self.way, "the connection broke")
        return super().answer(exchange)


def losing(lost: Callable[[Hello], bool], way: Way, times: int) -> Losing:
    return Losing(
        {TLS12: (0xC02F, CBC)}, curves=(0x001D, BAD_CURVE), lost=lost, way=way, times=times
    )


def without_the_good_suite(hello: Hello) -> bool:
    return hello.version == TLS12 and CBC in hello.suites and 0xC02F not in hello.suites


def without_the_good_curve(hello: Hello) -> bool:
    return BAD_CURVE in hello.groups and 0x001D not in hello.groups


CASES = {"suite": without_the_good_suite, "group": without_the_good_curve}


def about(report: Report, kind: str) -> list[Finding]:
    return [each for each in findings(report, profiles()["intermediate"]) if each.kind == kind]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", CASES)
def test_one_lost_connection_hides_nothing(kind: str, way: Way) -> None:
    report = losing(CASES[kind], way, 1).examine()
    assert about(report, kind)
    assert (report.broken_off, report.incomplete) == (False, NO_HANDSHAKE)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", CASES)
def test_what_stays_lost_is_unknown(kind: str, way: Way) -> None:
    report = losing(CASES[kind], way, 1000).examine()
    assert report.broken_off
    name = {"suite": "suites", "group": "groups"}[kind]
    assert f"The {name} of TLSv1.2, in full: the connection broke." in report.incomplete
    assert about(report, "unknown")


@pytest.mark.parametrize("way", ["closed", "reset"])
def test_a_server_that_refuses_by_closing_is_known_in_full(way: Way) -> None:
    def refused(hello: Hello) -> bool:
        known = hello.version == TLS12 and {0xC02F, CBC} & set(hello.suites)
        return (
            not known
            or not {0x001D, BAD_CURVE} & set(hello.groups)
            or not ({0x0804, 0x0401} & set(hello.schemes))
        )

    report = losing(refused, way, 1000).examine()
    assert (report.broken_off, report.incomplete) == (False, NO_HANDSHAKE)
    assert report.groups["TLSv1.2"] == ("X25519", "brainpoolP256r1")
    assert report.versions["TLSv1.0"].value is False


def test_a_server_that_stops_to_answer_is_not_known_in_full() -> None:
    asked = []

    def after_a_while(hello: Hello) -> bool:
        asked.append(hello)
        return len(asked) > 12

    report = losing(after_a_while, "closed", 1000).examine()
    assert report.broken_off
    assert report.incomplete


@pytest.mark.parametrize("times", [1, 2, 3, 4])
def test_a_version_is_not_refused_by_lost_connections(times: int) -> None:
    def is_tls10(hello: Hello) -> bool:
        return hello.version == TLS10 and CBC in hello.suites

    model = losing(is_tls10, "closed", times)
    model.versions[TLS10] = (CBC,)
    report = model.examine()
    # Two are lost in asking for it; two more, while the others are answered, are a refusal.
    assert report.versions["TLSv1.0"].value is {1: True, 4: False}.get(times)
    unknown = [each.value for each in about(report, "unknown")]
    assert ("TLSv1.0" in unknown) is (times in (2, 3))


def test_an_unknown_version_is_unknown_also_where_a_profile_allows_it() -> None:
    model = Losing({TLS13: (0x1301,), TLS12: (0xC02F,)}, way="silent", times=1000)
    model.lost = lambda hello: hello.version == TLS12
    assert "TLSv1.2" in [each.value for each in about(model.examine(), "unknown")]


def test_the_groups_of_a_server_are_not_denied_after_a_loss() -> None:
    def groups13(hello: Hello) -> bool:
        return hello.version == TLS13 and len(hello.suites) == 1

    model = Losing({TLS13: (0x1301,), TLS11: (CBC,)}, lost=groups13, times=1000)
    report = model.examine()
    assert "What TLS 1.3 encrypts: no groups of the server are known." in report.incomplete


def test_a_lost_fallback_signal_is_no_refusal() -> None:
    model = losing(lambda hello: 0x5600 in hello.suites, "silent", 1000)
    model.versions[TLS11] = (CBC,)
    assert model.examine().features["fallback_scsv"].value is None


def test_ssl2_is_asked_for_again() -> None:
    @dataclass
    class Old(Model):
        def answer(self, exchange: Exchange) -> Any:
            found = super().answer(exchange)
            if isinstance(exchange, AskOld) and self.asked.count(exchange) == 1:
                return OldAnswer(None, b"")
            return found

    assert Old({TLS12: (0xC02F,)}, ssl2=True).examine().versions["SSLv2"].value is True


def test_a_handshake_that_is_lost_leaves_the_schemes_of_tls13_unknown() -> None:
    model = Model({TLS13: (0x1301,)})
    report = model.examine()
    assert any("signature schemes of TLSv1.3" in each for each in report.incomplete)
    assert any(isinstance(each, Shake) for each in model.asked)


def test_the_impossible_value_is_never_chosen() -> None:
    report = losing(lambda hello: IMPOSSIBLE in hello.suites, "closed", 1000).examine()
    assert report.incomplete == NO_HANDSHAKE


def test_a_handshake_of_tls13_that_fails_leaves_all_of_it_unknown() -> None:
    report = Model({TLS13: (0x1301,), TLS12: (0xC02F,)}).examine()
    assert "What TLS 1.3 encrypts: a model makes no handshake" in report.incomplete
    assert not {"tickets", "early_data", "certificate_compression"} & set(report.features)


def test_tls12_is_asked_for_hsts_where_there_is_no_tls13() -> None:
    model = Model({TLS12: (0xC02F,)})
    model.examine(b"HEAD / HTTP/1.1")
    assert b"HEAD / HTTP/1.1" in [each.request for each in model.asked if isinstance(each, Shake)]
    rare = Model({TLS12: (0xC0AE,)}).examine(b"HEAD / HTTP/1.1")
    assert rare.features["hsts"].value is None
    assert about(rare, "unknown")


def test_a_lost_resumption_is_unknown() -> None:
    @dataclass
    class Once(Model):
        def answer(self, exchange: Exchange) -> Any:
            if isinstance(exchange, Shake) and exchange.request:
                return Shaken(info=INFO)
            return super().answer(exchange)

    report = Once({TLS12: (0xC02F,)}).examine(b"HEAD / HTTP/1.1")
    assert report.features["resumption12"].value is None
