"""Clients of databases."""

from __future__ import annotations

import asyncio
import json
import ssl
import struct
from collections.abc import Callable
from typing import Any

from tests.programs.case import Case, Unproven
from tests.programs.peers import (
    HOST,
    Handler,
    http_port,
    mysql_prelude,
    postgres_prelude,
    relay,
    serve,
)
from tests.programs.registry import Program

_TEXT = "a value, " * 9000


def _same(value: object) -> None:
    if value not in (_TEXT, _TEXT.encode()):
        raise Unproven("another value came back")


def with_asyncpg(case: Case) -> None:
    import asyncpg

    right, wrong = case.contexts()
    port = relay(case, "postgres", postgres_prelude)

    async def ask(context: ssl.SSLContext) -> None:
        connection = await asyncpg.connect(
            host=HOST, port=port, user="postgres", database="postgres", ssl=context, timeout=20
        )
        _same(await connection.fetchval("select $1::text", _TEXT))
        await connection.close()

    asyncio.run(ask(right))
    case.refused(lambda: asyncio.run(ask(wrong)), ssl.SSLCertVerificationError)


def with_pymysql(case: Case) -> None:
    import pymysql

    port = relay(case, "mariadb", mysql_prelude)

    def options(ca: str) -> Any:
        return {"ca": ca} if case.is_injected else case.context(ca)

    def ask(ca: str) -> None:
        connection = pymysql.connect(
            host=HOST, port=port, user="root", ssl=options(ca), connect_timeout=20
        )
        with connection.cursor() as cursor:
            cursor.execute("select %s", (_TEXT,))
            _same(cursor.fetchone()[0])
        connection.close()

    ask(case.ca)
    case.refused(lambda: ask(case.wrong_ca), pymysql.err.OperationalError)


def with_aiomysql(case: Case) -> None:
    import aiomysql
    import pymysql

    right, wrong = case.contexts()
    port = relay(case, "mariadb", mysql_prelude)

    async def ask(context: ssl.SSLContext) -> None:
        connection = await aiomysql.connect(host=HOST, port=port, user="root", ssl=context)
        async with connection.cursor() as cursor:
            await cursor.execute("select %s", (_TEXT,))
            _same((await cursor.fetchone())[0])
        await connection.ensure_closed()

    asyncio.run(ask(right))
    case.refused(
        lambda: asyncio.run(ask(wrong)), pymysql.err.OperationalError, ssl.SSLCertVerificationError
    )


_REDIS_TAKES_NONE = "it takes no context, and makes its own"
_REDIS: dict[str, Any] = {"ssl": True, "retry": None}


def with_redis(case: Case) -> None:
    import redis

    port = relay(case, "redis")

    def ask(ca: str) -> None:
        with redis.Redis(HOST, port, ssl_ca_certs=ca, **_REDIS) as client:
            client.set("key", _TEXT)
            _same(client.get("key"))

    ask(case.ca)
    case.refused(lambda: ask(case.wrong_ca), redis.exceptions.ConnectionError)


def with_redis_asyncio(case: Case) -> None:
    import redis

    port = relay(case, "redis")

    async def ask(ca: str) -> None:
        client = redis.asyncio.Redis(host=HOST, port=port, ssl_ca_certs=ca, **_REDIS)
        try:
            await client.set("key", _TEXT)
            _same(await client.get("key"))
        finally:
            await client.aclose()

    asyncio.run(ask(case.ca))
    case.refused(lambda: asyncio.run(ask(case.wrong_ca)), redis.exceptions.ConnectionError)


