"""`handclasp serve`: files over HTTPS, or an echo, on top of this library."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from handclasp.cli.authority import LOCAL_NAMES, authority_directory, open_authority, trust_advice
from handclasp.cli.captures import CAPTURE_ENDING, CaptureFile
from handclasp.cli.inputs import (
    check_path,
    credentials_of,
    keylog_of,
    names_of,
    trust_of,
    warn_of_leaves,
)
from handclasp.cli.narrative import story_text
from handclasp.cli.outcome import Failure, WrongArguments, configuration_checked, failure_of
from handclasp.cli.pages import PAGE_ENDING, page_for, write_page
from handclasp.cli.patience import send_all
from handclasp.cli.redaction import Redaction, redact_option, redaction_of
from handclasp.cli.server import (
    IDLE_SECONDS,
    Server,
    Visit,
    listen,
    receive,
    stopping_on_signals,
    url_of,
)
from handclasp.cli.versions import (
    version_options,
    version_settings,
    versions_checked,
    warn_of_key_transport,
)
from handclasp.cli.warned import Warned, collecting_warnings, tell_warnings
from handclasp.cli.workers import check_workers, serve_in_processes, tell_of_waiting

if TYPE_CHECKING:
    from handclasp import (
        ConnectionInfo,
        Credentials,
        Recorder,
        ServerConfig,
        TLSSocket,
        TrustStore,
    )
    from handclasp.trace.events import TraceEvent

HANDSHAKE_SECONDS = 15.0

_PAUSE_SECONDS = 1.0
"""After how long a pause of its client an echo is over, where the server finishes."""

EARLY_DATA_BYTES = 16384
"""The bytes of early data that a client may send: room for a request, and little more."""

_RECOGNISED = """\
Kept back under any name, too, are files in whose first MiB one of these is recognised, in ASCII
or UTF-16: a private key in PEM (also in Base64 once more), a JSON Web Key with its private
part, a line of a key log, the secrets in a trace, page, capture or session file of this
program; and files that begin as a key or key store in DER, PKCS #12, Java's or PuTTY's format.
Keys in other forms are not recognised, such as in compressed archives.
"""


@click.command("serve", epilog=_RECOGNISED)
@click.argument("directory", default=".", metavar="[DIR]")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    default=8443,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="The port; 0 takes a free one.",
)
@click.option("--cert", metavar="FILE", help="Certificate chain (else the local authority's).")
@click.option("--key", metavar="FILE", help="Private key for --cert.")
@click.option("--ocsp", metavar="FILE", help="OCSP response to staple, read again as it changes.")
@click.option("--client-ca", metavar="FILE", help="Ask clients for a certificate of these.")
@click.option("--require-client-cert", is_flag=True, help="Refuse clients without one.")
@click.option("--alpn", metavar="A,B", help="Application protocols, best first.")
@version_options
@click.option("--echo", is_flag=True, help="Send back what comes, instead of HTTP.")
@click.option(
    "--early-data",
    is_flag=True,
    help="Let clients that come back ask with the first flight (0-RTT, RFC 8470). Excludes "
    "--workers.",
)
@click.option("--keylog", metavar="FILE", help="Append secrets for Wireshark. Gives all away.")
@click.option(
    "--trace",
    metavar="DIR",
    help="Record each handshake into a .json file in DIR; or, if it ends in .pcapng, all "
    "connections into one capture that Wireshark opens decrypted. That gives all away.",
)
@click.option("--pages", is_flag=True, help="With --trace DIR: a page (.html) of each, too.")
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1, 256),
    help="Processes that share the port, one for each core that they may use. They resume each "
    "other's clients. Excludes --early-data and --trace.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object per connection.")
@redact_option
@click.option(
    "--verbose",
    "-v",
    count=True,
    help="Tell each handshake message by message; -vv: with the fields of each, every choice, key "
    "and cost; -vvv: the bytes, too.",
)
def command(directory: str, **options: Any) -> None:
    """Serve the files of DIR (or of this directory) over HTTPS.

    Kept back are hidden files, files that only their owner may read, what links lead to outside of
    DIR, and what this server itself writes. Under a umask that makes every new file private (077),
    and on Windows, who may read a file makes no difference.

    Tells a line for each connection: what was agreed upon, or why the handshake failed.

    Ctrl-C (or SIGTERM) ends it: it stops listening, and finishes the answers that have begun, for
    as long as their clients go on reading (a client that takes nothing for 30 seconds is cut off).
    A second one ends it at once.
    """
    from handclasp import Recorder

    check_path(directory)
    if not options["echo"] and not os.path.isdir(directory):
        raise WrongArguments(f"There is no directory {directory}.")
    workers = options["workers"]
    if workers > 1:
        check_workers(options)
    with collecting_warnings() as warnings:
        config = _config(options)
    redaction = _redaction(options)
    capture = _capture(options["trace"])
    traces = _traces(options["trace"]) if capture is None else None
    _check_traces(traces, directory, options)
    listener = listen(options["host"], options["port"], shared=workers > 1)
    talk: Any = _echo
    if not options["echo"]:
        from handclasp.cli.files import serve_directory

        talk = serve_directory(directory, _private_files(options), _tell_kept_back)
    report = _report(options, traces, redaction, warnings)
    announce = partial(_announce, directory, options, config.trust, warnings)
    server_of = partial(Server, config=config, talk=talk, report=report, on_end=report.tell_end)
    if workers > 1:
        port = int(listener.getsockname()[1])
        more = [listen(options["host"], port, shared=True) for _ in range(1, workers)]
        announce(port)
        serve_in_processes([listener, *more], server_of)
        return
    server = server_of(listener, record=Recorder if traces else None, capture=capture)
    try:
        with stopping_on_signals():
            announce(server.port)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                server.finish(tell_of_waiting)
    except KeyboardInterrupt:
        pass
    finally:
        server.close()
        if capture is not None:
            _close(capture, options["trace"])


def _report(
    options: dict[str, Any],
    traces: Path | None,
    redaction: Redaction | None,
    warnings: Sequence[Warned],
) -> _Report:
    return _Report(
        as_json=options["as_json"],
        traces=traces,
        pages=options["pages"],
        redaction=redaction,
        detail=options["verbose"],
        warnings=warnings,
    )


def _check_traces(traces: Path | None, directory: str, options: dict[str, Any]) -> None:
    if options["pages"] and traces is None:
        raise WrongArguments("--pages needs --trace DIR: where are they to go?")
    if traces is not None and not options["echo"] and traces.samefile(directory):
        raise WrongArguments(f"--trace {traces}: this directory is served; name another one.")


def _private_files(options: dict[str, Any]) -> list[str]:
    """Return the files that are never sent, even if they are in the directory."""
    return [options[name] for name in ("key", "keylog", "trace") if options[name] is not None]


def _tell_kept_back(path: str, reason: str) -> None:
    from handclasp.cli.identity import printable

    click.echo(printable(f"Kept back {path}: {reason}."), err=True)


def _config(options: dict[str, Any]) -> ServerConfig:
    from handclasp import ClientAuth, ServerConfig

    if options["require_client_cert"] and not options["client_ca"]:
        raise WrongArguments("--require-client-cert needs --client-ca: whose certificates count?")
    if options["early_data"] and options["tls12"] and not options["tls13"]:
        raise WrongArguments("--early-data needs TLS 1.3: leave out --tls12.")
    client_auth = ClientAuth.NONE
    if options["client_ca"]:
        required = options["require_client_cert"]
        client_auth = ClientAuth.REQUIRED if required else ClientAuth.OPTIONAL
    alpn = names_of(options["alpn"]) or (() if options["echo"] else ("http/1.1",))
    with versions_checked():
        return ServerConfig(
            credentials=_credentials(options),
            client_auth=client_auth,
            trust=trust_of(options["client_ca"]) if options["client_ca"] else None,
            alpn=alpn,
            keylog=keylog_of(options["keylog"]),
            handshake_timeout=HANDSHAKE_SECONDS,
            max_early_data=EARLY_DATA_BYTES if options["early_data"] else 0,
            groups=_groups(options),
            **version_settings(options),
        )


_GROUPS = ("X25519", "secp256r1", "secp384r1")
_HYBRID_GROUPS = ("X25519MLKEM768", "SecP256r1MLKEM768", "SecP384r1MLKEM1024")


def _groups(options: dict[str, Any]) -> tuple[str, ...]:
    """Return Mozilla's recommendation for servers, and hybrids, without X448 and secp521r1."""
    only12 = options["tls12"] and not options["tls13"]
    return _GROUPS if only12 else (_HYBRID_GROUPS[0], *_GROUPS, *_HYBRID_GROUPS[1:])


