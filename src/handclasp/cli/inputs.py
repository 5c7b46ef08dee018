"""The values of arguments: addresses, credentials, trust and traces, or one clear sentence."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from handclasp.cli.captures import CAPTURE_ENDING, CaptureFile
from handclasp.cli.outcome import WrongArguments, configuration_checked
from handclasp.cli.pages import PAGE_ENDING, page_for, write_page
from handclasp.errors import ConfigurationError, check_path_text
from handclasp.input_files import read_input
from handclasp.wording import listed

if TYPE_CHECKING:
    from handclasp import Credentials, Recorder, ReloadingEchKeys, TrustStore
    from handclasp.certificates import Explanation
    from handclasp.certificates.reloading import ReloadingCredentials

KEY_PASSWORD_VARIABLE = "HANDCLASP_KEY_PASSWORD"  # noqa: S105 (the name of it)
"""Holds the password of an encrypted key: arguments are visible to everybody on the machine."""


class NumberRange(click.FloatRange):
    """A number with bounds; click lets NaN through, as no comparison with it holds."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


def one_address(words: Sequence[str]) -> str:
    """Return the one address among the arguments; raise `WrongArguments`."""
    if len(words) == 1:
        return words[0]
    first = f"[{words[0]}]" if ":" in words[0] else words[0]
    meant = _proposed(":".join((first, *words[1:])))
    raise WrongArguments(f"{' '.join(words)!r} is not one address: write HOST:PORT.{meant}")


def check_fork() -> None:
    """Raise `WrongArguments` where --workers cannot be had."""
    if not hasattr(os, "fork"):
        raise WrongArguments("--workers needs a system with fork.")


def host_and_port(text: str, default_port: int = 443) -> tuple[str, int]:
    """HOST, HOST:PORT, an IPv6 address, or [IPv6]:PORT. Raises `WrongArguments`."""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise WrongArguments(f"{text} is not an address: write [IPv6]:PORT.")
        port = rest[1:] if rest else ""
        given = bool(rest)
    elif text.count(":") > 1:
        host, port, given = text, "", False
    else:
        host, separator, port = text.partition(":")
        given = bool(separator)
    if not host or "/" in host or any(character.isspace() for character in host):
        within = _address_within(text)
        meant = _proposed(within) if within != text else ""
        raise WrongArguments(f"{text!r} is not an address: write HOST or HOST:PORT.{meant}")
    if not given:
        return host, default_port
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise WrongArguments(f"{port!r} is not a port: it must be a number from 1 to 65535.")
    return host, int(port)


def names_of(text: str | None) -> tuple[str, ...]:
    """Return the names in a list that commas separate."""
    return tuple(name.strip() for name in text.split(",") if name.strip()) if text else ()


