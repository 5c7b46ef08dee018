"""The profiles that a server can be measured against, and the one function that does it.

A profile is data: `profiles.json` names its version, its source and its date. A file of the same
form can be given instead; nothing of a profile stands in code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from handclasp.advice import worded
from handclasp.errors import ConfigurationError
from handclasp.iana import VERSION_NAMES
from handclasp.scan.advice import advice_for
from handclasp.scan.report import Chain, Finding, Report
from handclasp.scan.suites import is_broken, weakness
from handclasp.values import dataclass, field, replace

_FORMAT = "handclasp-profiles/1"
_OWN = Path(__file__).with_name("profiles.json")
_LARGEST_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class Profile:
    """The demands on a server. What is None, or an empty list, is not demanded.

    See `handclasp.scan` for an example.

    Attributes:
        name: how it is asked for.
        title, version, source: where it comes from; `date` is when its data were taken from there.
        note: what its data add to the source.
        versions: the versions that a server may accept; it must accept one of them.
        suites: the cipher suites that it may accept, by version.
        groups, groups_also: the groups that it may accept: those of the source, and others that
            are no weaker.
        required_groups: groups of which it must accept each.
        schemes: the signature schemes that it may use.
        dh_min_bits: the least size of a prime for DHE.
        key_types: the key types of certificates: "ECDSA", "RSA", "ML-DSA-87", ...
        curves: for keys of ECDSA.
        rsa_min_bits: for keys of RSA.
        signature_algorithms: of certificates.
        max_days: the longest validity of a certificate.
        trusted: whether the chain must be accepted.
        ocsp_staple: whether a response must be stapled, where the certificate names a responder.
        hsts_min_age: the least max-age of HSTS in seconds, where the server speaks HTTP.
        early_data: False where 0-RTT is forbidden.
        advice: what to write, by kind of finding and by program. A kind can have a variant: suites
            the version ("suite TLSv1.3"), groups "X25519MLKEM768" where the server accepts it.
    """

    name: str
    title: str
    version: str
    date: str
    source: str
    note: str = ""
    versions: tuple[str, ...] = ()
    suites: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    groups: tuple[str, ...] = ()
    groups_also: tuple[str, ...] = ()
    required_groups: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ()
    dh_min_bits: int | None = None
    key_types: tuple[str, ...] = ()
    curves: tuple[str, ...] = ()
    rsa_min_bits: int | None = None
    signature_algorithms: tuple[str, ...] = ()
    max_days: int | None = None
    trusted: bool = False
    ocsp_staple: bool = False
    hsts_min_age: int | None = None
    early_data: bool | None = None
    advice: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])

    @property
    def cited(self) -> str:
        """The title with the version: "Mozilla modern 5.7"."""
        return f"{self.title} {self.version}"

    @property
    def digest(self) -> str:
        """The SHA-256 of all demands, in hexadecimal: what is edited in a file changes it."""
        values = {name: getattr(self, name) for name in sorted((*_FORMS, "name"))}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return what a report says of the profile that it was measured against."""
        return {"name": self.name, "title": self.cited, "sha256": self.digest}


def profiles(path: str | Path | None = None) -> dict[str, Profile]:
    """Return the profiles of a file, by name; by default those that come with the library.

    See `handclasp.scan` for an example.

    Raises:
        ConfigurationError: the file cannot be read, or is not of the form.
    """
    path = Path(path) if path is not None else _OWN
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ConfigurationError(f"{path} is too large for a file of profiles.")
        read: Any = json.loads(path.read_text("utf-8"))
        if read["format"] != _FORMAT:
            raise ConfigurationError(f"{path} is no file of profiles: its format is not {_FORMAT}.")
        return {name: _profile(name, values) for name, values in read["profiles"].items()}
    except OSError as error:
        raise ConfigurationError(f"Cannot read {path}: {error.strerror}.") from None
    except KeyError as error:
        raise ConfigurationError(f"{path} is no file of profiles: it has no {error}.") from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigurationError(f"{path} is no file of profiles: {error}.") from None