def _credentials(options: dict[str, Any]) -> list[Credentials]:
    """Return the credentials, best first; RSA key transport requires an RSA key."""
    key_transport = options["allow_rsa_key_transport"]
    given = credentials_of(options["cert"], options["key"])
    if given is not None:
        if key_transport and not given.can_decrypt:
            raise WrongArguments(
                f"--allow-rsa-key-transport needs an RSA key that may decrypt, which "
                f"{options['key']} is not: give another --cert and --key, or leave them out."
            )
        with configuration_checked():
            return [given.with_staple(options["ocsp"]) if options["ocsp"] else given]
    if options["ocsp"]:
        raise WrongArguments("--ocsp needs --cert and --key: the response is about a certificate.")
    host = options["host"]
    wildcard = host in ("", "0.0.0.0", "::")  # noqa: S104 (compared, not bound)
    names = LOCAL_NAMES if wildcard or host in LOCAL_NAMES else (*LOCAL_NAMES, host)
    with configuration_checked():
        authority = open_authority()
        credentials = [authority.credentials(names)]
        if key_transport:
            credentials.append(authority.credentials(names, key_type="rsa-2048"))
        return credentials


def _redaction(options: dict[str, Any]) -> Redaction | None:
    if options["redact"] and (options["trace"] or "").lower().endswith(CAPTURE_ENDING):
        raise WrongArguments("--redact: a capture is for Wireshark to open; trace into a DIR.")
    return redaction_of(options["redact"], Path(options["trace"]) if options["trace"] else None)


