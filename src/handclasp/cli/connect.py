"""`handclasp connect`: connect to a TLS server, tell how it went, and talk."""

from __future__ import annotations

import json
import socket
import textwrap
import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from handclasp.cli.captures import CAPTURE_ENDING, brief_recorder, capturing_recorder
from handclasp.cli.ech import ech_lookup_of, ech_options, ech_settings
from handclasp.cli.explained import explanation_json, explanation_text
from handclasp.cli.inputs import (
    NumberRange,
    credentials_of,
    group_names,
    host_and_port,
    keylog_of,
    names_of,
    one_address,
    read_file,
    save_trace,
    trace_file,
    trust_of,
    unescaped,
)
from handclasp.cli.narrative import tell_story, verbose_option
from handclasp.cli.outcome import (
    FAILED,
    Failure,
    WrongArguments,
    configuration_checked,
    failure_of,
)
from handclasp.cli.pages import PAGE_ENDING
from handclasp.cli.policy import policy_of, policy_options, refuse_policy_options
from handclasp.cli.proxies import proxy_of
from handclasp.cli.redaction import Redaction, redact_option, redaction_of
from handclasp.cli.sessions import (
    await_tickets,
    early_data_of,
    session_options,
    session_settings,
    tell_undelivered,
)
from handclasp.cli.versions import (
    version_options,
    version_settings,
    versions_checked,
    warn_of_key_transport,
)
from handclasp.cli.warned import Warned, collecting_warnings, tell_warnings
from handclasp.ech import EchRejectedError
from handclasp.errors import CertificateError
from handclasp.faults import advice
from handclasp.info import ConnectionInfo
from handclasp.starttls import PROTOCOLS, opening
from handclasp.starttls.blocking import hold

if TYPE_CHECKING:
    from handclasp import ClientConfig, EchConfigList, Recorder, TLSSocket, TrustStore
    from handclasp.certificates import Explanation
    from handclasp.cli.conversation import Received
    from handclasp.dns import HttpsEndpoint
    from handclasp.starttls.proxy import Proxy

HTTPS_PORT = 443
CONNECT_TIMEOUT = 15.0
"""Seconds to wait for one address of the host, and for the handshake, unless --timeout says."""


@dataclass(slots=True)
class _Attempt:
    """The settings of one run, and its results."""

    host: str
    port: int
    server_name: str
    config: ClientConfig
    trust: TrustStore | None
    explains: bool = False
    early_data: bytes | None = None
    early_data_rejected: int = 0
    recorder: Recorder | None = None
    redaction: Redaction | None = None
    detail: int = 0
    refused: CertificateError | None = None
    address: str = ""
    found: list[Any] = field(default_factory=list[Any])
    timings: dict[str, int] = field(default_factory=dict[str, int])
    timeout: float = CONNECT_TIMEOUT
    shows_certificates: bool = False
    warnings: Sequence[Warned] = ()
    starttls: str | None = None
    proxy: Proxy | None = None
    make_recorder: Callable[[], Recorder | None] | None = None
    quiet: bool = False
    ech_retried: bool = False
    retry_configs: EchConfigList | None = None
    look_up: Callable[[], HttpsEndpoint] | None = None
    endpoint: HttpsEndpoint | None = None
    keeps_host: bool = False

    @property
    def target(self) -> tuple[str, int]:
        """The host and port to connect to, which an HTTPS record may have named."""
        if self.endpoint is None or self.keeps_host:
            return self.host, self.port
        return self.endpoint.host, self.endpoint.port


