"""The question of ECH in the DNS: what a name publishes, and whether its server accepts it."""

from __future__ import annotations

from handclasp.config import ClientConfig
from handclasp.dns.errors import NoEchError
from handclasp.dns.records import HttpsEndpoint
from handclasp.scan.probes import Offer, spoken13
from handclasp.scan.report import Fact, Report
from handclasp.scan.steps import Probe, look_up, shake
from handclasp.values import replace

_EVIDENCE_BYTES = 96


def published_ech(offer: Offer, report: Report) -> Probe[None]:
    """Look up the ECH configurations of the server's name, and make a handshake with them."""
    found = yield from look_up(offer.server_name, report.target.port)
    if not isinstance(found, HttpsEndpoint):
        known = False if isinstance(found, NoEchError) else None
        report.features["ech_dns"] = Fact(known, found.message.rstrip("."))
        return
    names = tuple(dict.fromkeys(each.public_name for each in found.configs if each.public_name))
    says = "in the HTTPS records, by public name (RFC 9848)"
    evidence = found.configs.to_bytes()[:_EVIDENCE_BYTES]
    report.features["ech_dns"] = Fact(names, says, evidence)
    config = spoken13(offer, report)
    if config is not None:
        yield from _accepted(config, found, offer, report)


def _accepted(
    config: ClientConfig, found: HttpsEndpoint, offer: Offer, report: Report
) -> Probe[None]:
    """Make a handshake with configurations; it counts if the server is the one they are for."""
    shaken = yield from shake(replace(config, ech=found.configs))
    if shaken.info is not None and shaken.info.ech_accepted:
        report.features["ech"] = Fact(True, "a hello encrypted with the published configuration")
        return
    why = shaken.error.rstrip(".") or "the server did not say that it accepts it"
    if (found.host, found.port) == (offer.server_name, report.target.port):
        report.features["ech"] = Fact(None if shaken.is_lost else False, why)
        return
    # The server that was scanned need not be the one that the record means.
    elsewhere = f"the record leads to {found.host} port {found.port}; where the scan went: {why}"
    report.features["ech"] = Fact(None, elsewhere)