def _profile(name: str, values: dict[str, Any]) -> Profile:
    made = dict(values)
    for key, value in values.items():
        check = _FORMS.get(key)
        if check is None:
            raise ValueError(f"profile {name}: there is no demand {key!r}")
        if not check(value):
            raise ValueError(f"profile {name}: {key} cannot be {str(value)[:60]!r}")
        if check is _is_list:
            made[key] = tuple(value)
    missing = [key for key in _REQUIRED if key not in values]
    if missing:
        raise ValueError(f"profile {name} has no {missing[0]}")
    suites: dict[str, list[str]] = values.get("suites", {})
    made["suites"] = {version: tuple(names) for version, names in suites.items()}
    versions: list[str] = values.get("versions", [])
    for version in (*versions, *suites):
        if version not in _VERSIONS:
            raise ValueError(f"profile {name}: there is no version {version!r}")
    # A version without a list would be allowed every suite, and nobody would see it.
    if suites and versions and set(suites) != set(versions):
        raise ValueError(f"profile {name}: suites names other versions than versions does")
    return Profile(name=name, **made)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool)


def _is_list(value: Any) -> bool:
    entries: Any = value  # Without the kind that the check below would give it.
    return isinstance(value, list) and all(map(_is_text, entries))


def _is_suites(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_list, cast("dict[str, Any]", value).values()))


def _is_advice(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return all(
        isinstance(each, dict) and all(map(_is_text, cast("dict[str, Any]", each).values()))
        for each in cast("dict[str, Any]", value).values()
    )


_REQUIRED = ("title", "version", "date", "source")
_LISTS = (
    *("versions", "groups", "groups_also", "required_groups", "schemes"),
    *("key_types", "curves", "signature_algorithms"),
)
_FORMS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys((*_REQUIRED, "note"), _is_text),
    **dict.fromkeys(_LISTS, _is_list),
    **dict.fromkeys(("dh_min_bits", "rsa_min_bits", "max_days", "hsts_min_age"), _is_number),
    **dict.fromkeys(("trusted", "ocsp_staple", "early_data"), _is_switch),
    "suites": _is_suites,
    "advice": _is_advice,
}
"""The demands that a profile may have, and the form of each."""

_VERSIONS = {*VERSION_NAMES.values()}


def findings(report: Report, profile: Profile) -> list[Finding]:
    """Return all that keeps a server from meeting a profile, worst first; empty where it does.

    What a scan could not find out is a finding as well, as nobody knows that the server meets it.
    A server that could not be scanned has one finding: why.

    See `handclasp.scan` for an example.
    """
    if report.error:
        advice = {"What to do": report.fix} if report.fix else {}
        return [Finding("unknown", str(report.target), report.error, advice=advice)]
    measured = _Measured(report, profile)
    found = [
        *measured.versions(),
        *measured.suites(),
        *measured.groups(),
        *measured.schemes(),
        *(each for chain in report.chains for each in measured.certificate(chain)),
        *measured.features(),
        *(Finding("unknown", what, "it could not be found out") for what in report.incomplete),
    ]
    if not report.chains:
        found.append(Finding("unknown", "certificate", "none was seen"))
    return sorted(found, key=_urgency)


def _urgency(finding: Finding) -> int:
    """Return the place of a finding among others, the worst first."""
    if finding.kind == "certificate" and finding.reason.startswith(_NOT_TRUSTED):
        return 0
    if finding.value in _BROKEN_VERSIONS or is_broken(finding.value):
        return 1
    return 2 + _KINDS.index(finding.kind) if finding.kind in _KINDS else 2


_NOT_TRUSTED = "not trusted: "
_BROKEN_VERSIONS = ("SSLv2", "SSLv3")
_KINDS = (
    *("version", "suite", "dh", "certificate", "group", "scheme", "early_data"),
    *("hsts", "ocsp_staple", "unknown"),
)
_OBSOLETE = {
    "SSLv2": "SSL 2.0 is broken: its handshake is not authenticated, and DROWN (RFC 6176)",
    "SSLv3": "SSL 3.0 is broken: POODLE (RFC 7568)",
    "TLSv1.0": "TLS 1.0 is deprecated: MD5 and SHA-1 sign it, and BEAST (RFC 8996)",
    "TLSv1.1": "TLS 1.1 is deprecated: MD5 and SHA-1 sign it (RFC 8996)",
}
_HYBRID = "X25519MLKEM768"


