"""Metrics: what is counted, and that no peer can make a time series."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from tests.adapters.streams import echo, open_local, run, serving

from handclasp import ClientConfig, Fault, ServerConfig, SessionStore
from handclasp.errors import PeerAlertError, ProtocolError
from handclasp.metrics import Metrics


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"handclasp_{name}", {"role": "server", **labels})


def test_a_server_counts(
    registry: CollectorRegistry, client_config: ClientConfig, server_config: ServerConfig
) -> None:
    metrics = Metrics(registry)
    config = replace(client_config, sessions=SessionStore())

    async def main() -> None:
        async with serving(
            metrics.counting(echo),
            server_config,
            on_handshake_error=metrics.handshake_failed,
        ) as port:
            for _ in range(3):
                reader, writer = await open_local(port, config)
                writer.write(b"hello")
                assert await reader.readexactly(5) == b"hello"
                assert writer.get_extra_info("handshake_seconds") > 0
                writer.close()
                await writer.wait_closed()
            _, plain = await asyncio.open_connection("127.0.0.1", port)
            plain.write(b"GET / HTTP/1.1\r\n\r\n")
            while value(registry, "handshake_failures_total", fault="PLAINTEXT_HTTP") is None:
                await asyncio.sleep(0.01)
            plain.close()

    run(main())
    assert value(registry, "handshake_seconds_count", resumed="false") == 1
    assert value(registry, "handshake_seconds_count", resumed="true") == 2
    text = generate_latest(registry).decode()
    assert 'version="TLSv1.3"} 1.0' in text
    assert 'version="TLSv1.3"} 2.0' in text


def test_a_connection_that_fails_later_is_another_failure(registry: CollectorRegistry) -> None:
    metrics = Metrics(registry)
    metrics.connection_failed(ProtocolError(Fault.BAD_RECORD_MAC))
    metrics.handshake_failed(ConnectionResetError(), role="client")
    metrics.handshake_failed(KeyError())
    assert value(registry, "connection_failures_total", fault="BAD_RECORD_MAC") == 1
    assert value(registry, "handshake_failures_total", fault="NETWORK", role="client") == 1
    assert value(registry, "handshake_failures_total", fault="OTHER") == 1


def test_an_error_of_the_callback_is_counted_and_raised(registry: CollectorRegistry) -> None:
    metrics = Metrics(registry)

    class Writer:
        def get_extra_info(self, name: str) -> object:
            return INFO if name == "handclasp" else None

    async def fail(reader: object, writer: object) -> None:
        raise ProtocolError(Fault.TRUNCATED)

    with pytest.raises(ProtocolError):
        asyncio.run(metrics.counting(fail)(None, Writer()))  # type: ignore[arg-type]
    assert value(registry, "connection_failures_total", fault="TRUNCATED") == 1


def test_alerts_without_a_name_are_one_series(registry: CollectorRegistry) -> None:
    metrics = Metrics(registry)
    for number in range(256):
        metrics.handshake_failed(PeerAlertError(number))
    text = generate_latest(registry).decode()
    assert value(registry, "handshake_failures_total", fault="PEER_BAD_CERTIFICATE") == 1
    assert text.count("handclasp_handshake_failures_total{") < 50


def test_the_package_is_named_where_it_is_missing() -> None:
    program = "import sys; sys.modules['prometheus_client'] = None; import handclasp.metrics"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "pip install 'handclasp[metrics]'" in done.stderr


class INFO:
    """What was agreed upon, as far as it counts here."""

    version, cipher_suite, group = "TLSv1.3", "TLS_AES_128_GCM_SHA256", None
    resumed, early_data_status = False, "none"
