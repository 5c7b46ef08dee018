"""The metrics of a server: an observer that counts what it hears, and passes it on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    multiprocess,
    values,
)

from handclasp.metrics import Metrics
from handclasp.serving.renewal import CertificateStatus
from handclasp.serving.visits import Observer, Request, Visit

_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE"})
_OTHER, _NONE = "other", "none"


class Processes:
    """The numbers of processes that share a port, in files of a directory.

    A worker that replaces another one continues its files: their number does not grow.

    Args:
        directory: of the files. It is also in the environment as PROMETHEUS_MULTIPROC_DIR since
            before prometheus_client was imported.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._own = 0
        untyped: Any = values
        untyped.ValueClass = untyped.MultiProcessValue(lambda: self._own)

    def become(self, worker: int) -> None:
        """Count as this worker from now on, in a process that has just been forked."""
        self._own = worker + 1

    def forget(self, worker: int) -> None:
        """Leave the gauges of a worker out that has ended; what it has counted stays."""
        untyped: Any = multiprocess
        untyped.mark_process_dead(worker + 1, self._directory)

    def registry(self) -> CollectorRegistry:
        """Return a registry to read the numbers of all processes from."""
        reading = CollectorRegistry()
        untyped: Any = multiprocess
        untyped.MultiProcessCollector(reading, path=self._directory)
        return reading


def process_registry() -> CollectorRegistry:
    """Return a registry with the numbers of this process, such as its memory."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


class Meter:
    """Counts connections and requests. It is an `Observer`.

    Args:
        observer: hears of everything, too.
        registry: takes the metrics.
        statuses: of the certificates.
    """

    def __init__(
        self,
        observer: Observer,
        registry: CollectorRegistry,
        statuses: Sequence[CertificateStatus],
    ) -> None:
        self._observer = observer
        self._tls = Metrics(registry)
        self._open = Gauge(
            "handclasp_connections",
            "Open connections, after their handshake.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._requests = Counter(
            "handclasp_requests",
            "Requests over HTTP, by the status of the answer; 0: the client left before it.",
            ("method", "status"),
            registry=registry,
        )
        self._bytes = Counter(
            "handclasp_response_bytes", "Bytes of the answers' bodies.", registry=registry
        )
        self._seconds = Histogram(
            "handclasp_request_seconds",
            "Seconds from the head of a request to the end of its answer.",
            registry=registry,
        )
        # 0 would mean that it expires now: so the value is set before anybody can read it, and the
        # 0 of a worker that has just started does not count, since it was never set.
        self._certificates = Gauge(
            "handclasp_certificate_seconds_left",
            "Seconds until the certificate that ends first has expired.",
            registry=registry,
            multiprocess_mode="livemostrecent",
        )
        self.look(statuses)

    def look(self, statuses: Sequence[CertificateStatus]) -> None:
        """Note until when the certificates are valid."""
        if statuses:
            end = min(each.not_after.timestamp() for each in statuses)
            self._certificates.set(end - time.time())

    def connected(self, visit: Visit) -> None:
        """Count a complete handshake."""
        if visit.info is not None:
            self._tls.handshake_completed(visit.info, visit.seconds)
        self._open.inc()
        self._observer.connected(visit)

    def failed(self, visit: Visit) -> None:
        """Count a failure."""
        if visit.error is not None:
            if visit.info is None:
                self._tls.handshake_failed(visit.error)
            else:
                self._tls.connection_failed(visit.error)
        if visit.info is not None:
            self._open.dec()
        self._observer.failed(visit)

    def ended(self, visit: Visit) -> None:
        """Count the end of a connection."""
        self._open.dec()
        self._observer.ended(visit)

    def answered(self, request: Request) -> None:
        """Count a request."""
        method = request.method or _NONE
        self._requests.labels(
            method if method in _METHODS or method == _NONE else _OTHER, str(request.status)
        ).inc()
        self._bytes.inc(request.size)
        self._seconds.observe(request.seconds)
        self._observer.answered(request)

    def remarked(self, text: str) -> None:
        """Pass a remark on."""
        self._observer.remarked(text)