@click.command("connect")
@click.argument("addresses", metavar="HOST[:PORT]", nargs=-1, required=True)
@click.option("--ca", metavar="FILE", help="Trust the authorities in FILE instead of the system's.")
@click.option("--insecure", is_flag=True, help="Accept any certificate. The peer may be anybody.")
@click.option("--server-name", metavar="NAME", help="The name to ask and verify for, if not HOST.")
@policy_options
@click.option(
    "--raw-public-key",
    multiple=True,
    metavar="FILE",
    help="Trust a server with this key, without any certificate (may repeat).",
)
@click.option(
    "--explain", is_flag=True, help="Print every rule of the decision on the certificate."
)
@click.option(
    "--showcerts",
    is_flag=True,
    help="Print the certificates that the server sends, in PEM, as they came.",
)
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=NumberRange(0, 86_400, min_open=True),
    default=CONNECT_TIMEOUT,
    show_default=True,
    help="How long to wait for an address of HOST, and then for the handshake.",
)
@click.option(
    "--starttls",
    type=click.Choice(list(PROTOCOLS)),
    help="Begin in the clear, and turn to TLS as this protocol does; HOST's port is its usual one.",
)
@click.option("--proxy", metavar="URL", help="Connect by this HTTP proxy (CONNECT).")
@click.option("--alpn", metavar="A,B", help="Application protocols to offer, best first.")
@version_options
@click.option("--suite", multiple=True, metavar="SUITE", help="Offer only this (may repeat).")
@click.option(
    "--group",
    multiple=True,
    metavar="GROUP",
    help="Offer only this group (may repeat); the first with a share.",
)
@click.option("--cert", metavar="FILE", help="Certificate chain to show if the server asks.")
@click.option("--key", metavar="FILE", help="Private key for --cert.")
@ech_options
@session_options
@click.option("--keylog", metavar="FILE", help="Append secrets for Wireshark. Gives all away.")
@click.option(
    "--trace",
    metavar="FILE",
    help="Record into FILE: .json the handshake; .html a page to look at it; .pcapng a capture "
    "that holds the secrets, too, so that Wireshark opens it decrypted. Gives all away.",
)
@click.option(
    "--record-secrets",
    is_flag=True,
    help="Keep the secrets in a .json or .html trace, too. Gives all away.",
)
@redact_option
@click.option(
    "--send",
    metavar="TEXT",
    help=r"Send TEXT, then read until the peer closes. \r \n \t \\ and \xHH are understood.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and do not talk.")
@click.option(
    "--quiet",
    "-q",
    is_flag=True,
    help="Tell nothing unless it fails, or the server asked in vain for a client certificate.",
)
@verbose_option
def command(addresses: tuple[str, ...], **options: Any) -> None:
    """Connect to a TLS server, tell how it went, and talk.

    Standard input goes to the server, and what it answers to standard output, byte for byte; the
    end of the input closes this side's half. Messages go to standard error.
    """
    trace = trace_file(options["trace"]) if options["trace"] else None
    with collecting_warnings() as warnings:
        attempt = _attempt(one_address(addresses), options)
    attempt.warnings = warnings
    attempt.detail = options["verbose"]
    attempt.timeout = options["timeout"]
    attempt.shows_certificates = options["showcerts"]
    attempt.starttls = options["starttls"]
    attempt.proxy = proxy_of(options["proxy"])
    attempt.redaction = redaction_of(options["redact"], trace)
    attempt.recorder = _recorder(options)
    attempt.make_recorder = partial(_recorder, options)
    attempt.quiet = options["quiet"] or options["as_json"]
    send = unescaped(options["send"]) if options["send"] is not None else None
    _open_keylog(attempt, options["keylog"])  # Last: arguments that are refused make no file.
    if not options["quiet"]:
        warn_of_key_transport(options)
        tell_warnings(warnings)
    try:
        failed = _run(attempt, send, as_json=options["as_json"])
    finally:
        if trace is not None:
            _save_trace(attempt, attempt.recorder, trace)
    if failed:
        raise click.exceptions.Exit(FAILED)