def _mongo(tls: ssl.SSLSocket) -> None:
    """Answer the commands hello and ping of MongoDB's wire protocol (OP_QUERY and OP_MSG)."""
    import bson

    hello = {
        "ok": 1.0,
        "helloOk": True,
        "ismaster": True,
        "isWritablePrimary": True,
        "maxBsonObjectSize": 16777216,
        "maxMessageSizeBytes": 48000000,
        "maxWriteBatchSize": 100000,
        "minWireVersion": 0,
        "maxWireVersion": 21,
        "readOnly": False,
    }
    data = tls.makefile("rwb")
    while header := data.read(16):
        size, number, _, code = struct.unpack("<iiii", header)
        body = data.read(size - 16)
        answer = bson.encode({**hello, "text": _TEXT} if b"\x10ping\0" in body else hello)
        if code == 2004:  # OP_QUERY, answered by OP_REPLY
            reply, kind = struct.pack("<iqii", 8, 0, 0, 1) + answer, 1
        else:
            reply, kind = struct.pack("<iB", 0, 0) + answer, 2013
        data.write(struct.pack("<iiii", 16 + len(reply), 1, number, kind) + reply)
        data.flush()


def with_pymongo(case: Case) -> None:
    import pymongo
    from pymongo.errors import ServerSelectionTimeoutError

    port = serve(case, _mongo)

    def ask(ca: str, milliseconds: int) -> None:
        client: Any = pymongo.MongoClient(
            HOST,
            port,
            tls=True,
            tlsCAFile=ca,
            directConnection=True,
            serverSelectionTimeoutMS=milliseconds,
        )
        with client:
            _same(client.admin.command("ping")["text"])

    ask(case.ca, 20000)
    case.refused(lambda: ask(case.wrong_ca, 1500), ServerSelectionTimeoutError, is_text_alone=True)


class _Elastic(Handler):
    """Says that it is Elasticsearch, which its client asks for."""

    def do_GET(self) -> None:
        self._say({"version": {"number": "9.0.0"}, "tagline": "You Know, for Search"})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self._say({"hits": {"hits": [{"_source": {"text": _TEXT}}]}})

    def _say(self, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Type", "application/vnd.elasticsearch+json;compatible-with=9")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def with_elasticsearch(case: Case) -> None:
    import elasticsearch

    url = f"https://{HOST}:{http_port(case, _Elastic)}"

    def ask(ca: str) -> None:
        given: dict[str, Any] = {"ca_certs": ca}
        if not case.is_injected:
            given = {"ssl_context": case.context(ca)}
        with elasticsearch.Elasticsearch(url, max_retries=0, **given) as client:
            client.info()
            found = client.search(index="one", query={"match_all": {}})
            _same(found["hits"]["hits"][0]["_source"]["text"])

    ask(case.ca)
    case.refused(lambda: ask(case.wrong_ca), elasticsearch.SSLError, elasticsearch.ConnectionError)


def _database(
    name: str,
    run: Callable[[Case], None],
    server: str,
    daemon: str | None,
    *packages: str,
    takes_none: str = "",
    remark: str = "",
) -> Program:
    if daemon:
        server += ", in the last column behind a relay of ours"
    return Program(
        name,
        run,
        packages,
        server,
        daemon,
        not_possible={"passed": takes_none} if takes_none else {},
        remark=remark,
    )


PROGRAMS = [
    _database("asyncpg", with_asyncpg, "PostgreSQL", "postgres", "asyncpg"),
    _database("pymysql", with_pymysql, "MariaDB", "mariadb", "pymysql"),
    _database("aiomysql", with_aiomysql, "MariaDB", "mariadb", "aiomysql"),
    _database("redis", with_redis, "Redis", "redis", "redis", takes_none=_REDIS_TAKES_NONE),
    _database(
        "redis, asyncio",
        with_redis_asyncio,
        "Redis",
        "redis",
        "redis",
        takes_none=_REDIS_TAKES_NONE,
    ),
    _database(
        "pymongo",
        with_pymongo,
        "a server of our own that knows two commands",
        None,
        "pymongo",
        takes_none="it takes no context, and makes its own",
        remark="it tries again, and in the end raises an exception with the text of ours alone",
    ),
    _database(
        "elasticsearch",
        with_elasticsearch,
        "http.server, with Elasticsearch's answers",
        None,
        "elasticsearch",
    ),
]
