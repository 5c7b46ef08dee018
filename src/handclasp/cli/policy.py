"""The options for the verification of certificates, the same for every command."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from handclasp.cli.outcome import WrongArguments, configuration_checked

if TYPE_CHECKING:
    from handclasp.certificates.policy import CertificatePolicy

Command = TypeVar("Command", bound=Callable[..., Any])

POLICY_OPTIONS = ("profile", "pin", "crl", "require_ocsp", "tlsa")
"""The names of the options below, as click passes them on."""

_OPTIONS = (
    click.option(
        "--profile",
        type=click.Choice(["web", "private"]),
        default="web",
        show_default=True,
        help="The rules for certificates: private is for authorities that leave things out.",
    ),
    click.option(
        "--pin",
        multiple=True,
        metavar="PIN",
        help="Demand this key on the path: SHA-256 in base64, as cert show prints it (may repeat).",
    ),
    click.option(
        "--crl",
        multiple=True,
        metavar="FILE",
        help="Look into this revocation list (may repeat); no list for an issuer means no.",
    ),
    click.option("--require-ocsp", is_flag=True, help="Demand a stapled OCSP response."),
    click.option(
        "--tlsa",
        multiple=True,
        metavar="RECORD",
        help='Trust by this TLSA record alone, such as the "3 1 1 HEX" that cert show prints (may '
        "repeat).",
    ),
)


def policy_options(command: Command) -> Command:
    """Gives a command the options of `policy_of`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def policy_of(options: dict[str, Any]) -> CertificatePolicy:
    """Return the policy of the options; raise `WrongArguments`."""
    from handclasp.certificates.dane import TlsaRecord
    from handclasp.certificates.policy import CertificatePolicy
    from handclasp.certificates.revocation import RevocationLists

    with configuration_checked():
        return CertificatePolicy(
            profile=options["profile"],
            pins=options["pin"],
            crls=RevocationLists.from_files(*options["crl"]) if options["crl"] else None,
            stapled_ocsp="require" if options["require_ocsp"] else "check",
            tlsa=[TlsaRecord.parse(record) for record in options["tlsa"]],
        )


def refuse_policy_options(options: dict[str, Any], other: str) -> None:
    """`other` switches verification off, so these options would do nothing."""
    for name in POLICY_OPTIONS:
        if options[name] and options[name] != "web":
            option = "--" + name.replace("_", "-")
            raise WrongArguments(f"{option} and {other} exclude each other.")
