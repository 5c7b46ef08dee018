"""OpenSSL's configuration file sets what a binding on top of it has no function for."""

from __future__ import annotations

from pathlib import Path

from .base import Options, openssl_suite

# OpenSSL 3.0 knows the registry's names only for some groups.
GROUP_NAMES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


def openssl_groups(groups: tuple[str, ...]) -> str:
    return ":".join(GROUP_NAMES.get(group, group) for group in groups)


def write_openssl_conf(options: Options, workdir: Path) -> dict[str, str]:
    """Returns the environment that makes OpenSSL read it."""
    lines = [f"MinProtocol = {options.version}", f"MaxProtocol = {options.version}"]
    if not options.extended_master_secret:
        lines.append("Options = -ExtendedMasterSecret")
    if options.groups:
        lines.append(f"Groups = {openssl_groups(options.groups)}")
    if options.suites and options.version == "TLSv1.2":
        lines.append(f"CipherString = {':'.join(map(openssl_suite, options.suites))}")
    elif options.suites:
        lines.append(f"Ciphersuites = {':'.join(options.suites)}")
    path = workdir / "openssl.cnf"
    path.write_text(
        "openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = defaults\n"
        "[defaults]\n" + "\n".join(lines) + "\n"
    )
    return {"OPENSSL_CONF": str(path)}