def measured_json(report: Report, profile: Profile | None) -> dict[str, Any]:
    """Return `Report.to_json` with the verdict of a profile: its `profile` and `findings`.

    >>> from handclasp.scan import Report, Target, measured_json, profiles
    >>> report = Report(Target("a.example"), error="no connection")
    >>> measured_json(report, profiles()["modern"])["profile"]["met"]
    False
    """
    values = report.to_json()
    if profile is not None:
        found = findings(report, profile)
        values["profile"] = {**profile.to_json(), "met": not found}
        values["findings"] = [each.to_json() for each in found]
    return values


class _Measured:
    """A report beside a profile: the findings of each kind."""

    def __init__(self, report: Report, profile: Profile) -> None:
        self._report = report
        self._profile = profile

    def _finding(
        self, kind: str, value: str, reason: str, evidence: bytes = b"", variant: str = ""
    ) -> Finding:
        advice = advice_for(self._profile.advice, kind, variant, self._report.protocol)
        return Finding(kind, value, reason, evidence, advice)

    def versions(self) -> Iterator[Finding]:
        profile, report = self._profile, self._report
        if not profile.versions:
            return
        for name, fact in report.versions.items():
            if fact.value is True and name not in profile.versions:
                allowed = f"{profile.cited} allows {_listed(profile.versions)} alone"
                why = _OBSOLETE.get(name, allowed)
                yield self._finding("version", name, why, fact.evidence)
            elif fact.value is None:
                why = f"whether it is accepted: {fact.says}"
                yield Finding("unknown", name, why, fact.evidence)
        if report.versions and not any(map(report.speaks, profile.versions)):
            why = f"the server accepts none of {_listed(profile.versions)}"
            yield self._finding("version", profile.versions[-1], why)

    def suites(self) -> Iterator[Finding]:
        profile = self._profile
        if not profile.suites:
            return
        for version, suites in self._report.suites.items():
            if version not in profile.suites:
                continue  # The version itself is the finding.
            for name in suites.names:
                if name not in profile.suites[version]:
                    why = weakness(name) or f"{profile.cited} does not list it"
                    evidence = suites.evidence.get(name, b"")
                    yield self._finding("suite", name, why, evidence, version)

    def groups(self) -> Iterator[Finding]:
        profile, report = self._profile, self._report
        allowed = {*profile.groups, *profile.groups_also}
        accepted = {name for names in report.groups.values() for name in names}
        # A server without the hybrid may have a library that does not know its name, and refuses
        # a list with it.
        variant = _HYBRID if _HYBRID in accepted else ""
        for version, names in report.groups.items():
            for name in names if allowed and version in profile.versions else ():
                if name not in allowed:
                    why = f"{profile.cited} does not list it ({version})"
                    yield self._finding("group", name, why, variant=variant)
        for name in profile.required_groups:
            if name not in accepted:
                yield self._finding("group", name, f"{profile.cited} demands it", variant=variant)
        bits, least = report.features.get("dh_bits"), profile.dh_min_bits
        if bits is not None and least is not None and int(str(bits.value)) < least:
            why = f"the prime has {bits.value} bits, and {least} are demanded (Logjam)"
            yield self._finding("dh", "DHE", why, bits.evidence)

    def schemes(self) -> Iterator[Finding]:
        profile = self._profile
        for version, names in self._report.schemes.items():
            for name in names if profile.schemes and version in profile.versions else ():
                if name not in profile.schemes:
                    yield self._finding("scheme", name, f"{profile.cited} does not list it")

    def certificate(self, chain: Chain) -> Iterator[Finding]:
        profile, described = self._profile, chain.described
        evidence = chain.chain_der[0][:64]
        if described is None:
            yield self._finding("certificate", "certificate", chain.unreadable, evidence)
            return
        subject = str(described["subject"] or "certificate")
        for why, ask in _broken_demands(described, profile):
            found = self._finding("certificate", subject, why, evidence)
            yield replace(found, advice={"From the CA": ask, **found.advice})
        if profile.trusted and (why := _not_trusted(chain)):
            found = self._finding("certificate", subject, _NOT_TRUSTED + why, evidence)
            advised = chain.explanation.advised if chain.explanation is not None else None
            if advised is not None and advised.fix:
                fix = worded(advised.fix, "connect")
                found = replace(found, advice={"What to do": fix, **found.advice})
            yield found
        if profile.ocsp_staple and described["ocsp_urls"] and not chain.ocsp_response:
            why = "no OCSP response is stapled, and the certificate names a responder"
            yield self._finding("ocsp_staple", subject, why)

    def features(self) -> Iterator[Finding]:
        profile, report = self._profile, self._report
        hsts, least = report.features.get("hsts"), profile.hsts_min_age
        age = hsts.value if hsts is not None else None
        if hsts is not None and age is None and least is not None:
            why = f"{hsts.says}; if this server speaks no HTTP, take a profile without hsts_min_age"
            yield Finding("unknown", "Strict-Transport-Security", why)
        if hsts is not None and age is not None and least is not None and int(str(age)) < least:
            why = f"max-age is {hsts.value} s, and {least} are demanded"
            why = why if hsts.value else "the response has no Strict-Transport-Security"
            yield self._finding("hsts", "Strict-Transport-Security", why, hsts.evidence)
        early = report.features.get("early_data")
        if profile.early_data is False and early is not None and early.value is None:
            yield Finding("unknown", "early_data", early.says)
        if profile.early_data is False and early is not None and early.value:
            why = f"{profile.cited} forbids 0-RTT: others can send it again"
            yield self._finding("early_data", "early_data", why, early.evidence)


