"""What `handclasp explain` says of captures that were once told wrongly, a row for each.

They were made on loopback with openssl and Python's ssl, and are in `data` with their key logs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Run, run  # noqa: F401 (a fixture)
from tests.required import need_tool

pytestmark = pytest.mark.long

DATA = Path(__file__).parent / "data"

ACCUSATIONS = ("It failed", "gave up", "not completed")
FALSE_OF_ALL = (" 0 bytes", "0x", " 0 cipher suites", "does not follow its definition", "None")


@dataclass(frozen=True)
class Case:
    """One capture, and what must be said of it.

    Attributes:
        says: words that stand in the output, whose lines are joined.
        never: words that do not.
        outcome: in the last event of its JSON; None where it is not told as a conversation.
        events: how many messages can be read.
        keyed: whether its key log is given.
    """

    name: str
    says: Sequence[str]
    outcome: str | None
    never: Sequence[str] = ACCUSATIONS
    messages: int = 0
    keyed: bool = True


WHOLE13 = 9
"""Messages: two hellos, four of the server, the client's Finished, two tickets."""

RENEGOTIATED = 18
"""Messages: twice those of TLS 1.2, with a ticket."""

CASES = [
    Case(
        "refused-certificate-tls13",
        [
            "Alert: unknown_ca",
            "It failed, seen from the server",
            "The client says that it finds no path from the certificate",
            "found by the client, which sent the alert unknown_ca",
            "On the client: If CN=field ca is a root, trust the authority.",
            "On the server: If CN=field ca is an intermediate authority, send its certificate too",
        ],
        "failed",
        never=["This side", "this side", "Complete in"],
        messages=6,
    ),
    Case(
        "refused-certificate-tls13",
        ["Alert: unknown_ca", "found by the client", "SSLKEYLOGFILE"],
        "failed",
        never=["Complete in"],
        messages=2,
        keyed=False,
    ),
    Case("out-of-order", ["Complete in", "4,389 bytes"], "complete", messages=WHOLE13),
    Case("out-of-order-hello", ["Complete in", "4,389 bytes"], "complete", messages=WHOLE13),
    Case(
        "tls12-complete-without-data",
        ["As far as can be seen without the keys, the handshake was completed"],
        "seems_complete",
        messages=7,
    ),
    Case("icmp-error-first", ["Complete in"], "complete", messages=WHOLE13),
    Case("idle-connection-first", ["Complete in"], "complete", messages=WHOLE13),
    Case(
        "gap-after-handshake",
        [
            "Complete in",
            "1,400 bytes missing",
            "1,400 bytes that the server said are not in the capture.",
        ],
        "complete",
        messages=WHOLE13,
    ),
    Case("cut-file", ["Complete in", "The file is cut off"], "complete", messages=WHOLE13),
    Case(
        "ends-after-server-hello",
        ["The capture ends here", "Its result is unknown."],
        "unknown",
        messages=2,
    ),
    Case(
        "tls12-dhe-rsa-aes128-gcm",
        ["Complete in", "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", "2,095 bytes"],
        "complete",
        messages=9,
    ),
    Case(
        "tls12-dhe-rsa-chacha20",
        ["Complete in", "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "2,095 bytes"],
        "complete",
        messages=9,
    ),
    Case(
        "tls12-dhe-rsa-aes128-ccm",
        ["Complete in", "TLS_DHE_RSA_WITH_AES_128_CCM,", "2,067 bytes"],
        "complete",
        messages=9,
    ),
    Case(
        "tls12-rsa-aes256-ccm8",
        ["Complete in", "TLS_RSA_WITH_AES_256_CCM_8", "2,039 bytes", "I can do 1 cipher suite"],
        "complete",
        messages=8,
    ),
    Case(
        "tls12-dh-anon",
        ["Complete in", "Diffie-Hellman in a group of the server's choice", "without a signature"],
        "complete",
        messages=8,
        never=[*ACCUSATIONS, "not read here", "cannot be"],
    ),
    Case(
        "tls12-psk",
        ["Complete in", "the pre-shared key alone", "The identity of the pre-shared key"],
        "complete",
        messages=7,
        never=[*ACCUSATIONS, "part of the secret"],
    ),
    Case(
        "tls12-rsa-psk",
        [
            "Complete in",
            "a secret made by the client, and the pre-shared key",
            "encrypted to the public key in the certificate: 256 bytes",
        ],
        "complete",
        messages=8,
        never=[*ACCUSATIONS, "cannot be"],
    ),
    Case(
        "two-psks-tls12",
        [
            "Most likely the two ends hold different pre-shared keys",
            "at fault unclear: the end that has the wrong key",
            "the alert bad_record_mac",
            "On the client: Check that both ends have the same key under this identity.",
        ],
        "failed",
        never=["at fault the network", "proxy"],
        messages=4,
    ),
    Case(
        "two-psks-tls13",
        [
            "Most likely the two ends hold different pre-shared keys",
            "at fault unclear: the end that has the wrong key",
            "the alert illegal_parameter",
        ],
        "failed",
        never=["has a defect"],
        messages=1,
    ),
    Case(
        "tls13-draft23",
        ["We take TLSv1.3 draft 23", "Complete in", "4,389 bytes"],
        "complete",
        messages=WHOLE13,
    ),
    Case(
        "tls13-draft23",
        ["We take TLSv1.3 draft 23", "As far as can be seen without the keys"],
        "seems_complete",
        messages=2,
        keyed=False,
    ),
    Case(
        "starttls",
        ["18 bytes of the client and 126 of the server came before TLS", "SMTP", "Complete in"],
        "complete",
        messages=9,
    ),
    Case(
        "encalert",
        ["at fault unclear: the client gave up, and its reason is probably in its last record"],
        "failed",
        never=["at fault the server"],
        messages=2,
    ),
    Case("gnutlsref", ["the client gave up, and its reason"], "failed", never=[], messages=2),
    Case("javaref", ["the client gave up, and its reason"], "failed", never=[], messages=2),
    Case("padalert", ["multiples of one number, as padding makes"], "unknown", messages=2),
    Case(
        "stall13",
        ["the client gave up after 3.0 s; the server had said nothing more"],
        "failed",
        never=["at fault the client"],
        messages=2,
    ),
    Case(
        "stall12",
        ["the client gave up after 3.0 s; the server had said nothing more"],
        "failed",
        never=["at fault the client"],
        messages=2,
    ),
    Case(
        "reneg",
        ["Complete in", "signed with the certificate's private key"],
        "complete",
        messages=RENEGOTIATED,
    ),
    Case(
        "sniwarn",
        ["Alert: unrecognized_name", "Complete in"],
        "complete",
        messages=9,
    ),
    Case(
        "sniwarn",
        ["Alert: unrecognized_name", "As far as can be seen without the keys"],
        "seems_complete",
        messages=7,
        keyed=False,
    ),
    Case("early", ["the client offers early data"], "unknown", messages=2, keyed=False),
    Case("early-cut", ["the client offers early data, which looks like"], "unknown", messages=2),
    Case("packed", ["As far as can be seen without the keys"], "seems_complete", messages=2),
    Case(
        "sslv2-compatible-hello",
        ["in the form of SSLv2", "offers TLSv1.0", "the alert handshake_failure"],
        None,
    ),
    Case("dtls-only", ["DTLS", "not read here"], None),
    Case("quic-only", ["QUIC version 1", "not read here"], None),
]


def arguments(case: Case) -> list[str]:
    path = next(DATA.glob(f"{case.name}.pcap*"))
    keys = DATA / f"{case.name}.keys"
    return [str(path), *(["--keylog", str(keys)] if case.keyed and keys.exists() else [])]


def flat(text: str) -> str:
    return " ".join(re.sub(r"[|]", " ", text).split())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}, keyed: {case.keyed}")
