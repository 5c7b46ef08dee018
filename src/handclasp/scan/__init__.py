"""Find out what a TLS server can do, and what to change: the library of `handclasp scan`.

Start with `plan.py`, the whole of what a server is asked, and `steps.py`, the exchanges it is made
of. `probes.py` and `features.py` are generators without input or output: they yield a hello, get
the answer, and note a fact. `runner.py` carries the exchanges out. `hello.py` and `answer.py` write
and read what is in the clear; for the rest there is the library's own client.

Old versions and suites are detected, and never spoken: their hellos are made here, apart from the
engine, and only `robot.py` answers a server's first flight, so that no handshake completes.

>>> import asyncio
>>> from handclasp.scan import (
...     Chain, Fact, Finding, Profile, Report, ScanResults, ScanSettings, Suites, Target,
...     findings, profiles, scan, scan_all,
... )
>>> settings = ScanSettings(trust=TrustStore.from_pem("ca.pem"))
>>> report = asyncio.run(scan(Target("example.com"), settings))
>>> isinstance(report, Report), isinstance(report.versions["TLSv1.3"], Fact)
(True, True)
>>> isinstance(report.suites["TLSv1.3"], Suites), isinstance(report.chains[0], Chain)
(True, True)
>>> report.speaks("TLSv1.3"), report.speaks("TLSv1.1")
(True, False)
>>> report.suites["TLSv1.3"].order, report.groups["TLSv1.3"][0]
('server', 'X25519MLKEM768')
>>> [chain.explanation.accepted for chain in report.chains]
[True]
>>> profile = profiles()["cnsa2"]
>>> isinstance(profile, Profile), profile.groups
(True, ('MLKEM1024',))
>>> found = findings(report, profile)[0]
>>> isinstance(found, Finding), found.kind, found.value
(True, 'version', 'TLSv1.2')
>>> async def names():
...     return [str(each.target) async for each in scan_all([Target("example.com")], settings)]
>>> asyncio.run(names())
['example.com:443']
>>> results = ScanResults("scan.jsonl")  # A later run continues with it.
>>> results.append(report.to_json())
>>> report.target in results, results.failed
(True, False)
>>> results.close()
"""

from __future__ import annotations

from handclasp.scan.page import PAGE_END, page_head, page_section, scan_page
from handclasp.scan.profile import Profile, findings, measured_json, profiles
from handclasp.scan.report import (
    FEATURES,
    TLS_AT_ONCE,
    Chain,
    Fact,
    Finding,
    Plain,
    Report,
    Suites,
    Target,
)
from handclasp.scan.results import ScanResults
from handclasp.scan.runner import ScanSettings, scan, scan_all
from handclasp.scan.suites import weakness
from handclasp.scan.summary import Summary

__all__ = [
    "FEATURES",
    "PAGE_END",
    "TLS_AT_ONCE",
    "Chain",
    "Fact",
    "Finding",
    "Plain",
    "Profile",
    "Report",
    "ScanResults",
    "ScanSettings",
    "Suites",
    "Summary",
    "Target",
    "findings",
    "measured_json",
    "page_head",
    "page_section",
    "profiles",
    "scan",
    "scan_all",
    "scan_page",
    "weakness",
]
