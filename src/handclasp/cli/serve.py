"""`handclasp serve`: files over HTTPS, or an echo, on top of this library."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import ip_network
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from handclasp.certificates.reloading import SECONDS_BETWEEN_LOOKS
from handclasp.cli.authority import LOCAL_NAMES, authority_directory, open_authority, trust_advice
from handclasp.cli.captures import (
    CAPTURE_ENDING,
    CaptureFile,
    brief_recorder,
    capturing_recorder,
)
from handclasp.cli.faulty import run_fault
from handclasp.cli.inputs import (
    NumberRange,
    check_fork,
    check_path,
    followed_credentials,
    followed_ech_keys,
    keylog_of,
    names_of,
    trust_of,
    warn_of_leaves,
)
from handclasp.cli.journal import Form, Journal, certificate_in_words, ech_key_in_words
from handclasp.cli.listening import listen, url_of
from handclasp.cli.metered import Metered, metered
from handclasp.cli.outcome import FAILED, WrongArguments, configuration_checked
from handclasp.cli.redaction import Redaction, redact_option, redaction_of
from handclasp.cli.traces import Traces
from handclasp.cli.versions import (
    version_options,
    version_settings,
    versions_checked,
    warn_of_key_transport,
)
from handclasp.cli.warned import collecting_warnings, hearing_warnings, tell_warnings
from handclasp.descriptors import raise_descriptor_limit
from handclasp.serving.limits import (
    MAX_CONNECTIONS,
    MAX_HANDSHAKES,
    Limits,
)
from handclasp.serving.renewal import CertificateWatch, EchKeyWatch
from handclasp.serving.service import (
    StatusLine,
    inherited_listeners,
    notify,
    notify_reloading,
)
from handclasp.serving.visits import address_of

if TYPE_CHECKING:
    from handclasp import Credentials, Recorder, ReloadingEchKeys, ServerConfig
    from handclasp.certificates.reloading import ReloadingCredentials
    from handclasp.serving.server import Server, Talk

HANDSHAKE_SECONDS = 15.0

_RELOAD_SECONDS = SECONDS_BETWEEN_LOOKS + 0.1
"""Files that were checked just now are not checked again before that."""

EARLY_DATA_BYTES = 16384
"""The bytes of early data that a client may send: room for a request, and little more."""

_RECOGNISED = """\
Kept back under any name, too, are files in whose first MiB one of these is recognised, in ASCII
or UTF-16: a private key in PEM (also in Base64 or hexadecimal once more), the Base64 or the
hexadecimal digits of a private key or key store, a JSON Web Key with its private part, a line of
a key log, the secrets in a trace, page, capture or session file of this program; and files that
begin as a key or key store in DER, PKCS #12, Java's or PuTTY's format.
Keys in other forms are not recognised, such as in compressed archives.
"""


_ALONE = {
    "trace": "--trace records in one process: leave out --workers.",
    "early_data": (
        "--early-data needs one memory of what has come before, or the same request could be sent "
        "to each worker once: leave out --workers."
    ),
}


def check_workers(options: dict[str, Any]) -> None:
    """Refuse what several processes cannot honour. Raises `WrongArguments`."""
    if options["workers"] == 1:
        return
    check_fork()
    for name, sentence in _ALONE.items():
        if options[name]:
            raise WrongArguments(sentence)


def limit_options(command: Any) -> Any:
    """Add the options that bound what clients may cost."""
    defaults = Limits()
    seconds = NumberRange(0.1, 86_400)
    for option in reversed(
        (
            click.option(
                "--max-connections",
                default=MAX_CONNECTIONS,
                show_default=True,
                type=click.IntRange(1),
                help="Open connections of a process; above that, idle ones make room.",
            ),
            click.option(
                "--max-handshakes",
                default=MAX_HANDSHAKES,
                show_default=True,
                type=click.IntRange(1),
                help="Handshakes of a process at once; above that, clients wait in turn.",
            ),
            click.option(
                "--header-timeout",
                default=defaults.header_timeout,
                show_default=True,
                type=seconds,
                help="Seconds for the whole head of a request.",
            ),
            click.option(
                "--idle-timeout",
                default=defaults.idle_timeout,
                show_default=True,
                type=seconds,
                help="Seconds that a connection may be silent between requests.",
            ),
            click.option(
                "--grace",
                default=defaults.grace,
                show_default=True,
                type=NumberRange(0, 86_400),
                help="Seconds for answers that have begun, when the server ends.",
            ),
        )
    ):
        command = option(command)
    return command


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
@click.option(
    "--cert",
    multiple=True,
    metavar="FILE",
    help="Certificate chain (else the local authority's); may repeat, for several names.",
)
@click.option("--key", multiple=True, metavar="FILE", help="Private key for each --cert.")
@click.option(
    "--ocsp",
    metavar="FILE",
    help="OCSP response to staple to the first --cert, read again as it changes.",
)
@click.option(
    "--ech-key",
    multiple=True,
    metavar="FILE",
    help="Key for encrypted hellos (ECH), of `handclasp ech generate`; further ones are old keys, "
    "which clients may still use.",
)
@click.option("--client-ca", metavar="FILE", help="Ask clients for a certificate of these.")
@click.option("--require-client-cert", is_flag=True, help="Refuse clients without one.")
@click.option("--alpn", metavar="A,B", help="Application protocols, best first.")
@version_options
@click.option("--echo", is_flag=True, help="Send back what comes, instead of HTTP.")
@click.option(
    "--precompressed",
    is_flag=True,
    help="Send FILE.gz for FILE to clients that take gzip, if it is there and at least as new.",
)
@click.option(
    "--early-data",
    is_flag=True,
    help="Let clients that come back ask with the first flight (0-RTT, RFC 8470). Excludes "
    "--workers.",
)
@click.option(
    "--proxy-protocol",
    is_flag=True,
    help="Each connection begins with a PROXY header (version 1 or 2) of a load balancer. Only "
    "balancers must reach the port then: the header may name any client.",
)
@click.option(
    "--proxy-protocol-from",
    metavar="A,B",
    help="The same, and refuse connections from elsewhere than these addresses and networks.",
)
@click.option(
    "--metrics",
    metavar="PORT|FILE",
    help="Metrics for Prometheus: at http://127.0.0.1:PORT/metrics (or HOST:PORT), or in a FILE "
    "that ends in .prom, every ten seconds.",
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
@click.option(
    "--log-format",
    type=click.Choice(["text", "json", "clf"]),
    help="The form of the lines about connections and requests; clf is the Common Log Format, of "
    "requests alone.  [default: text]",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --log-format json.")
@click.option(
    "--fault",
    metavar="NAME",
    help="Misbehave in this way, to test clients, and tell how each takes it; list tells the "
    "names. Goes with --host, --port, --cert, --key, --echo and --json.",
)
@click.option(
    "--fault-files",
    metavar="DIR",
    help="With --fault: where to write the authority that clients have to trust (else a temporary "
    "directory).",
)
@limit_options
@redact_option
@click.option(
    "--verbose",
    "-v",
    count=True,
    help="Tell each handshake message by message; -vv: with the fields of each, every choice, key "
    "and cost; -vvv: the bytes, too.",
)
@click.pass_context
def command(context: click.Context, /, directory: str, **options: Any) -> None:
    """Serve the files of DIR (or of this directory) over HTTPS.

    Kept back are hidden files, files that only their owner may read, what links lead to outside of
    DIR, and what this server itself writes. Under a umask that makes every new file private (077),
    and on Windows, who may read a file makes no difference.

    Tells a line for each connection: what was agreed upon, or why the handshake failed; and a line
    for each request. Of many failures it tells some, and counts the others.

    The files of --cert, --key and --ech-key are read again when they change.

    Ctrl-C (or SIGTERM) ends it: it stops listening, and finishes the answers that have begun, for
    --grace seconds and as long as their clients go on reading (a client that takes nothing for 30
    seconds is cut off). A second one ends it at once. docs/operations.md tells how to run it as a
    service.
    """
    if options["fault"]:
        run_fault(context, options)
        return
    if options["fault_files"]:
        raise WrongArguments("--fault-files needs --fault NAME.")
    context.with_resource(_hangups_ignored())
    check_path(directory)
    if not options["echo"] and not os.path.isdir(directory):
        raise WrongArguments(f"There is no directory {directory}.")
    form, redaction = _form_of(options), _redaction(options)
    _check_options(options)
    _check_trace(directory, options)
    proxy_protocol = _proxy_protocol(options)
    journal = Journal(form, detail=options["verbose"])
    with collecting_warnings() as warnings:
        ech = followed_ech_keys(options["ech_key"], journal.ech_keys_not_reloaded)
        credentials = _credentials(options, journal, ech)
        config = _config(options, credentials, ech)
    journal.warnings = list(dict.fromkeys(warnings))  # Some files were loaded twice.
    context.with_resource(hearing_warnings(journal.warned))
    talk = _talk(directory, options, journal)
    watch = CertificateWatch(credentials, journal.certificate)
    listeners = _listeners(context, options)
    metrics = metered(options["metrics"], options["workers"], journal, watch.statuses())
    if metrics is not None:
        context.call_on_close(metrics.remove)
    # What is written comes last: a command line that is refused leaves all files as they were.
    config = _with_keylog(config, options["keylog"])
    make_trace = _record(context, options, journal, redaction)
    if metrics is not None:
        metrics.write()
    ech_watch, limits = EchKeyWatch(config, journal.ech_keys), _limits(options)
    service = _Service(
        config, talk, journal, watch, ech_watch, make_trace, limits, proxy_protocol, metrics
    )
    announce = partial(_announce, listeners[0], directory, options, service)
    raise_descriptor_limit()
    if options["workers"] > 1:
        _serve_in_processes(service, listeners[0], options["workers"], announce)
    else:
        service.serve(listeners, announce)


@contextmanager
def _hangups_ignored() -> Generator[None]:
    """Ignore SIGHUP until the server heeds it: it would end the process.

    Certificates that have changed until then are read anyway.
    """
    if not hasattr(signal, "SIGHUP") or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


@dataclass(frozen=True, slots=True)
class _Service:
    """Everything that a process needs to serve."""

    config: ServerConfig
    talk: Talk
    journal: Journal
    watch: CertificateWatch
    ech_watch: EchKeyWatch
    make_trace: Callable[[], Recorder]
    limits: Limits
    proxy_protocol: bool | list[str]
    metered: Metered | None

    def serve(
        self,
        listeners: list[socket.socket],
        announce: Callable[[], None],
        lifeline: int | None = None,
    ) -> None:
        """Serve in this process, until a signal."""
        from handclasp.serving.running import Hooks, run

        # The parent of a worker tells the service manager.
        line = StatusLine(self.status) if lifeline is None else None

        def ready() -> None:
            announce()
            if line is not None:
                line.tell("READY=1")

        hooks = Hooks(
            ready=ready,
            tick=partial(self._tick, line),
            reload=partial(self._reload, line),
            stopping=_nothing if line is None else partial(notify, "STOPPING=1"),
            waiting=self._tell_of_waiting,
        )
        shown = self.metered.exposition if self.metered and self.journal.speaks_for_all else None
        self.journal.start()
        if shown is not None:
            shown.start()
        try:
            run(partial(self._server, listeners), hooks, lifeline=lifeline)
        finally:
            self.journal.close()
            if shown is not None:
                shown.close()

    def _server(self, listeners: list[socket.socket]) -> Server:
        from handclasp.serving.server import Server

        return Server(
            listeners,
            self.config,
            self.talk,
            self.journal if self.metered is None else self.metered.meter,
            limits=self.limits,
            make_trace=self.make_trace,
            proxy_protocol=self.proxy_protocol,
        )

    def _tick(self, line: StatusLine | None) -> None:
        self.watch.look()
        if line is not None:
            line.look()
        self.ech_watch.look()
        self.journal.tick()
        if self.metered is not None:
            self.metered.meter.look(self.watch.statuses())

    def _reload(self, line: StatusLine | None) -> None:
        if line is not None:
            notify_reloading()
        asyncio.get_running_loop().call_later(_RELOAD_SECONDS, self._end_reload, line)

    def _end_reload(self, line: StatusLine | None) -> None:
        self.watch.look()
        self.ech_watch.look()
        if self.journal.speaks_for_all:
            for status in self.watch.statuses():
                self.journal.remarked(certificate_in_words(status))
        if line is not None:
            line.tell("READY=1")

    def status(self) -> str:
        """Return a sentence for the service manager."""
        ends = [(each.not_after, each.days_left) for each in self.watch.statuses()]
        if not ends:
            return "Serving."
        end, days = min(ends)
        verb = "is valid until" if days >= 0 else "expired on"
        return f"Serving, with a certificate that {verb} {end:%Y-%m-%d}."

    def _tell_of_waiting(self, count: int) -> None:
        what = "a connection" if count == 1 else f"{count} connections"
        self.journal.remarked(f"Finishing {what}; Ctrl-C again ends at once.")


def _nothing(*arguments: object) -> None:
    """Do nothing."""


def _serve_in_processes(
    service: _Service, first: socket.socket, count: int, announce: Callable[[], None]
) -> None:
    from handclasp.serving.supervisor import Supervisor, more_listeners

    listeners = [first, *more_listeners(first, count - 1)]

    def work(number: int, lifeline: int) -> None:
        own = listeners[number % len(listeners)]
        for each in listeners:
            if each is not own:
                each.close()
        service.journal.speaks_for_all = number == 0
        if service.metered is not None:
            service.metered.become(number)
        service.serve([own], _nothing, lifeline)

    def stop_listening() -> None:
        for each in listeners:
            each.close()

    journal = service.journal
    line = StatusLine(service.status)
    supervisor = Supervisor(
        count,
        work,
        stopping=stop_listening,
        remark=journal.remarked,
        failed=lambda error: journal.remarked(f"A worker has failed: {error!r}"),
        grace=service.limits.grace,
        status=line,
        reload_seconds=_RELOAD_SECONDS,
        ended=_nothing if service.metered is None else service.metered.forget,
    )

    def ready() -> None:
        announce()
        # This process follows the certificates, too, for the status; the first worker logs them.
        journal.speaks_for_all = False
        line.tell("READY=1")

    if not supervisor.run(ready):
        raise click.exceptions.Exit(FAILED)


def _form_of(options: dict[str, Any]) -> Form:
    form: Form = options["log_format"] or ("json" if options["as_json"] else "text")
    if options["as_json"] and form != "json":
        raise WrongArguments(f"--json and --log-format {form} exclude each other.")
    if options["echo"] and form == "clf":
        raise WrongArguments("--log-format clf is about requests, of which --echo has none.")
    return form


def _limits(options: dict[str, Any]) -> Limits:
    return Limits(
        max_connections=options["max_connections"],
        max_handshakes=options["max_handshakes"],
        header_timeout=options["header_timeout"],
        idle_timeout=options["idle_timeout"],
        grace=options["grace"],
    )


def _proxy_protocol(options: dict[str, Any]) -> bool | list[str]:
    """Return whether connections begin with a PROXY header, or whence those do that may come."""
    if options["proxy_protocol_from"] is None:
        return bool(options["proxy_protocol"])
    networks = names_of(options["proxy_protocol_from"])
    if not networks:  # It must not come to mean that anybody may.
        raise WrongArguments("--proxy-protocol-from needs an address or a network.")
    for each in networks:
        try:
            ip_network(each)
        except ValueError as error:
            raise WrongArguments(f"--proxy-protocol-from: {error}.") from None
    return list(networks)


def _listeners(context: click.Context, options: dict[str, Any]) -> list[socket.socket]:
    """Return the sockets that the service manager has passed, or one for --host and --port."""
    try:
        found = inherited_listeners()
    except OSError as error:
        raise WrongArguments(f"LISTEN_FDS: {error.strerror or error}.") from None
    if len(found) > 1 and options["workers"] > 1:
        raise WrongArguments("--workers share one socket, and several were passed.")
    listeners = found or [listen(options["host"], options["port"])]
    for each in listeners:
        context.call_on_close(each.close)
    return listeners


def _with_keylog(config: ServerConfig, path: str | None) -> ServerConfig:
    """Open the file of --keylog for a config."""
    if path is None:
        return config
    with collecting_warnings():  # The config has given them before.
        return replace(config, keylog=keylog_of(path))


def _record(
    context: click.Context,
    options: dict[str, Any],
    journal: Journal,
    redaction: Redaction | None,
) -> Callable[[], Recorder]:
    """Open the place of --trace, and return what makes the recorder of a connection."""
    from handclasp import Recorder

    path: str | None = options["trace"]
    if path is None:
        return brief_recorder
    try:
        if path.lower().endswith(CAPTURE_ENDING):
            capture = CaptureFile(Path(path))
            context.call_on_close(capture.close_and_tell)
            journal.record(capture=capture)
            return capturing_recorder
        Path(path).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise WrongArguments(f"--trace {path}: {error.strerror or error}.") from None
    journal.record(traces=Traces(Path(path), pages=options["pages"], redaction=redaction))
    return Recorder


def _talk(directory: str, options: dict[str, Any], journal: Journal) -> Talk:
    """Return the protocol that clients are answered in."""
    if options["echo"]:
        from handclasp.serving.echo import EchoProtocol

        return lambda serving: partial(EchoProtocol, serving)
    from handclasp.asgi import RefuseEarlyData
    from handclasp.serving.files import Files
    from handclasp.serving.http import HTTP
    from handclasp.serving.site import Site

    site = Site(directory, _private_files(options))
    compressed = options["precompressed"]
    files = Files(site, journal.kept_back, journal.shrunk, precompressed=compressed)
    return lambda serving: HTTP(RefuseEarlyData(files), serving)


def _private_files(options: dict[str, Any]) -> list[str]:
    """Return the files that are never sent, even if they are in the directory."""
    given = [options[name] for name in ("keylog", "trace") if options[name] is not None]
    return [*options["key"], *options["ech_key"], *given]


def _check_options(options: dict[str, Any]) -> None:
    """Refuse options that do not fit together. Raises `WrongArguments`."""
    check_workers(options)
    if options["require_client_cert"] and not options["client_ca"]:
        raise WrongArguments("--require-client-cert needs --client-ca: whose certificates count?")
    if options["early_data"] and options["tls12"] and not options["tls13"]:
        raise WrongArguments("--early-data needs TLS 1.3: leave out --tls12.")
    if options["ech_key"] and options["tls12"] and not options["tls13"]:
        raise WrongArguments("--ech-key needs TLS 1.3: leave out --tls12.")


def _config(
    options: dict[str, Any],
    credentials: Sequence[Credentials | ReloadingCredentials],
    ech: ReloadingEchKeys | None,
) -> ServerConfig:
    """Return the config, but for the key log, which is a file to be written."""
    from handclasp import ClientAuth, ServerConfig

    client_auth = ClientAuth.NONE
    if options["client_ca"]:
        required = options["require_client_cert"]
        client_auth = ClientAuth.REQUIRED if required else ClientAuth.OPTIONAL
    with versions_checked():
        return ServerConfig(
            credentials=credentials,
            client_auth=client_auth,
            trust=trust_of(options["client_ca"]) if options["client_ca"] else None,
            alpn=names_of(options["alpn"]) or (() if options["echo"] else ("http/1.1",)),
            handshake_timeout=HANDSHAKE_SECONDS,
            max_early_data=EARLY_DATA_BYTES if options["early_data"] else 0,
            groups=_groups(options),
            ech=ech if ech is not None else (),
            **version_settings(options),
        )


_GROUPS = ("X25519", "secp256r1", "secp384r1")
_HYBRID_GROUPS = ("X25519MLKEM768", "SecP256r1MLKEM768", "SecP384r1MLKEM1024")


def _groups(options: dict[str, Any]) -> tuple[str, ...]:
    """Return Mozilla's recommendation for servers, and hybrids, without X448 and secp521r1."""
    only12 = options["tls12"] and not options["tls13"]
    return _GROUPS if only12 else (_HYBRID_GROUPS[0], *_GROUPS, *_HYBRID_GROUPS[1:])