def _attempt(address: str, options: dict[str, Any]) -> _Attempt:
    from handclasp import ClientConfig
    from handclasp.client import check_server_name

    usual = PROTOCOLS[options["starttls"]].port if options["starttls"] else HTTPS_PORT
    host, port = host_and_port(address, usual)
    trust = _trust(options)
    settings = version_settings(options) | session_settings(options)
    if options["suite"]:
        settings["cipher_suites"] = options["suite"]
    if options["group"]:
        settings["groups"] = group_names(options["group"])
    settings |= ech_settings(options)
    with versions_checked():
        config = ClientConfig(
            trust=trust,
            verify_peer=not options["insecure"],
            policy=policy_of(options),
            raw_public_keys=[read_file(path) for path in options["raw_public_key"]],
            alpn=names_of(options["alpn"]),
            credentials=credentials_of(options["cert"], options["key"]),
            handshake_timeout=options["timeout"],
            **settings,
        )
        if options["group"] and "TLSv1.3" in config.versions:
            # Only TLS 1.3 has shares in its hello, and the suites may have left it out.
            config = replace(config, key_shares=config.groups[:1])
        server_name = options["server_name"] or host
        # A name that cannot be one is better told before anything is sent, or a session used up.
        check_server_name(config, server_name)
    early_data = early_data_of(options)
    attempt = _Attempt(host, port, server_name, config, trust, options["explain"], early_data)
    attempt.look_up = ech_lookup_of(options, server_name, port, config)
    attempt.keeps_host = options["server_name"] is not None
    return attempt


def _open_keylog(attempt: _Attempt, path: str | None) -> None:
    """Open the file of --keylog; raise `WrongArguments`."""
    if path is not None:
        with collecting_warnings():  # The config has given them before.
            attempt.config = replace(attempt.config, keylog=keylog_of(path))


def _trust(options: dict[str, Any]) -> TrustStore | None:
    if options["insecure"]:
        for other in ("ca", "raw_public_key", "explain"):
            if options[other]:
                name = other.replace("_", "-")
                raise WrongArguments(f"--{name} and --insecure exclude each other.")
        refuse_policy_options(options, "--insecure")
        return None
    if options["raw_public_key"] and not options["ca"]:
        return None  # A key was given, so no certificate will do.
    return trust_of(options["ca"])


def _recorder(options: dict[str, Any]) -> Recorder:
    """Return a recorder for --trace, or one of the handshake alone, for the messages."""
    from handclasp import Recorder

    secrets = options["record_secrets"]
    if secrets and (options["redact"] or not options["trace"]):
        other = "and --redact exclude each other" if options["redact"] else "needs --trace"
        raise WrongArguments(f"--record-secrets {other}.")
    if options["trace"]:
        is_capture = options["trace"].lower().endswith(CAPTURE_ENDING)
        return capturing_recorder() if is_capture else Recorder(secrets)
    return brief_recorder()


def _save_trace(attempt: _Attempt, recorder: Recorder, path: Path) -> None:
    from handclasp.story.facts import facts_of, nothing_sent

    explanation: Explanation | None = None
    if path.suffix.lower() == PAGE_ENDING:
        explanation = _explanation(attempt, facts_of(recorder.events).info)
    title = f"{'No' if nothing_sent(recorder.events) else 'A'} handshake with {attempt.host}"
    if attempt.redaction is not None:
        recorder = attempt.redaction.of(recorder)
        if attempt.redaction.names:
            title, explanation = title.partition(" with ")[0], None
    save_trace(recorder, path, title, explanation)


