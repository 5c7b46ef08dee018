"""Clients of message brokers."""

from __future__ import annotations

import asyncio
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Any

from tests.programs.case import Case, Unproven
from tests.programs.peers import HOST, nats_prelude, relay, serve
from tests.programs.registry import Program

_MESSAGE = b"a message, " * 9000


def _same(message: object) -> None:
    if message != _MESSAGE:
        raise Unproven("another message came back")


def with_pika(case: Case) -> None:
    import pika

    right, wrong = case.contexts()
    port = relay(case, "rabbitmq")

    def talk(context: ssl.SSLContext) -> None:
        parameters = pika.ConnectionParameters(
            HOST, port, ssl_options=pika.SSLOptions(context, HOST), socket_timeout=20
        )
        connection = pika.BlockingConnection(parameters)
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.basic_publish("", queue, _MESSAGE)
        _, _, message = next(iter(channel.consume(queue, inactivity_timeout=20)))
        _same(message)
        connection.close()

    talk(right)
    case.refused(
        lambda: talk(wrong), pika.exceptions.AMQPConnectionError, ssl.SSLCertVerificationError
    )


def with_aio_pika(case: Case) -> None:
    import aio_pika

    right, wrong = case.contexts()
    port = relay(case, "rabbitmq")

    async def talk(context: ssl.SSLContext) -> None:
        connection = await aio_pika.connect(
            host=HOST, port=port, ssl=True, ssl_context=context, timeout=20
        )
        async with connection:
            channel = await connection.channel()
            queue = await channel.declare_queue(exclusive=True)
            message = aio_pika.Message(_MESSAGE)
            await channel.default_exchange.publish(message, queue.name)
            got = await queue.get(no_ack=True, timeout=20, fail=False)
            while got is None:
                got = await queue.get(no_ack=True, timeout=20, fail=False)
            _same(got.body)

    asyncio.run(talk(right))
    case.refused(
        lambda: asyncio.run(talk(wrong)),
        aio_pika.exceptions.AMQPConnectionError,
        ssl.SSLCertVerificationError,
    )


def _kafka(tls: ssl.SSLSocket) -> None:
    """Answer ApiVersions and Metadata of Kafka's protocol, both in version 0.

    A client then knows a cluster of one broker, which is this one, with no topic.
    """
    port = tls.getsockname()[1]
    data = tls.makefile("rwb")
    while header := data.read(4):
        request = data.read(struct.unpack(">i", header)[0])
        key, version, number = struct.unpack(">hhi", request[:8])
        if key == 18:
            # For a newer version: UNSUPPORTED_VERSION, upon which a client asks in version 0.
            error = 35 if version else 0
            body = struct.pack(">hi", error, 2) + struct.pack(">hhhhhh", 18, 0, 0, 3, 0, 0)
        else:
            host = HOST.encode()
            body = struct.pack(">iih", 1, 0, len(host)) + host + struct.pack(">ii", port, 0)
        answer = struct.pack(">i", number) + body
        data.write(struct.pack(">i", len(answer)) + answer)
        data.flush()


def with_aiokafka(case: Case) -> None:
    import logging

    from aiokafka.client import AIOKafkaClient
    from aiokafka.errors import KafkaConnectionError

    right, wrong = case.contexts()
    port = serve(case, _kafka)
    errors: list[Any] = []

    async def ask(context: ssl.SSLContext) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, told: errors.append(told))
        client = AIOKafkaClient(
            bootstrap_servers=f"{HOST}:{port}", security_protocol="SSL", ssl_context=context
        )
        await client.bootstrap()
        try:
            if not client.cluster.brokers():
                raise Unproven("no broker is known")
        finally:
            await client.close()

    asyncio.run(ask(right))
    # It logs the cause, and raises an error of its own: the log must have handclasp's.
    caught: list[BaseException] = []

    class Catcher(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            caught.extend(each for each in record.args or () if isinstance(each, BaseException))

    logger = logging.getLogger("aiokafka")
    logger.addHandler(Catcher())
    logger.propagate = False
    try:
        asyncio.run(ask(wrong))
    except KafkaConnectionError as error:
        case.explained(ExceptionGroup("logged", [error, *caught]), ExceptionGroup)
    else:
        raise Unproven("a wrong authority was accepted")


def with_paho(case: Case) -> None:
    import paho.mqtt.client as mqtt

    port = relay(case, "mosquitto")

    def client(ca: str) -> mqtt.Client:
        made = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        if case.is_injected:
            made.tls_set(ca_certs=ca)
        else:
            made.tls_set_context(case.context(ca))
        return made

    right, got = client(case.ca), threading.Event()
    messages: list[bytes] = []

    def on_message(_client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        messages.append(message.payload)
        got.set()

    right.on_message = on_message
    right.on_subscribe = lambda *_: right.publish("topic", _MESSAGE)
    right.on_connect = lambda *_: right.subscribe("topic")
    right.connect(HOST, port)
    right.loop_start()
    got.wait(20)
    right.disconnect()
    right.loop_stop()
    _same(messages[0] if messages else None)
    case.refused(lambda: client(case.wrong_ca).connect(HOST, port), ssl.SSLCertVerificationError)


def with_nats(case: Case) -> None:
    import nats

    right, wrong = case.contexts()
    port = relay(case, "nats", nats_prelude)

    async def nothing(_: Exception) -> None:
        """Nothing: the client prints errors unless it is told otherwise."""

    async def talk(context: ssl.SSLContext) -> None:
        client = await nats.connect(
            f"tls://{HOST}:{port}",
            tls=context,
            tls_hostname=HOST,
            allow_reconnect=False,
            error_cb=nothing,
        )
        subscription = await client.subscribe("subject")
        await client.publish("subject", _MESSAGE)
        _same((await subscription.next_msg(20)).data)
        await client.close()

    asyncio.run(talk(right))
    case.refused(lambda: asyncio.run(talk(wrong)), nats.errors.Error, ssl.SSLCertVerificationError)


def _broker(
    name: str, run: Callable[[Case], None], server: str, daemon: str | None, package: str
) -> Program:
    if daemon:
        server += ", in the last column behind a relay of ours"
    return Program(name, run, (package,), server, daemon)


PROGRAMS = [
    _broker("pika", with_pika, "RabbitMQ", "rabbitmq", "pika"),
    _broker("aio-pika", with_aio_pika, "RabbitMQ", "rabbitmq", "aio-pika"),
    _broker(
        "aiokafka", with_aiokafka, "a server of our own that knows two requests", None, "aiokafka"
    ),
    _broker("paho-mqtt", with_paho, "Mosquitto", "mosquitto", "paho-mqtt"),
    _broker("nats-py", with_nats, "nats-server", "nats", "nats-py"),
]