def credentials_of(certificate: str | None, key: str | None) -> Credentials | None:
    """Return the credentials of --cert and --key, which belong together; raise `WrongArguments`."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        missing = "--cert" if certificate is None else "--key"
        raise WrongArguments(f"--cert and --key belong together: {missing} is missing.")
    from handclasp import Credentials

    password = os.environ.get(KEY_PASSWORD_VARIABLE)
    try:
        return Credentials.load(certificate, key, password)
    except ConfigurationError as error:
        sentence = str(error).replace(", or use Credentials.from_pkcs12", "")
        if "encrypted: give" in sentence:
            sentence = f"The key file {key} is encrypted: put its password into the environment "
            sentence += f"variable {KEY_PASSWORD_VARIABLE}."
        raise WrongArguments(sentence) from None


def followed_credentials(
    certificate: str | None,
    key: str | None,
    staple: str | None,
    on_error: Callable[[ConfigurationError], object],
) -> ReloadingCredentials | None:
    """Return the credentials of --cert and --key, which are read again when the files change.

    Args:
        staple: the file of an OCSP response.
        on_error: hears why changed files are not used.

    Raises `WrongArguments`.
    """
    if credentials_of(certificate, key) is None or certificate is None:
        return None
    from handclasp import Credentials

    password = os.environ.get(KEY_PASSWORD_VARIABLE)
    with configuration_checked():
        return Credentials.auto_reload(certificate, key, password, staple=staple, on_error=on_error)


def followed_ech_keys(
    paths: Sequence[str], on_error: Callable[[ConfigurationError], object]
) -> ReloadingEchKeys | None:
    """Return the keys of --ech-key, which are read again when the files change.

    Args:
        on_error: hears why changed files are not used.

    Raises `WrongArguments`.
    """
    if not paths:
        return None
    from handclasp import EchKey

    for path in paths:
        check_path(path)
    with configuration_checked():
        return EchKey.auto_reload(*paths, on_error=on_error)


def warn_of_leaves(option: str, trust: TrustStore) -> None:
    """Say on standard error that these are no authorities, so that each stands for itself alone."""
    from handclasp.certificates.describe import described

    anchors = [described(anchor, "subject", "is_authority") for anchor in trust.anchors]
    if any(anchor["is_authority"] for anchor in anchors):
        return
    more = f" and {len(anchors) - 1} more" if len(anchors) > 1 else ""
    first = min(str(anchor["subject"] or "a certificate without a name") for anchor in anchors)
    click.echo(
        f"Warning: {option} holds no authority, but {first}{more}: a client gets in with that very "
        "certificate only. To let in those that an authority has issued, name the authority's own "
        "certificate.",
        err=True,
    )


def check_path(path: str) -> None:
    """Raise `WrongArguments` for the content of a file in place of its path."""
    with configuration_checked():
        check_path_text(path, "The name of a file")


def read_file(path: str) -> bytes:
    """Return the content of a file that an option names; raise `WrongArguments`."""
    check_path(path)
    try:
        return read_input(path)
    except FileNotFoundError:
        raise WrongArguments(f"There is no file {path}.") from None
    except OSError as error:
        raise WrongArguments(f"Cannot read {path}: {error.strerror or error}.") from None


_MOST_NAMED = 5


def files_in(directory: str, endings: tuple[str, ...]) -> tuple[list[str], int]:
    """Return the files with these endings by name, newest first, and how many others are there.

    Raises `WrongArguments`.
    """
    dated: list[tuple[int, str]] = []
    others = 0
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # The writer of traces removes old ones.
                    if entry.name.endswith(endings) and entry.is_file():
                        dated.append((entry.stat().st_mtime_ns, entry.name))
                    else:
                        others += 1
    except OSError as error:
        raise WrongArguments(f"Cannot read {directory}: {error.strerror or error}.") from None
    return [name for _, name in sorted(dated, reverse=True)], others


def _check_no_directory(path: str) -> None:
    """Raise `WrongArguments` for a directory, such as that of --trace, and name what is in it."""
    check_path(path)
    if not os.path.isdir(path):
        return
    names, _ = files_in(path, (".json",))
    if not names:
        raise WrongArguments(f"{path} is a directory, without a trace (.json).")
    newest = shlex.quote(os.path.join(path, names[0]))
    raise WrongArguments(
        f"{path} is a directory. In it are, the newest first: "
        f"{listed(names, _MOST_NAMED)}. Name one of them: {newest}"
    )


def trust_of(path: str | None) -> TrustStore:
    """Return the authorities in a file, or those of the system; raise `WrongArguments`."""
    from handclasp import TrustStore

    with configuration_checked():
        return TrustStore.from_pem(path) if path is not None else TrustStore.system()


def group_names(names: Sequence[str]) -> tuple[str, ...]:
    """Group names in whatever case, in the spelling that the library uses."""
    from handclasp import ClientConfig

    spelled = {name.lower(): name for name in ClientConfig().groups}
    return tuple(spelled.get(name.lower(), name) for name in names)


def unescaped(text: str) -> bytes:
    r"""Return the bytes of a text, with \r, \n, \t, \\ and \xHH replaced."""
    parts: list[bytes] = []
    rest = text
    while True:
        plain, backslash, rest = rest.partition("\\")
        parts.append(plain.encode("utf-8", "surrogateescape"))
        if not backslash:
            return b"".join(parts)
        if rest[:1] in _ESCAPES and rest:
            parts.append(_ESCAPES[rest[0]])
            rest = rest[1:]
        elif rest[:1] == "x" and len(rest) > 2 and set(rest[1:3]) <= _HEX_DIGITS:
            parts.append(bytes.fromhex(rest[1:3]))
            rest = rest[3:]
        else:
            raise WrongArguments(
                "--send: after a backslash comes r, n, t, a second backslash, or x and two "
                "hexadecimal digits."
            )


def keylog_of(path: str | None) -> Callable[[str], None] | None:
    """Return the key log for --keylog, opened at once; raise `WrongArguments`."""
    if path is None:
        return None
    from handclasp.trace.keylog import open_keylog

    with configuration_checked():
        return open_keylog(path)


def trace_file(
    path: str,
    option: str = "--trace ",
    endings: Sequence[str] = (".json", PAGE_ENDING, CAPTURE_ENDING),
) -> Path:
    """Return the path for a trace, in an existing directory; raise `WrongArguments`.

    The ending says what to write: .json a trace, .html a page, .pcapng a capture.

    Args:
        option: how the command calls the path, for what is said of a wrong one; empty for an
            argument without a name.
        endings: those that the command writes.
    """
    check_path(path)
    if Path(path).suffix.lower() not in endings:
        *others, last = endings
        allowed = f"{', '.join(others)} or {last}" if others else last
        raise WrongArguments(f"{option}{path}: the name must end in {allowed}.")
    if not Path(path).parent.is_dir():
        raise WrongArguments(f"{option}{path}: there is no directory {Path(path).parent}.")
    return Path(path)


def read_trace(path: str) -> Recorder:
    """Return a trace that was saved as JSON; raise `WrongArguments`."""
    from handclasp import Recorder
    from handclasp.trace.events import TraceFormatError

    _check_no_directory(path)
    try:
        return Recorder.from_json(read_file(path))
    except TraceFormatError as error:
        raise WrongArguments(f"{path}: {error}") from None


def read_handshake(path: str) -> Recorder:
    """Return a saved trace that holds at least the beginning of a handshake.

    Raises `WrongArguments`.
    """
    recorder = read_trace(path)
    check_something_sent(recorder, path)
    return recorder


def check_something_sent(recorder: Recorder, path: str) -> None:
    """Raise `WrongArguments` for a trace in which there is nothing to tell."""
    from handclasp.story.facts import NOTHING_SENT, nothing_sent

    if nothing_sent(recorder.events):
        raise WrongArguments(f"{path} holds no handshake. {NOTHING_SENT}")


def save_trace(
    recorder: Recorder,
    path: Path,
    title: str,
    explanation: Explanation | None = None,
    earlier: Recorder | None = None,
) -> None:
    """Store what was recorded. Raises `WrongArguments`.

    Args:
        title: what to call a page.
        explanation: the decision on the peer's certificates, for a page.
        earlier: another connection to compare with, for a page.
    """
    try:
        if path.suffix.lower() == PAGE_ENDING:
            with configuration_checked():
                write_page(path, page_for(recorder, title, explanation, earlier))
        elif path.suffix.lower() == CAPTURE_ENDING:
            with CaptureFile(path) as capture:
                capture.add(recorder)
        else:
            recorder.save(path)
    except OSError as error:
        raise WrongArguments(f"Cannot write the trace {path}: {error.strerror}.") from None


def _address_within(url: str) -> str:
    """Return a URL without its scheme and its path."""
    address = url.partition("://")[2] if "://" in url else url
    for end in "/?#":
        address = address.partition(end)[0]
    return address


def _proposed(address: str) -> str:
    """Return a question that proposes the address; empty if it is not an address either."""
    try:
        host_and_port(address)
    except WrongArguments:
        return ""
    return f" Did you mean {address}?"


_ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\"}
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
