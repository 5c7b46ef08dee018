"""Metrics for Prometheus: handshakes, their failures and their durations.

    metrics = Metrics()
    server = await aio.start_server(
        metrics.counting(serve), port=8443, config=config,
        on_handshake_error=metrics.handshake_failed,
    )
    prometheus_client.start_http_server(9464, addr="127.0.0.1")

It needs the extra `handclasp[metrics]`, which is Prometheus's own `prometheus_client`. Nothing is
counted without such an object. Its labels are values that this library has negotiated or names of
its faults, never words of a peer, so that a stranger cannot make time series.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

from handclasp.errors import PeerAlertError, TLSError
from handclasp.info import ConnectionInfo

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "prometheus_client":
        raise
    raise ImportError(
        "handclasp.metrics needs prometheus_client: pip install 'handclasp[metrics]'",
        name="prometheus_client",
    ) from None

__all__ = ["Metrics"]

Role = Literal["client", "server"]
StreamsCallback = Callable[[Any, Any], Awaitable[None]]
"""Takes a `StreamReader` and a `StreamWriter`, as `handclasp.aio.start_server` calls it."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_NONE = "none"
_NETWORK, _OTHER, _UNKNOWN_ALERT = "NETWORK", "OTHER", "PEER_UNKNOWN_ALERT"


class Metrics:
    """Counters of TLS connections, in a registry of `prometheus_client`.

    | name | labels |
    |---|---|
    | `handclasp_handshakes_total` | role, version, cipher_suite, group, resumed, early_data |
    | `handclasp_handshake_seconds`, a histogram | role, resumed |
    | `handclasp_handshake_failures_total` | role, fault |
    | `handclasp_connection_failures_total` | role, fault |

    `fault` is the error's `fault_name`: a member of `Fault`, or PEER_ and the name of the alert
    that the peer has sent (PEER_UNKNOWN_ALERT for those without a name). It is NETWORK for other
    errors of the network, and OTHER for the rest.

    >>> from handclasp.metrics import Metrics
    >>> import prometheus_client
    >>> registry = prometheus_client.CollectorRegistry()
    >>> metrics = Metrics(registry)
    >>> with handclasp.connect("example.com", 443) as tls:
    ...     metrics.handshake_completed(tls.info, 0.02, role="client")
    >>> labels = {"role": "client", "resumed": "false"}
    >>> registry.get_sample_value("handclasp_handshake_seconds_count", labels)
    1.0

    Args:
        registry: takes the metrics; by default that of `prometheus_client`.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._handshakes = Counter(
            "handclasp_handshakes",
            "Handshakes that were completed.",
            ("role", "version", "cipher_suite", "group", "resumed", "early_data"),
            registry=registry,
        )
        self._seconds = Histogram(
            "handclasp_handshake_seconds",
            "Seconds from the connection to the end of its handshake.",
            ("role", "resumed"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._handshake_failures = Counter(
            "handclasp_handshake_failures",
            "Handshakes that failed.",
            ("role", "fault"),
            registry=registry,
        )
        self._connection_failures = Counter(
            "handclasp_connection_failures",
            "Connections that failed after their handshake.",
            ("role", "fault"),
            registry=registry,
        )

    def handshake_completed(
        self, info: ConnectionInfo, seconds: float | None = None, *, role: Role = "server"
    ) -> None:
        """Count a handshake.

        Args:
            info: of the connection.
            seconds: its duration, if that is known; of a transport of `handclasp.aio`,
                `get_extra_info("handshake_seconds")`.
            role: of this side.
        """
        resumed = "true" if info.resumed else "false"
        self._handshakes.labels(
            role,
            info.version,
            info.cipher_suite,
            info.group or _NONE,
            resumed,
            info.early_data_status,
        ).inc()
        if seconds is not None:
            self._seconds.labels(role, resumed).observe(seconds)

    def handshake_failed(
        self, error: BaseException, transport: object = None, *, role: Role = "server"
    ) -> None:
        """Count a handshake that failed; it can be the `on_handshake_error` of a server.

        Args:
            error: what has failed.
            transport: is not used.
            role: of this side.
        """
        del transport
        self._handshake_failures.labels(role, _fault_of(error)).inc()

    def connection_failed(self, error: BaseException, *, role: Role = "server") -> None:
        """Count a connection that failed after its handshake."""
        self._connection_failures.labels(role, _fault_of(error)).inc()

    def counting(self, serve: StreamsCallback) -> StreamsCallback:
        """Return the callback of a server of `handclasp.aio` that counts its connections first.

        An error of TLS that leaves `serve` is counted, too, and raised again.

        >>> from handclasp.metrics import Metrics
        >>> import prometheus_client
        >>> metrics = Metrics(prometheus_client.CollectorRegistry())
        >>> async def greet(reader, writer):
        ...     writer.write(b"hello")
        ...     writer.close()
        >>> async def main():
        ...     config = ServerConfig(credentials=Credentials.load("chain.pem", "key.pem"))
        ...     server = await aio.start_server(
        ...         metrics.counting(greet), "localhost", 0, config=config,
        ...         on_handshake_error=metrics.handshake_failed,
        ...     )
        ...     server.close()
        >>> asyncio.run(main())
        """

        async def counted(reader: Any, writer: Any) -> None:
            info = writer.get_extra_info("handclasp")
            self.handshake_completed(info, writer.get_extra_info("handshake_seconds"))
            try:
                await serve(reader, writer)
            except TLSError as error:
                self.connection_failed(error)
                raise

        return counted


def _fault_of(error: BaseException) -> str:
    if isinstance(error, PeerAlertError):
        # A number without a name is the peer's choice.
        return _UNKNOWN_ALERT if error.alert.startswith("alert ") else error.fault_name
    if isinstance(error, TLSError):
        return error.fault_name
    return _NETWORK if isinstance(error, OSError) else _OTHER