def _credentials(
    options: dict[str, Any], journal: Journal, ech: ReloadingEchKeys | None
) -> list[Credentials | ReloadingCredentials]:
    """Return the credentials, best first; RSA key transport requires an RSA key."""
    key_transport = options["allow_rsa_key_transport"]
    given = _given_credentials(options, journal)
    if given:
        if key_transport and not any(each.current.can_decrypt for each in given):
            raise WrongArguments(
                f"--allow-rsa-key-transport needs an RSA key that may decrypt, which "
                f"{' and '.join(options['key'])} is not: give another --cert and --key, or leave "
                "them out."
            )
        return [*given]
    if options["ocsp"]:
        raise WrongArguments("--ocsp needs --cert and --key: the response is about a certificate.")
    host = options["host"]
    wildcard = host in ("", "0.0.0.0", "::")  # noqa: S104 (compared, not bound)
    names = LOCAL_NAMES if wildcard or host in LOCAL_NAMES else (*LOCAL_NAMES, host)
    if ech is not None:
        # A client with an old configuration verifies the server for the public name.
        public = [config.public_name for key in ech.current for config in key.configs]
        names = tuple(dict.fromkeys((*names, *public)))
    with configuration_checked():
        authority = open_authority()
        credentials: list[Credentials | ReloadingCredentials] = [authority.credentials(names)]
        if key_transport:
            credentials.append(authority.credentials(names, key_type="rsa-2048"))
        return credentials


