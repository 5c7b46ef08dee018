"""`handclasp ech`: keys for Encrypted Client Hello, and what configurations say."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from handclasp.cli.identity import printable
from handclasp.cli.inputs import check_path, trust_of
from handclasp.cli.outcome import FAILED, WrongArguments, configuration_checked
from handclasp.ech import suite_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from handclasp import ClientConfig, EchConfig, EchConfigList
    from handclasp.dns import HttpsEndpoint

_FROM_DNS = "dns"
_HTTPS_PORT = 443
_MOST_OF_A_NAME = 255
_PARAMETER = re.compile(r"""(?:^|\s)ech=["']?([A-Za-z0-9+/=]*)["']?(?:\s|$)""")
_DEFAULT_NAME_LENGTH = 64


@click.group("ech")
def command() -> None:
    """Make keys for Encrypted Client Hello, and look at configurations."""


@command.command("generate", short_help="Make a key and its configuration.")
@click.option(
    "--public-name",
    required=True,
    metavar="NAME",
    help="The name that everybody can read; the server needs a certificate for it.",
)
@click.option(
    "--out",
    default="ech.pem",
    show_default=True,
    metavar="FILE",
    help="Where to write the key and the configuration.",
)
@click.option("--force", is_flag=True, help="Overwrite a file that is there: its key is lost.")
@click.option(
    "--kem",
    type=click.Choice(["X25519", "P-256"]),
    default="X25519",
    show_default=True,
    help="The kind of key.",
)
@click.option(
    "--max-name-length",
    type=click.IntRange(0, 255),
    default=_DEFAULT_NAME_LENGTH,
    show_default=True,
    help="The longest of the server's names, in bytes; clients pad the others to it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def ech_generate(
    public_name: str, out: str, force: bool, kem: str, max_name_length: int, as_json: bool
) -> None:
    """Make a key for Encrypted Client Hello (RFC 9849), and the configuration to publish.

    The file holds both, as `openssl ech` writes them (RFC 9934). The configuration that is printed
    belongs into the HTTPS records of the server's names, as the parameter "ech" (RFC 9848).
    """
    from handclasp import EchConfigList, EchKey
    from handclasp.private_files import write_private

    check_path(out)
    if Path(out).exists() and not force:
        raise WrongArguments(
            f"{out} is there already: use --out FILE to write elsewhere, or --force to overwrite "
            "it."
        )
    with configuration_checked():
        key = EchKey.generate(public_name, kem=kem, maximum_name_length=max_name_length)
    is_lost = Path(out).exists()
    write_private(out, key.to_pem())
    if is_lost:
        click.echo(
            f"The key that was in {out} is gone: clients with its configuration are rejected until "
            "they have this one. To rotate keys, write the next one to another file.",
            err=True,
        )
    text = EchConfigList(key.configs).to_base64()
    [config] = key.configs
    if as_json:
        click.echo(json.dumps({"path": out, "ech": text, **_described(config, "")}, indent=2))
        return
    click.echo(f"{out} is the private key, with its configuration for {config.public_name}.")
    click.echo("For the HTTPS records of the server's names, and for clients:")
    click.echo(f'ech="{text}"')


@command.command("show", short_help="What configurations say.")
@click.argument("configs", metavar="FILE|BASE64")
@click.option(
    "--name",
    default="@",
    metavar="NAME",
    help="The name of a server behind it, for the record; else that of the zone (@).",
)
@click.option(
    "--port",
    default=_HTTPS_PORT,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="The port of that server, for the record.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--base64",
    "as_base64",
    is_flag=True,
    help="Print the configurations in Base64 alone, as other programs take them.",
)
def ech_show(configs: str, name: str, port: int, as_json: bool, as_base64: bool) -> None:
    """Print what the configurations in a file, or in Base64, say, and the record to publish.

    The last line is an HTTPS record for a zone file (RFC 9848). Exit status 1 if a client of this
    library could use none of them.
    """
    if as_json and as_base64:
        raise WrongArguments("--json and --base64 do not go together.")
    found = ech_configs_of(configs)
    record = _record(found, name, port)
    described = [_described(*each) for each in zip(found, found.problems(), strict=True)]
    if as_json:
        shown = {"usable": found.usable is not None, "record": record, "configs": described}
        click.echo(json.dumps(shown, indent=2))
    elif as_base64:
        click.echo(found.to_base64())
    else:
        for each in described:
            click.echo("\n".join([f"{name}: {_shown(value)}" for name, value in each.items()]))
            click.echo()
        click.echo(record)
    if found.usable is None:
        raise click.exceptions.Exit(FAILED)


def ech_options(command: Any) -> Any:
    """Add the options that encrypt the hello of a client."""
    for option in reversed(
        (
            click.option(
                "--ech",
                metavar="FILE|BASE64|dns",
                help="Encrypt the hello (ECH) with the server's configuration, of a PEM file or "
                "an HTTPS record; `dns` looks that up.",
            ),
            click.option(
                "--doh",
                metavar="URL",
                help="With --ech dns: ask this DNS server over HTTPS, also for the addresses, "
                "instead of the system's resolver, which may ask in the clear. With --server-name "
                "or --proxy, it is not asked for addresses.",
            ),
            click.option(
                "--doh-ca",
                metavar="FILE",
                help="With --doh: trust the authorities in FILE instead of the system's.",
            ),
        )
    ):
        command = option(command)
    return command


def ech_settings(options: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a `ClientConfig` for --ech; raise `WrongArguments`."""
    if options["doh"] is not None and options["ech"] != _FROM_DNS:
        raise WrongArguments("--doh needs --ech dns.")
    _check_doh(options)
    if options["ech"] is None or options["ech"] == _FROM_DNS:
        return {}
    return {"ech": ech_configs_of(options["ech"])}


def ech_lookup_of(
    options: dict[str, Any], name: str, port: int, config: ClientConfig
) -> Callable[[], HttpsEndpoint] | None:
    """Return what looks up the HTTPS record for --ech dns, or None; raise `WrongArguments`.

    What is wrong with the arguments is found before anything is asked for.
    """
    if options["ech"] != _FROM_DNS:
        return None
    from handclasp.dns import check_lookup, lookup_ech

    if options["starttls"]:
        raise WrongArguments("--ech dns reads HTTPS records, which do not concern --starttls.")
    if "TLSv1.3" not in config.versions:
        raise WrongArguments("--ech needs TLS 1.3: leave out --tls12.")
    given = doh_settings(options)
    # An address is of use only where the record says which host to connect to.
    is_named = options["server_name"] is not None or options["proxy"] is not None
    with configuration_checked():
        check_lookup(name, port, **given)
    return partial(lookup_ech, name, port, addresses=not is_named, **given)


def doh_settings(options: dict[str, Any]) -> dict[str, Any]:
    """Return what --doh, --doh-ca and --timeout mean for a lookup; raise `WrongArguments`."""
    from handclasp import ClientConfig

    _check_doh(options)
    given: dict[str, Any] = {"doh": options["doh"], "timeout": options["timeout"]}
    if options["doh_ca"] is not None:
        given["doh_config"] = ClientConfig(trust=trust_of(options["doh_ca"]))
    return given


def _check_doh(options: dict[str, Any]) -> None:
    if options["doh_ca"] is not None and options["doh"] is None:
        raise WrongArguments("--doh-ca needs --doh.")


def _record(configs: EchConfigList, name: str, port: int) -> str:
    """Return an HTTPS record for a zone file (RFC 9460 sections 2.3 and 9.1; RFC 9848)."""
    owner = name if name == "@" or name.endswith(".") else f"{name}."
    parameter = f'ech="{configs.to_base64()}"'
    if port == _HTTPS_PORT:
        return f"{owner} IN HTTPS 1 . {parameter}"
    prefix = f"_{port}._https"
    prefixed = prefix if name == "@" else f"{prefix}.{owner}"
    return f"{prefixed} IN HTTPS 1 {owner} port={port} {parameter}"


def ech_configs_of(text: str) -> EchConfigList:
    """Return the configurations in a PEM file, or those of a Base64 text; raise `WrongArguments`.

    `text` names the file if one is there. In place of the Base64 it may be the parameter that
    holds it, ech="...", or the whole HTTPS record.
    """
    from handclasp import ConfigurationError, EchConfigList

    try:
        is_file = Path(text).is_file()
    except (OSError, ValueError):
        is_file = False
    if is_file:
        with configuration_checked():
            return EchConfigList.load(text)
    try:
        parameter = _PARAMETER.search(text)
        return EchConfigList.from_base64(parameter[1] if parameter else text)
    except ConfigurationError as error:
        raise WrongArguments(
            f"There is no file of that name, and it is no configuration in Base64 either. {error}"
        ) from None


def _described(config: EchConfig, problem: str) -> dict[str, Any]:
    described: dict[str, Any] = {"version": f"0x{config.version:04x}"}
    if config.public_name:
        described |= {
            "public_name": printable(config.public_name, _MOST_OF_A_NAME),
            "config_id": config.config_id,
            "kem": _KEMS.get(config.kem, f"0x{config.kem:04x}"),
            "cipher_suites": [suite_name(*each) for each in config.cipher_suites],
            "maximum_name_length": config.maximum_name_length,
            "extensions": [f"0x{kind:04x}" for kind in config.extensions],
        }
    return described | {"problem": problem}


def _shown(value: object) -> str:
    text = (
        ", ".join(map(str, cast("list[object]", value))) if isinstance(value, list) else str(value)
    )
    return text or "none"


_KEMS = {0x10: "P-256", 0x12: "P-521", 0x20: "X25519", 0x21: "X448"}
"""Names of HPKE's KEMs, with those that this library does not have."""