def _capture(path: str | None) -> CaptureFile | None:
    if path is None or not path.lower().endswith(CAPTURE_ENDING):
        return None
    try:
        return CaptureFile(Path(path))
    except OSError as error:
        raise WrongArguments(f"--trace {path}: {error.strerror or error}.") from None


def _close(capture: CaptureFile, path: str) -> None:
    try:
        capture.close()
    except OSError as error:
        with suppress(OSError):
            click.echo(f"The capture {path} is not whole: {error.strerror or error}.", err=True)


_NAMES_OF_FILES = (".html", ".htm", ".json", ".pcap")
"""Endings that stand for a file with other commands, and here would be a directory's."""


def _traces(directory: str | None) -> Path | None:
    if directory is None:
        return None
    check_path(directory)
    if directory.lower().endswith(_NAMES_OF_FILES) and not os.path.isdir(directory):
        raise WrongArguments(
            f"--trace {directory}: many handshakes do not fit into one such file; name a "
            "directory (with --pages for pages), or a file that ends in .pcapng."
        )
    try:
        Path(directory).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise WrongArguments(f"--trace {directory}: {error.strerror or error}.") from None
    return Path(directory)


def _announce(
    directory: str,
    options: dict[str, Any],
    trust: TrustStore | None,
    warnings: Sequence[Warned],
    port: int,
) -> None:
    url = url_of(options["host"], port)
    if options["echo"]:
        where = f"{url.removeprefix('https://').removesuffix('/')} (TLS echo)"
    else:
        where = f"{url} with the files of {os.path.abspath(directory)}"
    # With --json, standard output is for the objects alone.
    on_error = options["as_json"]
    warn_of_key_transport(options)
    tell_warnings(warnings)
    click.echo(f"Listening on {where}", err=on_error)
    if trust is not None:
        warn_of_leaves(f"--client-ca {options['client_ca']}", trust)
    if not options["cert"]:
        path = authority_directory() / "ca.pem"
        click.echo(f"The certificate is from this machine's own authority, {path}", err=on_error)
        click.echo(trust_advice(path, port, https=not options["echo"]), err=on_error)
    click.echo("Ctrl-C ends it.", err=on_error)


def _echo(tls: TLSSocket, address: tuple[str, int]) -> None:
    # Echoing it twice does no harm, even if it is a replay.
    send_all(tls, tls.early_data)
    buffer = bytearray(64 * 1024)
    while size := receive(tls, buffer, IDLE_SECONDS, _PAUSE_SECONDS):
        with memoryview(buffer)[:size] as data:
            send_all(tls, data)