def test_what_is_said(run: Run, case: Case, tmp_path: Path) -> None:  # noqa: F811
    need_tool("tshark")
    page = tmp_path / "page.html"
    result = run("explain", *arguments(case), "--html", str(page))
    assert result.exit_code == (0 if case.outcome else 2), result.output
    told = flat(result.output)
    for words in case.says:
        assert words in told
    for words in (*case.never, *FALSE_OF_ALL):
        assert words not in told
    if case.outcome is None:
        return
    assert max(map(len, result.stdout.splitlines())) <= 80
    check_page(page.read_text(), case)
    trace = run("explain", *arguments(case), "--json").stdout
    events: list[dict[str, Any]] = json.loads(trace)["events"]
    assert sum(each["event"] == "message" for each in events) == case.messages
    assert events[-1]["event"] == "observed"
    assert events[-1]["outcome"] == case.outcome
    assert any(each["event"] == "failed" for each in events) == (case.outcome == "failed")
    # The trace tells the same again.
    again = tmp_path / "again.json"
    again.write_text(trace)
    assert run("explain", str(again)).stdout == result.stdout


def test_early_data_after_the_server_hello_is_opened(run: Run) -> None:  # noqa: F811
    need_tool("tshark")
    case = replace(CASES[0], name="early")
    told = flat(run("explain", *arguments(case)).output)
    assert "early data 40,000 bytes" in told
    assert "EndOfEarlyData" in told
    assert "not opened" not in told


def test_a_hello_that_is_never_acknowledged(run: Run) -> None:  # noqa: F811
    need_tool("tshark")
    told = flat(run("explain", *arguments(replace(CASES[0], name="unanswered"))).output)
    assert "at fault the network, which lost what was sent" in told
    assert "TCP never acknowledged anything that the client said" in told


def test_a_hello_that_is_cut_off(run: Run) -> None:  # noqa: F811
    need_tool("tshark")
    told = flat(run("explain", *arguments(replace(CASES[0], name="half-hello"))).output)
    assert "What the client says ends within its ClientHello: 100 bytes of 243 are there." in told


def check_page(page: str, case: Case) -> None:
    assert "which ran this handshake" not in page
    assert "his side gave up" not in page
    assert "ther side gave up" not in page
    titles = {
        "complete": "What the two agreed upon",
        "seems_complete": "Complete, as far as can be seen",
        "unknown": "How it ended cannot be seen",
        "failed": 'id="failure-title"',
    }
    if case.outcome == "failed":
        # Where there is no alert to read, it is told by the one that waited or stayed.
        assert any(title in page for title in ("It failed, seen from the", titles["failed"]))
        del titles["failed"]
    for outcome, title in titles.items():
        assert (title in page) == (outcome == case.outcome)


def test_the_list(run: Run) -> None:  # noqa: F811
    need_tool("tshark")
    told = flat(
        run("explain", *arguments(replace(CASES[0], name="idle-connection-first")), "--list").stdout
    )
    assert "no ClientHello The capture begins in the middle of a TLS connection" in told
    assert "TLS localhost" in told
    told = flat(
        run("explain", *arguments(replace(CASES[0], name="gap-after-handshake")), "--list").stdout
    )
    assert "TLS localhost 1,400 bytes of it are missing in the capture." in told
    rows = json.loads(run("explain", str(DATA / "quic-only.pcap"), "--list", "--json").stdout)
    assert [(row["stream"], row["notes"]) for row in rows] == [(None, ["QUIC version 1"])]
