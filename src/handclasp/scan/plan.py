"""The whole of what one server is asked, in order.

Each part is a probe by itself. Where an answer is malformed, that part ends, the report says so,
and the next part begins.
"""

from __future__ import annotations

from collections.abc import Iterator

from handclasp.errors import ProtocolError
from handclasp.iana import TLS12, TLS13, VERSION_NAMES
from handclasp.scan import features, probes, robot
from handclasp.scan.probes import OLDER, Offer
from handclasp.scan.published import published_ech
from handclasp.scan.report import Report
from handclasp.scan.steps import Probe


def examine(offer: Offer, report: Report, request: bytes, *, asks_dns: bool = False) -> Probe[None]:
    """Ask a server everything, and put the answers into the report.

    Args:
        request: a request of HTTP, for its headers; empty where the server does not speak HTTP.
        asks_dns: look up the ECH configurations of the server's name.
    """
    yield from attempt(report, "versions", probes.versions(offer, report))
    spoken = [v for v in (TLS13, *OLDER) if report.speaks(VERSION_NAMES[v])]
    if spoken or report.speaks("SSLv2"):
        report.fix = ""  # Only some of its answers are no TLS.
    else:
        report.error = report.error or _no_version(report)
    if not spoken:
        return
    for version in spoken:
        name = VERSION_NAMES[version]
        yield from attempt(report, f"suites of {name}", probes.suites(offer, report, version))
        if name not in report.suites:
            continue
        if version in (TLS13, TLS12) or version == spoken[0]:
            yield from attempt(report, f"groups of {name}", probes.groups(offer, report, version))
    for what, probe in _rest(offer, report, request):
        yield from attempt(report, what, probe)
    if asks_dns and offer.server_name and "TLSv1.3" in report.suites:
        yield from attempt(report, "ECH in the DNS", published_ech(offer, report))


def _rest(offer: Offer, report: Report, request: bytes) -> Iterator[tuple[str, Probe[None]]]:
    if "TLSv1.3" in report.suites:
        yield "schemes of TLSv1.3", probes.schemes13(offer, report)
    if "TLSv1.2" in report.suites:
        yield "schemes of TLSv1.2", probes.schemes12(offer, report)
    yield "certificates of older versions", probes.older_chains(offer, report)
    yield "finite fields", probes.finite_fields(offer, report)
    if report.suites.keys() & {"TLSv1.3", "TLSv1.2"}:
        yield "application protocols", probes.alpn(offer, report)
    yield "extensions in the clear", features.in_the_clear(offer, report)
    yield "fallback signal", features.fallback(offer, report)
    yield "downgrade sentinel", features.sentinel(offer, report)
    if "TLSv1.3" in report.suites:
        yield "what TLSv1.3 encrypts", features.encrypted(offer, report, request)
    if "TLSv1.2" in report.suites:
        yield "resumption in TLSv1.2", features.resumed12(offer, report, request)
    yield "answers to key exchanges of RSA", robot.rsa_oracle(offer, report)


def attempt(report: Report, what: str, probe: Probe[None]) -> Probe[None]:
    """Run a probe; a malformed answer ends it, and the report says so."""
    try:
        yield from probe
    except ProtocolError as error:
        report.lose(f"The {what}: the server's answer is malformed: {error}")


def _no_version(report: Report) -> str:
    said = dict.fromkeys(fact.says for fact in report.versions.values() if fact.says)
    return f"It accepts no version of TLS: {'; '.join(list(said)[:3]) or 'it says nothing'}."