class _Report:
    """Tells a line for each visit, whole even where several threads tell at once."""

    def __init__(
        self,
        *,
        as_json: bool,
        traces: Path | None,
        pages: bool,
        redaction: Redaction | None = None,
        detail: int = 0,
        warnings: Sequence[Warned] = (),
    ) -> None:
        self._as_json = as_json
        self._say: Callable[[Visit], str] = partial(_json_line, warnings) if as_json else _line
        self._traces = traces
        self._pages = pages
        self._redaction = redaction
        self._detail = detail
        self._lock = threading.Lock()
        self._count = 0
        self._last: tuple[str, Recorder] | None = None
        """Host and trace of the last handshake that went well, to lay the next one beside it."""

    def __call__(self, visit: Visit) -> None:
        line = self._say(visit)
        advice = "" if self._as_json else _advice(visit)
        story = story_text(_events(visit), self._detail - 1) if self._detail else ""
        with self._lock:
            self._count += 1
            click.echo(line)
            if advice:
                click.echo(advice)
            if story:
                click.echo(story, err=True)
            if self._traces is not None and visit.recorder is not None:
                self._store(visit, visit.recorder, self._traces)

    def tell_end(self, visit: Visit) -> None:
        """Say why a client may have left at once: nothing has failed that a line would tell of."""
        if self._as_json:
            return
        from handclasp.story.narrate import leaving_in_words

        words = leaving_in_words(_events(visit))
        if words:
            with self._lock:
                click.echo(f"{_address(visit)}  {words}")

    def _store(self, visit: Visit, recorder: Recorder, directory: Path) -> None:
        who = f"{visit.host.replace(':', '_')}-{visit.port}"
        if self._redaction is not None:
            recorder = self._redaction.of(recorder)
            who = "client" if self._redaction.addresses else who
        name = f"{self._count:04}-{who}"
        try:
            recorder.save(directory / f"{name}.json")
            if self._pages:
                self._store_page(visit, recorder, directory / f"{name}{PAGE_ENDING}")
        except OSError as error:
            click.echo(f"Cannot write {name}: {error.strerror or error}.", err=True)

    def _store_page(self, visit: Visit, recorder: Recorder, path: Path) -> None:
        host, before = self._last or ("", None)
        earlier = before if host == visit.host else None
        hidden = self._redaction is not None and self._redaction.addresses
        title = f"Connection {self._count}" + ("" if hidden else f", from {visit.host}")
        write_page(path, page_for(recorder, title, earlier=earlier))
        if visit.info is not None:
            self._last = (visit.host, recorder)


def _line(visit: Visit) -> str:
    from handclasp.cli.identity import printable, subject_of
    from handclasp.cli.report import MOST_OF_A_MESSAGE

    who = _address(visit)
    if visit.error is not None:
        failure = _failure(visit, visit.error)
        found = f"the client sent {failure.alert}" if failure.from_ == "peer" else failure.fault
        return printable(f"{who}  failed  {found}: {failure.message}", MOST_OF_A_MESSAGE)
    info = visit.info
    if info is None:
        return who
    parts = [info.version, info.cipher_suite, _exchange(info), info.alpn or "-"]
    if info.resumed:
        parts.append("resumed")
    if info.early_data_status != "none":
        why = f": {info.early_data_refusal}" if info.early_data_refusal else ""
        parts.append(f"early data {info.early_data_status}{why}")
    if info.peer_chain:
        parts.append(f"client {subject_of(info.peer_chain[0])}")
    elif info.peer_chain_der:
        parts.append("client with a raw public key")
    return printable(f"{who}  {'  '.join(parts)}")


def _address(visit: Visit) -> str:
    return f"[{visit.host}]:{visit.port}" if ":" in visit.host else f"{visit.host}:{visit.port}"


def _exchange(info: ConnectionInfo) -> str:
    from handclasp.story.facts import key_exchange_of_info

    if key_exchange_of_info(info) == "transport":
        return "RSA key transport"
    return info.group or "-"


def _failure(visit: Visit, error: OSError) -> Failure:
    return failure_of(error, visit.host, visit.port, _events(visit), "serve")


def _advice(visit: Visit) -> str:
    """Return the end at fault and the advice, each on a line below that of the visit."""
    if visit.error is None:
        return ""
    from handclasp.cli.identity import printable
    from handclasp.cli.report import brief_lines

    failure = _failure(visit, visit.error)
    return "\n".join(
        printable(f"    {label}: {text}", len(text) + 40) for label, text in brief_lines(failure)
    )


def _events(visit: Visit) -> Sequence[TraceEvent]:
    return visit.recorder.events if visit.recorder is not None else ()


def _json_line(warnings: Sequence[Warned], visit: Visit) -> str:
    from handclasp.cli.report import info_to_json

    shown: dict[str, Any] = {
        "ok": visit.error is None,
        "client": {"host": visit.host, "port": visit.port},
    }
    if visit.info is not None:
        shown |= info_to_json(visit.info)
    if visit.error is not None:
        shown["error"] = _failure(visit, visit.error).to_json()
    if warnings:
        shown["warnings"] = [each.to_json() for each in warnings]
    return json.dumps(shown)
