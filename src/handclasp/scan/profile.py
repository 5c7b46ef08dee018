"""The profiles that a server can be measured against, and the one function that does it.

A profile is data: `profiles.json` names its version, its source and its date. A file of the same
form can be given instead; nothing of a profile stands in code.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from handclasp.errors import ConfigurationError
from handclasp.iana import VERSION_NAMES
from handclasp.scan.report import Chain, Finding, Report
from handclasp.scan.suites import weakness
from handclasp.values import dataclass, field

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
        advice: what to write, by kind of finding and by program.
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
    """Return all that keeps a server from meeting a profile; empty where it does.

    What a scan could not find out is a finding as well, as nobody knows that the server meets it.

    See `handclasp.scan` for an example.
    """
    found = [
        *_versions(report, profile),
        *_suites(report, profile),
        *_groups(report, profile),
        *_schemes(report, profile),
        *(each for chain in report.chains for each in _certificate(chain, profile)),
        *_features(report, profile),
        *(Finding("unknown", what, "it could not be found out") for what in report.incomplete),
    ]
    if report.error:
        found.insert(0, Finding("unknown", str(report.target), report.error))
    elif not report.chains:
        found.append(Finding("unknown", "certificate", "none was seen"))
    return found


def _finding(
    profile: Profile, kind: str, value: str, reason: str, evidence: bytes = b""
) -> Finding:
    return Finding(kind, value, reason, evidence, dict(profile.advice.get(kind, {})))


def _versions(report: Report, profile: Profile) -> Iterator[Finding]:
    if not profile.versions:
        return
    for name, fact in report.versions.items():
        if fact.value is True and name not in profile.versions:
            why = _OBSOLETE.get(name, f"{profile.cited} allows {_listed(profile.versions)} alone")
            yield _finding(profile, "version", name, why, fact.evidence)
        elif fact.value is None:
            yield Finding("unknown", name, f"whether it is accepted: {fact.says}", fact.evidence)
    if report.versions and not any(map(report.speaks, profile.versions)):
        why = f"the server accepts none of {_listed(profile.versions)}"
        yield _finding(profile, "version", profile.versions[-1], why)


_OBSOLETE = {
    "SSLv2": "SSL 2.0 is broken: its handshake is not authenticated, and DROWN (RFC 6176)",
    "SSLv3": "SSL 3.0 is broken: POODLE (RFC 7568)",
    "TLSv1.0": "TLS 1.0 is deprecated: MD5 and SHA-1 sign it, and BEAST (RFC 8996)",
    "TLSv1.1": "TLS 1.1 is deprecated: MD5 and SHA-1 sign it (RFC 8996)",
}


def _suites(report: Report, profile: Profile) -> Iterator[Finding]:
    if not profile.suites:
        return
    for version, suites in report.suites.items():
        if version not in profile.suites:
            continue  # The version itself is the finding.
        for name in suites.names:
            if name not in profile.suites[version]:
                why = weakness(name) or f"{profile.cited} does not list it"
                yield _finding(profile, "suite", name, why, suites.evidence.get(name, b""))


def _groups(report: Report, profile: Profile) -> Iterator[Finding]:
    allowed = {*profile.groups, *profile.groups_also}
    for version, names in report.groups.items():
        for name in names if allowed and version in profile.versions else ():
            if name not in allowed:
                yield _finding(
                    profile, "group", name, f"{profile.cited} does not list it ({version})"
                )
    accepted = {name for names in report.groups.values() for name in names}
    for name in profile.required_groups:
        if name not in accepted:
            yield _finding(profile, "group", name, f"{profile.cited} demands it")
    bits, least = report.features.get("dh_bits"), profile.dh_min_bits
    if bits is not None and least is not None and int(str(bits.value)) < least:
        why = f"the prime has {bits.value} bits, and {least} are demanded (Logjam)"
        yield _finding(profile, "dh", "DHE", why, bits.evidence)


def _schemes(report: Report, profile: Profile) -> Iterator[Finding]:
    for version, names in report.schemes.items():
        for name in names if profile.schemes and version in profile.versions else ():
            if name not in profile.schemes:
                yield _finding(profile, "scheme", name, f"{profile.cited} does not list it")


def _certificate(chain: Chain, profile: Profile) -> Iterator[Finding]:
    described = chain.described
    evidence = chain.chain_der[0][:64]
    if described is None:
        yield _finding(profile, "certificate", "certificate", chain.unreadable, evidence)
        return
    subject = str(described["subject"] or "certificate")
    for why in _broken_demands(described, profile):
        yield _finding(profile, "certificate", subject, why, evidence)
    if profile.trusted and (why := _not_trusted(chain)):
        yield _finding(profile, "certificate", subject, f"not trusted: {why}", evidence)
    if profile.ocsp_staple and described["ocsp_urls"] and not chain.ocsp_response:
        why = "no OCSP response is stapled, and the certificate names a responder"
        yield _finding(profile, "ocsp_staple", subject, why)


def _not_trusted(chain: Chain) -> str:
    """Return why a chain is not trusted; empty if it is, by a decision that was made."""
    if chain.explanation is None:
        return chain.unreadable or "the chain was not verified"
    if chain.explanation.accepted:
        return ""
    broken = chain.explanation.broken
    return broken[0].evidence if broken else "the chain is refused"


def _broken_demands(described: dict[str, Any], profile: Profile) -> Iterator[str]:
    kind, _, curve = str(described["key_type"]).partition(" ")
    size = described["key_size"]
    if profile.key_types and kind not in profile.key_types:
        yield f"its key is {kind}; {profile.cited} allows {_listed(profile.key_types)}"
    elif kind == "ECDSA" and profile.curves and curve not in profile.curves:
        yield f"its key is on {curve}; {profile.cited} allows {_listed(profile.curves)}"
    elif kind == "RSA" and profile.rsa_min_bits is not None and (size or 0) < profile.rsa_min_bits:
        yield f"its key has {size} bits; {profile.rsa_min_bits} are demanded"
    algorithm = described["signature_algorithm"]
    if profile.signature_algorithms and algorithm not in profile.signature_algorithms:
        yield f"it is signed with {algorithm}, which {profile.cited} does not list"
    days = _days(described)
    if profile.max_days is not None and days is None:
        yield f"its validity cannot be read, and {profile.max_days} days are the most"
    elif profile.max_days is not None and days is not None and days > profile.max_days:
        yield f"it is valid for {days} days, and {profile.max_days} are the most"


def _days(described: dict[str, Any]) -> int | None:
    dates = described["not_before"], described["not_after"]
    if not all(dates):
        return None
    first, last = map(datetime.fromisoformat, map(str, dates))
    return (last - first).days


def _features(report: Report, profile: Profile) -> Iterator[Finding]:
    hsts, least = report.features.get("hsts"), profile.hsts_min_age
    age = hsts.value if hsts is not None else None
    if hsts is not None and age is None and least is not None:
        why = f"{hsts.says}; if this server speaks no HTTP, take a profile without hsts_min_age"
        yield Finding("unknown", "Strict-Transport-Security", why)
    if hsts is not None and age is not None and least is not None and int(str(age)) < least:
        why = f"max-age is {hsts.value} s, and {least} are demanded"
        why = why if hsts.value else "the response has no Strict-Transport-Security"
        yield _finding(profile, "hsts", "Strict-Transport-Security", why, hsts.evidence)
    early = report.features.get("early_data")
    if profile.early_data is False and early is not None and early.value is None:
        yield Finding("unknown", "early_data", early.says)
    if profile.early_data is False and early is not None and early.value:
        why = f"{profile.cited} forbids 0-RTT: others can send it again"
        yield _finding(profile, "early_data", "early_data", why, early.evidence)


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join(names)
