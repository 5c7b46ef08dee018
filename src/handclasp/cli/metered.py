"""The option --metrics of `handclasp serve`: metrics for Prometheus, at a port or in a file."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handclasp.cli.inputs import check_path
from handclasp.cli.journal import Journal
from handclasp.cli.listening import listen
from handclasp.cli.outcome import WrongArguments
from handclasp.serving.visits import address_of

if TYPE_CHECKING:
    from handclasp.serving.exposition import Exposition
    from handclasp.serving.metering import Meter, Processes
    from handclasp.serving.renewal import CertificateStatus

_HOST = "127.0.0.1"
_ENDING = ".prom"
_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
"""The variable in which prometheus_client looks for the directory that processes share."""


@dataclass(frozen=True, slots=True)
class Metered:
    """The metrics of a server.

    Attributes:
        meter: counts.
        exposition: shows the counts.
        where: a URL or a path.
        processes: the numbers of several processes.
        directory: where these are; removed at the end.
    """

    meter: Meter
    exposition: Exposition
    where: str
    processes: Processes | None
    directory: str | None

    def become(self, worker: int) -> None:
        """Count as this worker, in a process that has just been forked."""
        if self.processes is not None:
            self.processes.become(worker)

    def forget(self, worker: int) -> None:
        """Leave the gauges of a worker out that has ended; what it has counted stays."""
        if self.processes is not None:
            self.processes.forget(worker)

    def write(self) -> None:
        """Write the file for the first time, if there is one. Raises `WrongArguments`."""
        try:
            self.exposition.write()
        except OSError as error:
            raise WrongArguments(f"--metrics {self.where}: {error.strerror or error}.") from None

    def remove(self) -> None:
        """Remove what lies on the disk for the time of the server."""
        if self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)


def metered(
    target: str | None, workers: int, journal: Journal, statuses: Sequence[CertificateStatus]
) -> Metered | None:
    """Return the metrics for a port, HOST:PORT or a file; None: nobody asks for any.

    Args:
        target: the place.
        workers: the number of processes.
        journal: hears of everything, too.
        statuses: of the certificates.

    Raises:
        WrongArguments: they cannot be at that place.
    """
    if target is None:
        return None
    directory = None
    if workers > 1:  # Before the package is imported.
        directory = os.environ[_DIRECTORY] = tempfile.mkdtemp(prefix="handclasp-metrics-")
    try:
        from handclasp.serving.exposition import Endpoint, TextFile
        from handclasp.serving.metering import Meter, Processes, process_registry

        processes = None if directory is None else Processes(directory)
        taking = process_registry()
        reading = taking if processes is None else processes.registry()
        meter = Meter(journal, taking, statuses)
        if target.lower().endswith(_ENDING):
            check_path(target)
            file = TextFile(target, reading)
            return Metered(meter, file, target, processes, directory)
        host, _, port = target.rpartition(":")
        if not port.isdecimal() or not port.isascii() or int(port) > 65535:
            raise WrongArguments(
                f"--metrics {target}: give a port, HOST:PORT, or a file whose name ends in "
                f"{_ENDING}, as the textfile collector of node_exporter wants it."
            )
        listener = listen(host.removeprefix("[").removesuffix("]") or _HOST, int(port), "--metrics")
        host, number = address_of(listener.getsockname())
        where = (
            f"http://[{host}]:{number}/metrics"
            if ":" in host
            else f"http://{host}:{number}/metrics"
        )
        return Metered(meter, Endpoint(listener, reading), where, processes, directory)
    except BaseException as error:
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)
        if isinstance(error, ImportError) and error.name == "prometheus_client":
            raise WrongArguments(
                "--metrics needs prometheus_client: pip install 'handclasp[metrics]'."
            ) from None
        if isinstance(error, OSError):
            raise WrongArguments(f"--metrics {target}: {error.strerror or error}.") from None
        raise
