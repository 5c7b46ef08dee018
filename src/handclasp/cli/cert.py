"""`handclasp cert`: the authority of this machine, what it issues, and what certificates say."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from handclasp.certificates.alternative_names import AlternativeNames, alternative_names
from handclasp.certificates.authority import KEY_TYPES, MAX_DAYS
from handclasp.cli.authority import authority_directory, open_authority, trust_advice
from handclasp.cli.chains import findings_of
from handclasp.cli.explained import explanation_json, explanation_text
from handclasp.cli.identity import dates_of, subject_of
from handclasp.cli.inputs import check_path, read_file, trust_of
from handclasp.cli.install import install as install_authority
from handclasp.cli.outcome import FAILED, WrongArguments, configuration_checked
from handclasp.cli.policy import policy_of, policy_options
from handclasp.cli.terminal import wrapped
from handclasp.faults import Role
from handclasp.private_files import write_private, write_public
from handclasp.wording import listed

if TYPE_CHECKING:
    from cryptography import x509


@click.group("cert")
def command() -> None:
    """Make certificates for this machine, and look at others."""


@command.command("ca", short_help="The local authority, and how to trust it.")
@click.option("--pem", is_flag=True, help="Print the authority's certificate as PEM.")
@click.option("--install", is_flag=True, help="Make this user's browsers trust it.")
@click.option("--uninstall", is_flag=True, help="Take that back.")
@click.option(
    "--for",
    "names",
    multiple=True,
    metavar="NAME",
    help="Let it certify this domain or network as well; * allows every name.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def cert_ca(
    pem: bool, install: bool, uninstall: bool, names: tuple[str, ...], as_json: bool
) -> None:
    """Create the local authority if necessary, and show how to trust it.

    It lives in $HANDCLASP_HOME, or in this user's data directory. It only certifies names that mean
    nothing on the internet (localhost, .test, .internal, private addresses and such), so that its
    key is of little use against others, if it is ever stolen (docs/decisions/0025 says of how
    little).
    """
    from cryptography import x509

    if install and uninstall:
        raise WrongArguments("--install and --uninstall exclude each other.")
    authority = open_authority(names=names)
    path = authority_directory() / "ca.pem"
    if install or uninstall:
        install_authority(path, authority.name, remove=uninstall, as_json=as_json)
        return
    certificate = x509.load_pem_x509_certificate(authority.certificate_pem)
    if pem:
        click.echo(authority.certificate_pem, nl=False)
    elif as_json:
        click.echo(json.dumps({"path": str(path), **_described(certificate)}, indent=2))
    else:
        click.echo(f"The authority of this machine is {path}\n")
        _print_certificate(certificate)
        click.echo("\n" + trust_advice(path))


@command.command("issue", short_help="Issue a certificate by the local authority.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--out",
    default=".",
    metavar="DIR",
    help="Where to write chain.pem and key.pem.  [default: this directory]",
)
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
@click.option("--client", is_flag=True, help="For a client instead of a server.")
@click.option(
    "--days", type=int, help=f"How long it is valid: 1 to {MAX_DAYS}.  [default: {MAX_DAYS}]"
)
@click.option(
    "--not-before", metavar="TIME", help="Valid from then on, such as 2026-01-31T12:00, in UTC."
)
@click.option("--not-after", metavar="TIME", help="Valid until then; the past makes it expired.")
@click.option(
    "--key-type",
    default="ecdsa-p256",
    show_default=True,
    metavar="TYPE",
    help=f"One of {', '.join(KEY_TYPES)}.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def cert_issue(
    names: tuple[str, ...],
    out: str,
    force: bool,
    client: bool,
    days: int | None,
    not_before: str | None,
    not_after: str | None,
    key_type: str,
    as_json: bool,
) -> None:
    """Issue a certificate for NAMEs by the local authority.

    A server's names are DNS names and IP addresses. A client's may also be URIs
    (spiffe://example.test/alice) and e-mail addresses. All of them go into subjectAltName. A
    client may be called anything else instead ("Ada Lovelace", alice): this is its common name,
    which many servers do not go by.
    """
    check_path(out)
    authority = open_authority()
    with configuration_checked():
        issued = authority.issue(
            names,
            purpose="client" if client else "server",
            days=days,
            key_type=key_type,
            not_before=_time(not_before, "--not-before") if not_before is not None else None,
            not_after=_time(not_after, "--not-after") if not_after is not None else None,
        )
    directory = Path(out)
    chain, key = directory / "chain.pem", directory / "key.pem"
    for path in (chain, key):
        if path.exists() and not force:
            raise WrongArguments(
                f"{path} is there already: use --out DIR to write elsewhere, or --force to "
                "overwrite it."
            )
        if path.is_dir():  # Before the other one is overwritten.
            raise WrongArguments(f"Cannot write {path}: it is a directory.")
    _write(write_private, key, issued.key_pem)
    _write(write_public, chain, issued.chain_pem)
    found = alternative_names(issued.credentials().chain_der[0])
    if as_json:
        paths = {"chain": str(chain), "key": str(key), "ca": str(authority_directory() / "ca.pem")}
        values = {**paths, "names": list(names), "alternative_names": asdict(found)}
        click.echo(json.dumps(values, indent=2))
    else:
        click.echo(f"{chain} is the certificate for {listed(names, 8)}; {key} is its private key.")
        if found == AlternativeNames():
            click.echo(
                f"{names[0]} is its common name alone, and it has no subjectAltName: servers that "
                "go by that know no name of this client."
            )


@command.command("show", short_help="What the certificates in a file say.")
@click.argument("file", metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def cert_show(file: str, as_json: bool) -> None:
    """Show the certificates in FILE (PEM or DER). Nothing in them is verified."""
    certificates = _read_certificates(file)
    if as_json:
        described = [_described(certificate) for certificate in certificates]
        click.echo(json.dumps({"file": file, "certificates": described}, indent=2))
        return
    for number, certificate in enumerate(certificates, 1):
        if len(certificates) > 1:
            click.echo(("" if number == 1 else "\n") + f"{number} of {len(certificates)}")
        _print_certificate(certificate)


@command.command("check", short_help="Verify the certificates in a file, rule by rule.")
@click.argument("file", metavar="FILE")
@click.option("--name", "names", multiple=True, metavar="NAME", help="The server's name.")
@click.option("--client", is_flag=True, help="Verify it as a client's, which needs no name.")
@click.option("--ca", metavar="FILE", help="Trust the authorities in FILE instead of the system's.")
@click.option("--at", metavar="TIME", help="Verify at this time, such as 2026-01-31T12:00.")
@click.option("--ocsp", metavar="FILE", help="The OCSP response (DER) that is stapled to it.")
@policy_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def cert_check(file: str, as_json: bool, **options: Any) -> None:
    """Verify the certificates in FILE (PEM or DER), the leaf first, rule by rule.

    Exit status: 0 if they are to be trusted, 1 if not.
    """
    from handclasp import CertificateError
    from handclasp.certificates import explain
    from handclasp.certificates.doctor import mend

    chain = _read_certificates(file)
    if bool(options["names"]) is options["client"]:
        raise WrongArguments("Give the server's --name, or --client for a client's certificate.")
    trust = trust_of(options["ca"])
    try:
        with configuration_checked():
            explanation = explain(
                chain,
                options["names"] or None,
                trust,
                _time(options["at"], "--at") if options["at"] is not None else datetime.now(UTC),
                policy=policy_of(options),
                ocsp_response=read_file(options["ocsp"]) if options["ocsp"] else None,
                by_clock=options["at"] is None,
            )
    except CertificateError as error:
        raise WrongArguments(f"{file}: {error}") from None
    mended = mend(chain, trust)
    role: Role = "client" if options["client"] else "server"
    defects = [] if explanation.accepted else findings_of(mended, file, role=role)
    of_another = bool(defects) and mended.is_leaf_misplaced
    if of_another:
        # The rules are those of the first certificate in the file, and so would be the advice.
        explanation = replace(explanation, advised=None)
    if as_json:
        values = {"file": file, **explanation_json(explanation, "check"), "chain": defects}
        values["fix"] = " ".join(defects) if of_another else values["fix"]
        click.echo(json.dumps(values, indent=2))
    else:
        told = [explanation_text(explanation, "check")]
        said = ["\n".join(wrapped(sentence)) for sentence in defects]
        click.echo("\n".join([*said, "", *told] if of_another else [*told, *said]))
    if not explanation.accepted:
        raise click.exceptions.Exit(FAILED)


@command.command("fix", short_help="Put the chain in a file in order.")
@click.argument("file", metavar="FILE")
@click.option("--out", metavar="FILE", help="Write the chain into FILE, not to standard output.")
@click.option("--ca", metavar="FILE", help="Trust the authorities in FILE instead of the system's.")
@click.option("--fetch", is_flag=True, help="Fetch missing issuers from where certificates say.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def cert_fix(file: str, out: str | None, ca: str | None, fetch: bool, as_json: bool) -> None:
    """Write the chain in FILE (PEM or DER) as it should be sent.

    The leaf, the certificate of the server or client itself, comes first, and after each the one
    that has issued it. Roots, duplicates and certificates that issued none of them are left out.
    What is missing is named; nothing is fetched without --fetch. A root alone is refused.

    Exit status: 0 if the chain is complete, 1 if the leaf or the certificate of an issuer is
    missing.
    """
    from handclasp.certificates.doctor import issues, mend
    from handclasp.cli.fetching import fetch_missing

    given, cut_off = _whole_certificates(file)
    trust = trust_of(ca)
    before = mend(given, trust)
    if before.is_root_alone:
        raise WrongArguments(
            f"{file} holds no certificate of a server or client: {subject_of(before.chain[0])} is "
            "a root, which is not sent, but which the other end has to trust. Give the file that "
            "has the own certificate of the server or client (and this one as --ca)."
        )
    mended, told = fetch_missing(given, trust) if fetch else (before, [])
    pem = "".join(_pem(each) for each in mended.chain)
    findings = [*cut_off, *before.findings("the verifier")]
    if ca is None and mended.missing is not None:
        findings.append(
            f"If {mended.missing.subject} is a root of your own, which the system does not trust, "
            "it is right that it is not there: --ca FILE with it tells."
        )
    own = mended.chain[0]
    if mended.has_leaf and issues(own, own) and own not in trust.anchors:
        findings.append(
            f"{subject_of(own)} is self-signed: it needs no other certificate, and nobody trusts "
            "it without having been given it (--ca FILE does that here)."
        )
    if as_json:
        values = {
            "file": file,
            "complete": mended.is_complete,
            "has_leaf": mended.has_leaf,
            "findings": findings,
            "fetched": told,
            "missing": asdict(mended.missing) if mended.missing is not None else None,
            "chain_pem": pem,
        }
        click.echo(json.dumps(values, indent=2))
    else:
        for sentence in [*findings, *told] or ["The chain is complete and in order."]:
            click.echo("\n".join(wrapped(sentence, below="  ")), err=True)
    if out is not None:
        _write_chain(out, pem)
    elif not as_json:
        click.echo(pem, nl=False)
    if not mended.is_complete:
        raise click.exceptions.Exit(FAILED)


def _write_chain(out: str, pem: str) -> None:
    check_path(out)
    path = Path(out)
    if path.is_file() and b"PRIVATE KEY-----" in read_file(out):
        raise WrongArguments(f"--out {out}: it holds a private key, which would be lost.")
    _write(write_public, path, pem.encode())


def _pem(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode()


def _time(text: str, option: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise WrongArguments(f"{option} {text}: write it as 2026-01-31T12:00.") from None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _read_certificates(file: str) -> list[x509.Certificate]:
    return _certificates_in(file, read_file(file))


def _certificates_in(file: str, data: bytes, *, of: bytes | None = None) -> list[x509.Certificate]:
    """Return the certificates in what a file holds; raise `WrongArguments` if it has none.

    Args:
        of: the whole content, where `data` is a part of it.
    """
    from handclasp.certificates.reading import certificates_of

    try:
        return certificates_of(data)
    except ValueError:
        raise WrongArguments(f"{file}{_without_certificates(of or data)}") from None


def _whole_certificates(file: str) -> tuple[list[x509.Certificate], list[str]]:
    """Return the certificates in a file, and a sentence if the last one is cut off."""
    from handclasp.certificates.reading import cut_off_at

    data = read_file(file)
    line = cut_off_at(data)
    if line is None:
        return _certificates_in(file, data), []
    whole = data[: data.rindex(b"-----BEGIN ")]
    return _certificates_in(file, whole, of=data), [
        f"The certificate that begins in line {line} of {file} is cut off, and is not read: its "
        "last line, -----END CERTIFICATE-----, is not there. Copy the whole file."
    ]


def _without_certificates(data: bytes) -> str:
    """Return why a file has no certificates to read, as words after its name."""
    from handclasp.certificates.reading import cut_off_at

    if (line := cut_off_at(data)) is not None:
        return f": the certificate that begins in line {line} is cut off. Copy the whole file."
    if b"PRIVATE KEY-----" in data:
        return " holds a private key, and no certificate."
    return " holds no certificate in PEM or DER that can be read."


def _described(certificate: x509.Certificate) -> dict[str, object]:
    from handclasp.certificates.describe import describe

    return describe(certificate)


def _print_certificate(certificate: x509.Certificate) -> None:
    described = _described(certificate) | {"valid": dates_of(certificate, datetime.now(UTC))}
    for label, field in _SHOWN.items():
        _print_value(label, described[field])
    if described["tlsa"] is not None:
        # In one piece, as it is to be copied, and so on a line that has room for it.
        click.echo(f"  TLSA record\n    {described['tlsa']}")
    for label, field in _SHOWN_IF_SAID.items():
        value = described[field]
        if value is not None and value is not False:  # A path length of 0 says a lot.
            _print_value(label, value)


def _print_value(label: str, value: Any) -> None:
    """Print a value after its label, and each entry of a long list on a line of its own."""
    if value is None:
        lines = ["(not said)"]
    elif isinstance(value, bool):
        lines = ["yes" if value else "no"]
    elif isinstance(value, list):
        entries = [str(entry) for entry in cast(list[object], value)]
        joined = ", ".join(entries) or "(none)"
        lines = [joined] if len(joined) <= _VALUE_COLUMNS else entries
    else:
        lines = [str(value)]
    for number, line in enumerate(lines):
        click.echo(f"  {label if number == 0 else '':15} {line}")


_VALUE_COLUMNS = 62
"""The rest of 80 columns after the margin and a label."""

_SHOWN = {
    "subject": "subject",
    "issuer": "issuer",
    "names": "names",
    "valid": "valid",
    "key": "key_type",
    "key bits": "key_size",
    "signed in": "signature_algorithm",
    "authority": "is_authority",
    "key usage": "key_usage",
    "purposes": "extended_key_usage",
    "serial number": "serial",
    "SHA-256": "fingerprint_sha256",
    "SPKI pin": "spki_sha256",
}

_SHOWN_IF_SAID = {
    "below it": "path_length",
    "only names in": "permitted_names",
    "no names in": "excluded_names",
    "policies": "policies",
    "OCSP at": "ocsp_urls",
    "issuer at": "issuer_urls",
    "CRL at": "crl_urls",
    "must staple": "must_staple",
    "timestamps": "timestamps",
}
"""The fields that are shown only if they are present, as most certificates lack them."""


def _write(write: Callable[[Path, bytes], None], path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, data)
    except OSError as error:
        raise WrongArguments(f"Cannot write {path}: {error.strerror or error}.") from None
