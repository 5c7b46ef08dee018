"""The requirements for a certificate, besides a path to a trusted authority."""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal, cast

from handclasp.deferred import DeferredModule
from handclasp.errors import ConfigurationError
from handclasp.values import dataclass, field

if TYPE_CHECKING:
    from handclasp.certificates import dane, revocation, transparency
else:
    dane = DeferredModule("handclasp.certificates.dane")
    revocation = DeferredModule("handclasp.certificates.revocation")
    transparency = DeferredModule("handclasp.certificates.transparency")

Profile = Literal["web", "private"]
StapledOcsp = Literal["check", "require", "ignore"]

DEFAULT_MAX_INTERMEDIATES = 8

_EXAMPLES = {
    "pins": '"<44 characters of base64>"',
    "crls": "RevocationLists.from_files(PATH)",
    "ct_logs": "CtLog.from_public_key(KEY)",
    "tlsa": 'TlsaRecord.parse("3 1 1 ...")',
}
"""An example of each, for messages about values of the wrong type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificatePolicy:
    """The requirements for a peer's certificate. The defaults are those of browsers for servers.

    >>> policy = CertificatePolicy(
    ...     profile="private", pins=["YLh1dUR9y6Kja30RrAn7JKnbQG/uEtLMkBgFF2Fuihg="]
    ... )
    >>> config = ClientConfig(trust=TrustStore.from_pem("ca.pem"), policy=policy)

    Attributes:
        profile: "web" is the profile of the public web (RFC 5280 and the CA/Browser Forum's
            Baseline Requirements). "private" is for private authorities, which often omit fields:
            an authority may lack keyUsage, key identifiers and the critical mark on
            basicConstraints, a leaf may lack authorityKeyIdentifier and extended key usage, the
            extended key usage of both and a leaf's names may be critical, and its common name may
            be anything. No rule that stops an attacker is relaxed.
        max_intermediates: the largest number of certificates between leaf and anchor.
        pins: SHA-256 digests of SubjectPublicKeyInfo in base64, as in RFC 7469; at least one must
            match a certificate on the verified path. Empty disables pinning.
        stapled_ocsp: "check" verifies a stapled OCSP response if there is one, and requires one if
            the certificate says so (RFC 7633); "require" always requires one; "ignore" ignores
            them.
        crls: certificate revocation lists, with their own rule for a certificate that no current
            list covers.
        ct_logs: the trusted certificate transparency logs (RFC 6962).
        required_timestamps: the number of signed certificate timestamps, of different logs among
            `ct_logs`, that a server's certificate must have.
        tlsa: TLSA records of the server (RFC 6698), from DNSSEC or another place that can be
            trusted: a list of `handclasp.certificates.dane.TlsaRecord`, such as
            `TlsaRecord.parse("3 1 1 ...")`. If any are given, they replace the trust store. A
            record that names the leaf (usage 3) exempts it from `profile` and `max_intermediates`
            only; lists and staples then need the leaf's issuer, in the trust store or sent by the
            server. The authority that a record of usage 2 names must be in the chain that is sent,
            unless the record contains the whole certificate.

    Raises:
        ConfigurationError: a value that cannot be honoured.
    """

    profile: Profile = "web"
    max_intermediates: int = DEFAULT_MAX_INTERMEDIATES
    pins: Sequence[str] = ()
    stapled_ocsp: StapledOcsp = "check"
    crls: revocation.RevocationLists | None = None
    ct_logs: Sequence[transparency.CtLog] = ()
    required_timestamps: int = 1
    tlsa: Sequence[dane.TlsaRecord] = ()
    token: bytes = field(default=b"", init=False, repr=False, compare=False)
    """A value that equal policies of this process share, and no others.

    It stands for the policy where something is remembered under it: the policy itself would be kept
    alive there, with lists of megabytes that have long been replaced.
    """

    def __hash__(self) -> int:
        return hash(self.token)

    def __post_init__(self) -> None:
        _check_choice("profile", self.profile, ("web", "private"))
        _check_choice("stapled_ocsp", self.stapled_ocsp, ("check", "require", "ignore"))
        for name in ("pins", "ct_logs", "tlsa"):
            value = getattr(self, name)
            if isinstance(value, str | bytes) or not isinstance(value, Iterable):
                what = "string" if isinstance(value, str) else type(value).__name__
                raise ConfigurationError(
                    f"{name} must be a list, not one {what}: {name}=[{_EXAMPLES[name]}]."
                )
            object.__setattr__(self, name, tuple(cast(Sequence[object], value)))
        if self.crls is not None or self.ct_logs or self.tlsa:
            self._check_kinds()
        _check_kind("pins", self.pins, str)
        for pin in self.pins:
            _check_pin(pin)
        if type(self.max_intermediates) is not int or not 0 <= self.max_intermediates <= 16:
            raise ConfigurationError("max_intermediates must be a whole number from 0 to 16.")
        if type(self.required_timestamps) is not int or self.required_timestamps < 1:
            raise ConfigurationError("required_timestamps must be a whole number from 1 on.")
        most = len(self.ct_logs) or 1
        if self.required_timestamps > most:
            raise ConfigurationError(
                f"required_timestamps is {self.required_timestamps}, but ct_logs holds "
                f"{len(self.ct_logs)}: each timestamp must be of another log."
            )
        object.__setattr__(self, "token", self._made_token())

    def _made_token(self) -> bytes:
        """Return a digest of all compared fields, each by its own equality."""
        values = (
            self.profile,
            self.max_intermediates,
            self.pins,
            self.stapled_ocsp,
            None if self.crls is None else self.crls.number,
            [log.log_id for log in self.ct_logs],
            self.required_timestamps,
            [(each.usage, each.selector, each.matching_type, each.data) for each in self.tlsa],
        )
        return hashlib.sha256(repr(values).encode("utf-8", "backslashreplace")).digest()

    def _check_kinds(self) -> None:
        # Most policies have nothing of the kind, and need not wait for the import.
        _check_kind("crls", () if self.crls is None else (self.crls,), revocation.RevocationLists)
        _check_kind("ct_logs", self.ct_logs, transparency.CtLog)
        _check_kind("tlsa", self.tlsa, dane.TlsaRecord)


def _check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    if value not in choices:
        named = ", ".join(f'"{choice}"' for choice in choices)
        raise ConfigurationError(f"{name} must be one of {named}, not {value!r}.")


def _check_kind(name: str, values: Sequence[object], kind: type) -> None:
    for value in values:
        if not isinstance(value, kind):
            example = f": {_EXAMPLES[name]}" if name in _EXAMPLES else ""
            raise ConfigurationError(
                f"{name} takes {kind.__name__}, not {type(value).__name__}{example}."
            )


def _check_pin(pin: str) -> None:
    try:
        digest = b64decode(pin, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 32:
        raise ConfigurationError(
            f"{pin!r} is not a pin: give the SHA-256 of the SubjectPublicKeyInfo in base64, as "
            "`handclasp cert show` prints it."
        )