def _run(attempt: _Attempt, send: bytes | None, *, as_json: bool) -> bool:
    """Run the attempt; return whether it failed."""
    from handclasp.cli.conversation import OutputClosed, converse, send_and_read

    info: ConnectionInfo | None = None
    received: Received | None = None
    failure: Failure | None = None
    try:
        with _connected_with_ech(attempt) as tls:
            info = tls.info
            if not attempt.quiet:
                _tell(attempt, info)
                if attempt.explains and (explanation := _explanation(attempt, info)):
                    click.echo("\n" + explanation_text(explanation) + "\n", err=True)
            elif not as_json and _was_asked_in_vain(attempt):
                click.echo(f"Client certificate: {_ASKED_IN_VAIN}.", err=True)
            if attempt.shows_certificates and not as_json:
                click.echo("\n".join(_shown_pem(attempt, info)), err=True)
            if attempt.early_data is not None:
                attempt.early_data_rejected = len(tls.early_data_rejected)
                tell_undelivered(tls, attempt.early_data)
            try:
                if send is not None:
                    received = send_and_read(tls, send, keep=as_json)
                elif not as_json:
                    converse(tls)
                elif attempt.config.sessions is not None:
                    await_tickets(tls)
            except (KeyboardInterrupt, OutputClosed):
                pass  # The user has seen enough; the peer hears so by close_notify.
    except OSError as error:
        events = attempt.recorder.events if attempt.recorder is not None else ()
        failure = failure_of(error, attempt.host, attempt.port, events)
        attempt.refused = error if isinstance(error, CertificateError) else None
    explanation = _explanation(attempt, info) if attempt.explains else None
    if as_json:
        _print_json(attempt, info, received, failure, explanation)
    elif failure is not None:
        _tell_failure(attempt, failure, info)
        if attempt.shows_certificates and info is None:
            click.echo("\n".join(_shown_pem(attempt, info)), err=True)
        if explanation is not None:
            click.echo("\n" + explanation_text(explanation), err=True)
    return failure is not None


def _explanation(attempt: _Attempt, info: ConnectionInfo | None) -> Explanation | None:
    """Return why the server's certificate is trusted or not; None without a certificate."""
    from handclasp.certificates import explain

    shown: ConnectionInfo | CertificateError | None = info or attempt.refused
    if shown is None or attempt.trust is None:
        return None
    chain = shown.peer_chain_der if isinstance(shown, ConnectionInfo) else shown.chain_der
    if not chain or (isinstance(shown, ConnectionInfo) and not shown.peer_chain):
        return None
    public_name = "" if isinstance(shown, ConnectionInfo) else shown.public_name
    try:
        explanation = explain(
            chain,
            public_name or attempt.server_name,
            attempt.trust,
            datetime.now(UTC),
            policy=attempt.config.policy,
            ocsp_response=shown.ocsp_response,
            sct_list=shown.sct_list,
        )
    except CertificateError:
        return None  # It cannot be read at all, which the failure tells.
    # The name was not chosen by the user, and the failure says what to do about it.
    return replace(explanation, advised=None) if public_name else explanation


def _shown_pem(attempt: _Attempt, info: ConnectionInfo | None) -> list[str]:
    """Return the server's certificates or raw public key in PEM, even if they were refused."""
    refused = attempt.refused.chain_der if attempt.refused is not None else ()
    chain = info.peer_chain_der if info is not None else refused
    is_key = info is not None and info.peer_certificate_type == "RawPublicKey"
    return [_pem("PUBLIC KEY" if is_key else "CERTIFICATE", der) for der in chain]


def _pem(label: str, der: bytes) -> str:
    lines = textwrap.wrap(b64encode(der).decode(), 64)
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----"])


def _connected_with_ech(attempt: _Attempt) -> TLSSocket:
    """Connect, and once more if the server sends its current ECH configurations (RFC 9849 6.1.6).

    Never without ECH: what it hides would be in the clear. Raises `OSError`.
    """
    if attempt.look_up is not None:
        began = time.perf_counter_ns()
        attempt.endpoint = attempt.look_up()
        attempt.timings["https_record"] = (time.perf_counter_ns() - began) // 1000
        attempt.config = replace(attempt.config, ech=attempt.endpoint.configs)
    try:
        return _connected(attempt)
    except EchRejectedError as error:
        attempt.retry_configs = configs = error.retry_configs
        if configs is None or attempt.make_recorder is None:
            raise
        attempt.config = replace(attempt.config, ech=configs)
    if not attempt.quiet:
        click.echo(
            "The server did not accept the encrypted hello, and sent its current ECH "
            "configurations: connecting once more, with these.\n"
            f"{_ech_option(configs)}",
            err=True,
        )
    attempt.ech_retried, attempt.recorder = True, attempt.make_recorder()
    try:
        return _connected(attempt)
    except EchRejectedError as error:
        attempt.retry_configs = error.retry_configs
        # RFC 9849 section 6.1.6: not a third time.
        error.fix = _SERVERS_DIFFER if error.retry_configs is not None else error.fix
        raise