def _not_trusted(chain: Chain) -> str:
    """Return why a chain is not trusted; empty if it is, by a decision that was made."""
    if chain.explanation is None:
        return chain.unreadable or "the chain was not verified"
    if chain.explanation.accepted:
        return ""
    broken = chain.explanation.broken
    return broken[0].evidence if broken else "the chain is refused"


def _broken_demands(described: dict[str, Any], profile: Profile) -> Iterator[tuple[str, str]]:
    """Yield each demand on a certificate that it does not meet, and what to ask the CA for."""
    kind, _, curve = str(described["key_type"]).partition(" ")
    size = described["key_size"]
    least = profile.rsa_min_bits
    if profile.key_types and kind not in profile.key_types:
        ask = f"a certificate for a new key, of {_listed(profile.key_types, 'or')}"
        yield f"its key is {kind}; {profile.cited} allows {_listed(profile.key_types)}", ask
    elif kind == "ECDSA" and profile.curves and curve not in profile.curves:
        ask = f"a certificate for a new key, of ECDSA on {_listed(profile.curves, 'or')}"
        yield f"its key is on {curve}; {profile.cited} allows {_listed(profile.curves)}", ask
    elif kind == "RSA" and least is not None and (size or 0) < least:
        ask = f"a certificate for a new key, of RSA with {least} bits or more"
        yield f"its key has {size} bits; {least} are demanded", ask
    algorithm = described["signature_algorithm"]
    if profile.signature_algorithms and algorithm not in profile.signature_algorithms:
        ask = f"a certificate that is signed with {_listed(profile.signature_algorithms, 'or')}"
        yield f"it is signed with {algorithm}, which {profile.cited} does not list", ask
    days = _days(described)
    ask = f"a certificate that is valid for {profile.max_days} days or fewer"
    if profile.max_days is not None and days is None:
        yield f"its validity cannot be read, and {profile.max_days} days are the most", ask
    elif profile.max_days is not None and days is not None and days > profile.max_days:
        yield f"it is valid for {days} days, and {profile.max_days} are the most", ask


def _days(described: dict[str, Any]) -> int | None:
    dates = described["not_before"], described["not_after"]
    if not all(dates):
        return None
    first, last = map(datetime.fromisoformat, map(str, dates))
    return (last - first).days


def _listed(names: tuple[str, ...], word: str = "and") -> str:
    return f" {word} ".join(names)