def _given_credentials(options: dict[str, Any], journal: Journal) -> list[ReloadingCredentials]:
    certificates: tuple[str, ...] = options["cert"]
    keys: tuple[str, ...] = options["key"]
    if len(certificates) != len(keys) and certificates and keys:
        raise WrongArguments(
            f"There are {len(certificates)} --cert and {len(keys)} --key: each certificate needs "
            "its own key, in the same order."
        )
    pairs = list(zip_longest(certificates, keys))
    staples: list[str | None] = [options["ocsp"], *[None] * len(pairs)]
    followed = (
        followed_credentials(certificate, key, staple, journal.not_reloaded)
        for (certificate, key), staple in zip(pairs, staples, strict=False)
    )
    return [each for each in followed if each is not None]


def _redaction(options: dict[str, Any]) -> Redaction | None:
    if options["redact"] and (options["trace"] or "").lower().endswith(CAPTURE_ENDING):
        raise WrongArguments("--redact: a capture is for Wireshark to open; trace into a DIR.")
    return redaction_of(options["redact"], Path(options["trace"]) if options["trace"] else None)


_FILE_ENDINGS = (".html", ".htm", ".json", ".pcap")
"""Endings that stand for a file with other commands, and here would be a directory's."""


def _check_trace(directory: str, options: dict[str, Any]) -> None:
    """Refuse a --trace that is no place for many handshakes. Raises `WrongArguments`."""
    trace: str | None = options["trace"]
    is_capture = trace is not None and trace.lower().endswith(CAPTURE_ENDING)
    if options["pages"] and (trace is None or is_capture):
        raise WrongArguments("--pages needs --trace DIR: where are they to go?")
    if trace is None:
        return
    check_path(trace)
    if is_capture:
        return
    is_there = os.path.isdir(trace)
    if trace.lower().endswith(_FILE_ENDINGS) and not is_there:
        raise WrongArguments(
            f"--trace {trace}: many handshakes do not fit into one such file; name a "
            "directory (with --pages for pages), or a file that ends in .pcapng."
        )
    if is_there and not options["echo"] and os.path.samefile(trace, directory):
        raise WrongArguments(f"--trace {trace}: this directory is served; name another one.")