def _ech_option(configs: EchConfigList) -> str:
    """Return the option for these configurations in one line, however long, to be copied."""
    return f"  --ech {configs.to_base64()}"


_SERVERS_DIFFER = advice(
    "Give all machines that answer for this name the same ECH keys: one of them refused the "
    "configuration that another one sent.",
    "",
)


def _connected(attempt: _Attempt) -> TLSSocket:
    """Name, address, TCP and TLS, each with the time that it took. Raises `OSError`."""
    import handclasp

    if attempt.trust is not None:
        attempt.trust.prepare()  # What is measured is the handshake, and not the loading of code.
    sock = _reached(attempt)
    reached = time.perf_counter_ns()
    try:
        with configuration_checked():
            tls = handclasp.wrap_client(
                sock,
                attempt.config,
                server_name=attempt.server_name,
                port=attempt.port,
                trace=attempt.recorder,
                early_data=attempt.early_data,
            )
    except BaseException:
        sock.close()
        raise
    attempt.timings["handshake"] = (time.perf_counter_ns() - reached) // 1000
    return tls


def _reached(attempt: _Attempt) -> socket.socket:
    """Connect to the server, or to the proxy, and come to the first byte of TLS."""
    proxy = attempt.proxy
    host, port = (proxy.host, proxy.port) if proxy is not None else attempt.target
    began = time.perf_counter_ns()
    try:
        # RFC 9849 section 6.1.6: the retry goes to what the first query found, as a new one may
        # find another server.
        attempt.found = attempt.found or _addresses(attempt, host, port)
    except UnicodeError:
        raise WrongArguments(f"{host!r} is not a host name.") from None
    named = time.perf_counter_ns()
    attempt.timings["dns"] = (named - began) // 1000
    sock = _first_that_answers(attempt.found, attempt.timeout)
    attempt.address = str(sock.getpeername()[0])
    reached = time.perf_counter_ns()
    attempt.timings["tcp"] = (reached - named) // 1000
    if proxy is None and attempt.starttls is None:
        return sock
    try:
        said = opening(attempt.starttls, *attempt.target, proxy=proxy)
        hold(sock, said, attempt.timeout)
    except BaseException:
        sock.close()
        raise
    attempt.timings["before_tls"] = (time.perf_counter_ns() - reached) // 1000
    return sock


def _addresses(attempt: _Attempt, host: str, port: int) -> list[Any]:
    """Return what `socket.getaddrinfo` says of a host, or of the addresses that came over HTTPS.

    The system's resolver, which may ask in the clear, must not hear of the name then.
    """
    known = attempt.endpoint.addresses if attempt.endpoint is not None else ()
    if not known:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    kind, flags = socket.SOCK_STREAM, socket.AI_NUMERICHOST
    return [
        found
        for address in known
        for found in socket.getaddrinfo(address, port, type=kind, flags=flags)
    ]


def _first_that_answers(found: list[Any], timeout: float) -> socket.socket:
    failure: OSError | None = None
    for family, kind, protocol, _, address in found:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(timeout)
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            failure = failure or error
            continue
        except BaseException:
            sock.close()
            raise
        sock.settimeout(None)
        return sock
    raise failure or OSError("the name has no address")


