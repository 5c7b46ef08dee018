"""What is said of an alert about this side's certificates, by what they show themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from handclasp import Fault
from handclasp.alerts import OwnChain, Situation, likely_causes
from handclasp.alerts.cause import Cause
from handclasp.faults import Blame
from handclasp.iana import AlertDescription

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
LONG_VALID = NOW - 90 * DAY, NOW + 90 * DAY
EXPIRED = NOW - 90 * DAY, NOW - 10 * DAY
AHEAD = NOW + 10 * DAY, NOW + 90 * DAY
NEW = NOW - DAY / 24, NOW + 90 * DAY

ROLES = pytest.mark.parametrize("role", ["client", "server"])


def shown(
    role: str,
    *times: tuple[datetime, datetime],
    now: datetime | None = NOW,
    purposes: tuple[str, ...] | None = None,
) -> Situation:
    begin, end = times[0]
    chain = OwnChain(
        len(times),
        "CN=leaf",
        "CN=last",
        "CN=root",
        "localhost",
        f"valid from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC",
        validity=tuple((f"CN=number {at}", *each) for at, each in enumerate(times)),
        purposes=purposes,
        key="RSA with 1024 bits, and it is signed with sha1WithRSAEncryption",
    )
    is_for_name = True if role == "server" else None
    return Situation(
        role,
        "handshake" if role == "server" else "established",
        "TLSv1.3",
        server_name="localhost",
        certificate="shown",
        chain=chain,
        is_for_name=is_for_name,
        now=now,
    )


def causes(alert: str, situation: Situation) -> tuple[Cause, ...]:
    return likely_causes(AlertDescription[alert], situation)


GENERAL = pytest.mark.parametrize(
    "alert", ["BAD_CERTIFICATE", "CERTIFICATE_UNKNOWN", "ACCESS_DENIED", "CERTIFICATE_EXPIRED"]
)
"""Java, Go and GnuTLS send the first three of a certificate that has expired."""


@ROLES
@GENERAL
@pytest.mark.parametrize("which", [0, 1])
def test_a_certificate_that_has_expired_comes_first(role: str, alert: str, which: int) -> None:
    times = [LONG_VALID, LONG_VALID]
    times[which] = EXPIRED
    first, *others = causes(alert, shown(role, *times))
    assert first.fault == "CERTIFICATE_EXPIRED"
    assert first.blame is Blame.LOCAL
    assert "has expired" in first.sentence
    assert "valid from 2026-09-02 12:00 to 2026-11-21 12:00 UTC" in first.sentence
    assert ("CN=number 1" in first.sentence) == (which == 1)
    assert "CERTIFICATE_NOT_YET_VALID" not in [each.fault for each in others]


@ROLES
@GENERAL
def test_a_certificate_that_is_not_yet_valid(role: str, alert: str) -> None:
    first, *_ = causes(alert, shown(role, AHEAD))
    assert first.fault == "CERTIFICATE_NOT_YET_VALID"
    assert "is not yet valid" in first.sentence


@ROLES
@pytest.mark.parametrize(("times", "is_near"), [(LONG_VALID, False), (NEW, True)])
def test_not_yet_valid_is_said_only_where_a_clock_can_be_behind(
    role: str, times: tuple[datetime, datetime], *, is_near: bool
) -> None:
    faults = [each.fault for each in causes("BAD_CERTIFICATE", shown(role, times))]
    assert ("CERTIFICATE_NOT_YET_VALID" in faults) == is_near
    assert "CERTIFICATE_EXPIRED" not in faults
    unknown = causes("BAD_CERTIFICATE", shown(role, times, now=None))
    assert "CERTIFICATE_NOT_YET_VALID" in [each.fault for each in unknown]


@ROLES
@pytest.mark.parametrize("count", [1, 2])
def test_what_expired_is_not_what_was_sent(role: str, count: int) -> None:
    """It is a root, a CRL or the clock of the other end, and that one can act."""
    (cause,) = causes("CERTIFICATE_EXPIRED", shown(role, *[LONG_VALID] * count))
    assert cause.blame is Blame.PEER
    assert "On this end" not in cause.fix
    assert "CRL" in cause.sentence
    assert "root" in cause.sentence or "authority" in cause.sentence
    assert "clock" in cause.sentence


@ROLES
def test_expired_where_the_time_is_unknown(role: str) -> None:
    (cause,) = causes("CERTIFICATE_EXPIRED", shown(role, LONG_VALID, now=None))
    assert "or another on its path" in cause.sentence
    assert "It is valid from 2026-09-02 12:00" in cause.sentence


@ROLES
def test_access_is_denied_for_more_than_one_reason(role: str) -> None:
    (cause,) = causes("ACCESS_DENIED", shown(role, LONG_VALID))
    assert "verified" not in cause.sentence
    assert "perhaps it refuses the certificate" in cause.sentence


@ROLES
@pytest.mark.parametrize(
    "alert",
    ["UNSUPPORTED_CERTIFICATE", "BAD_CERTIFICATE", "CERTIFICATE_UNKNOWN", "ACCESS_DENIED"],
)
def test_the_purpose_is_looked_at(role: str, alert: str) -> None:
    wrong, right = (
        ("serverAuth", "clientAuth") if role == "client" else ("clientAuth", "serverAuth")
    )
    first, *_ = causes(alert, shown(role, LONG_VALID, purposes=(wrong,)))
    assert first.fault == "CERTIFICATE_WRONG_PURPOSE"
    assert f"has {wrong}, and not {right}" in first.sentence
    for purposes in ((right,), ("anyExtendedKeyUsage",), None):
        for each in causes(alert, shown(role, LONG_VALID, purposes=purposes)):
            assert "does not allow" not in each.sentence
            assert "most often, its extended key" not in each.sentence


@ROLES
@pytest.mark.parametrize("count", [1, 2])
def test_unknown_ca_is_what_the_other_end_says(role: str, count: int) -> None:
    """OpenSSL says it of a missing CRL and of its own depth limit, too."""
    first, second = causes("UNKNOWN_CA", shown(role, *[LONG_VALID] * count))
    assert "says that it finds no path" in first.sentence
    assert (second.fault, second.blame) == (Fault.REVOCATION_UNKNOWN.name, Blame.PEER)
    assert "CRL" in second.sentence
    assert "fewer certificates" in second.sentence


@ROLES
def test_a_weak_key_is_among_the_causes(role: str) -> None:
    last = causes("BAD_CERTIFICATE", shown(role, LONG_VALID))
    (weak,) = [each for each in last if each.fault == "UNSUPPORTED_CERTIFICATE"]
    assert "RSA with 1024 bits" in weak.sentence
    assert "sha1WithRSAEncryption" in weak.sentence


def test_a_server_s_handshake_failure_names_what_has_expired() -> None:
    situation = replace(shown("client", EXPIRED), version="TLSv1.2", stage="handshake")
    first, *_ = causes("HANDSHAKE_FAILURE", situation)
    assert first.fault == "CERTIFICATE_EXPIRED"


@pytest.mark.parametrize("alert", ["UNKNOWN_CA", "CERTIFICATE_UNKNOWN", "BAD_CERTIFICATE"])
def test_a_root_that_is_known_is_not_supposed_to_be_an_intermediate(alert: str) -> None:
    situation = shown("server", LONG_VALID)
    chain = replace(situation.chain, root_file="/home/me/ca.pem")
    told = [
        each
        for each in causes(alert, replace(situation, chain=chain))
        if each.fault == "CERTIFICATE_UNTRUSTED"
    ]
    assert told
    for cause in told:
        assert "Trust the root CN=root: its certificate is in /home/me/ca.pem." in cause.fix
        assert "intermediate" not in cause.fix + cause.sentence
    unknown = causes(alert, situation)
    assert any("intermediate" in each.fix for each in unknown)


def _faults(alert: str, situation: Situation) -> list[str]:
    return [cause.fault for cause in causes(alert, situation)]


def _wrongly_used(role: str, *times: tuple[datetime, datetime]) -> Situation:
    wrong = "serverAuth" if role == "client" else "clientAuth"
    return shown(role, *times, purposes=(wrong,))


@ROLES
def test_unsupported_certificate_is_not_sent_for_dates(role: str) -> None:
    """OpenSSL, rustls and mbedTLS send it for a purpose, and Go, Java and mbedTLS for a key."""
    assert _faults("UNSUPPORTED_CERTIFICATE", _wrongly_used(role, EXPIRED)) == [
        "CERTIFICATE_WRONG_PURPOSE",
        "UNSUPPORTED_CERTIFICATE",
        "CERTIFICATE_EXPIRED",
    ]
    *_, last = causes("UNSUPPORTED_CERTIFICATE", shown(role, AHEAD))
    assert last.fault == "CERTIFICATE_NOT_YET_VALID"
    assert last.sentence.startswith("Besides: by its dates")
    assert len(_faults("UNSUPPORTED_CERTIFICATE", shown(role, LONG_VALID))) == 2


@ROLES
@pytest.mark.parametrize("alert", ["BAD_CERTIFICATE", "CERTIFICATE_UNKNOWN", "ACCESS_DENIED"])
def test_expiry_has_an_alert_of_its_own(role: str, alert: str) -> None:
    """OpenSSL and Java send bad_certificate of what is not yet valid, which has none."""
    expired = causes(alert, _wrongly_used(role, EXPIRED))[:2]
    assert [each.fault for each in expired] == ["CERTIFICATE_WRONG_PURPOSE", "CERTIFICATE_EXPIRED"]
    assert expired[1].sentence.startswith("Besides: ")
    early = _faults(alert, _wrongly_used(role, AHEAD))[:2]
    assert early == ["CERTIFICATE_NOT_YET_VALID", "CERTIFICATE_WRONG_PURPOSE"]
    own = _faults("CERTIFICATE_EXPIRED", _wrongly_used(role, EXPIRED))
    assert own == ["CERTIFICATE_EXPIRED", "CERTIFICATE_WRONG_PURPOSE"]


@pytest.mark.parametrize("alert", ["BAD_CERTIFICATE", "CERTIFICATE_UNKNOWN"])
def test_a_wrong_name_is_likelier_than_what_has_other_alerts(alert: str) -> None:
    situation = replace(_wrongly_used("server", EXPIRED), is_for_name=False)
    assert _faults(alert, situation)[:3] == [
        "CERTIFICATE_NAME_MISMATCH",
        "CERTIFICATE_WRONG_PURPOSE",
        "CERTIFICATE_EXPIRED",
    ]
    situation = replace(shown("server", AHEAD), is_for_name=False)
    assert _faults(alert, situation)[:2] == [
        "CERTIFICATE_NOT_YET_VALID",
        "CERTIFICATE_NAME_MISMATCH",
    ]


@ROLES
def test_a_signature_that_is_wrong_in_the_chain_or_over_the_handshake(role: str) -> None:
    situation = shown(role, LONG_VALID)
    faults = [each.fault for each in causes("DECRYPT_ERROR", situation)]
    assert faults == ["CERTIFICATE_UNTRUSTED", "BAD_SIGNATURE", "BAD_FINISHED"]
    for chain in (OwnChain(), replace(situation.chain, is_self_signed=True)):
        first, *_ = causes("DECRYPT_ERROR", replace(situation, chain=chain))
        assert first.fault == "BAD_SIGNATURE"
        assert first.sentence.startswith("The peer")