def _path_of(listener: socket.socket) -> str:
    name: str | bytes = listener.getsockname()
    # An abstract name begins with a zero.
    return f"@{os.fsdecode(name[1:])}" if isinstance(name, bytes) else name


def _announce(
    listener: socket.socket, directory: str, options: dict[str, Any], service: _Service
) -> None:
    _, port = address_of(listener.getsockname())
    url = url_of(options["host"], port)
    if not port:
        url = f"the UNIX socket {_path_of(listener)}"
    if options["echo"]:
        where = f"{url.removeprefix('https://').removesuffix('/')} (TLS echo)"
    else:
        where = f"{url} with the files of {os.path.abspath(directory)}"
    say = service.journal.announce
    warn_of_key_transport(options)
    tell_warnings(service.journal.warnings)
    say(f"Listening on {where}")
    if service.config.trust is not None:
        warn_of_leaves(f"--client-ca {options['client_ca']}", service.config.trust)
    if options["cert"]:
        for status in service.watch.statuses():
            say(certificate_in_words(status))
    else:
        path = authority_directory() / "ca.pem"
        say(f"The certificate is from this machine's own authority, {path}")
        if port:
            say(trust_advice(path, port, https=not options["echo"]))
    for key in service.config.ech_keys:
        say(ech_key_in_words(key))
    if service.metered is not None:
        say(f"Metrics are at {service.metered.where}")
    say("Ctrl-C ends it.")