def _tell(attempt: _Attempt, info: ConnectionInfo) -> None:
    from handclasp.cli.identity import printable
    from handclasp.cli.report import MOST_OF_A_MESSAGE, connection_lines, peer_lines, print_lines

    if attempt.recorder is not None:
        tell_story(attempt.recorder.events, attempt.detail)
    took = ", ".join(
        f"{name.replace('_', ' ')} {value / 1000:.1f} ms" for name, value in attempt.timings.items()
    )
    lines = [
        *connection_lines(info),
        *peer_lines(info, attempt.trust, attempt.server_name),
    ]
    if _was_asked_in_vain(attempt):
        lines.append(("client cert", _ASKED_IN_VAIN))
    if attempt.endpoint is not None:
        shown = printable(
            f"{attempt.endpoint.host} port {attempt.endpoint.port}", MOST_OF_A_MESSAGE
        )
        lines.append(("HTTPS record", f"{shown}, with an ECH configuration"))
    lines.append(("time", took))
    where = f"{attempt.address} port {attempt.port}"
    if attempt.proxy is not None:
        where = f"port {attempt.port}, by the proxy {attempt.address} port {attempt.proxy.port}"
    print_lines(f"Connected to {attempt.host}, {where}", lines)


_ASKED_IN_VAIN = "the server asked for one; none was given (--cert, --key)"


def _was_asked_in_vain(attempt: _Attempt) -> bool:
    """Return whether the server asked for a certificate, and there was none to show."""
    return _was_asked(attempt) and not attempt.config.credential_list


def _was_asked(attempt: _Attempt) -> bool:
    from handclasp.story.facts import certificate_was_requested

    return attempt.recorder is not None and certificate_was_requested(attempt.recorder.events)


def _tell_failure(attempt: _Attempt, failure: Failure, info: ConnectionInfo | None) -> None:
    from handclasp.cli.identity import printable
    from handclasp.cli.report import MOST_OF_A_MESSAGE, failure_lines, print_lines

    if attempt.recorder is not None and info is None and not attempt.quiet:
        tell_story(attempt.recorder.events, attempt.detail)
    what = "The connection broke" if info is not None else "No connection"
    lines = failure_lines(failure)
    if attempt.refused is not None:
        from handclasp.cli.chains import findings_of, mended_chain

        mended = mended_chain(attempt.refused.chain_der, attempt.trust)
        found = findings_of(mended, verifier="this end (the client)")
        lines += [("chain", sentence) for sentence in found]
    print_lines(f"{what}: {printable(failure.message, MOST_OF_A_MESSAGE)}", lines)
    configs = attempt.retry_configs
    # Those of the first rejection are in use, and were printed then.
    if configs is not None and configs != attempt.config.ech:
        click.echo(f"\nThe server's current configurations:\n{_ech_option(configs)}", err=True)


def _print_json(
    attempt: _Attempt,
    info: ConnectionInfo | None,
    received: Received | None,
    failure: Failure | None,
    explanation: Explanation | None,
) -> None:
    from handclasp.cli.report import info_to_json

    shown: dict[str, Any] = {"ok": failure is None, "host": attempt.host, "port": attempt.port}
    if info is not None:
        shown |= info_to_json(info)
        shown["client_certificate_requested"] = _was_asked(attempt)
        if attempt.endpoint is not None:
            host, port = attempt.endpoint.host, attempt.endpoint.port
            shown["https_record"] = {"host": host, "port": port}
        if attempt.early_data is not None:
            shown["early_data_rejected_bytes"] = attempt.early_data_rejected
    if attempt.config.ech is not None:
        shown["ech_retried"] = attempt.ech_retried
    if attempt.retry_configs is not None:
        shown["ech_retry_configs"] = attempt.retry_configs.to_base64()
    if received is not None:
        shown["received_bytes"] = received.size
        shown["received"] = received.kept.decode("utf-8", "backslashreplace")
    if failure is not None:
        shown["error"] = failure.to_json()
    if attempt.shows_certificates:
        shown["peer_chain_pem"] = _shown_pem(attempt, info)
    if explanation is not None:
        shown["explanation"] = explanation_json(explanation)
    if attempt.warnings:
        shown["warnings"] = [each.to_json() for each in attempt.warnings]
    shown["timings_us"] = attempt.timings
    print(json.dumps(shown, indent=2))
