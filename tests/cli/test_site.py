"""What `handclasp serve` keeps back, asked for over connections; and what it gives all the same."""

from __future__ import annotations

import base64
import html
import io
import os
import re
import socket
import tarfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)
from tests.cli.conftest import Process, Run, started
from tests.pki import Pki
from tests.serving.world import World, files_of, running

import handclasp
from handclasp import (
    ClientConfig,
    ClientConnection,
    Recorder,
    ServerConfig,
    ServerConnection,
    SessionStore,
)
from handclasp.certificates.authority import LocalAuthority
from handclasp.cli.pages import page_for, write_page
from handclasp.serving import site as site_module
from handclasp.serving.key_material import key_material_in
from handclasp.serving.limits import Limits
from handclasp.serving.site import NotServedError, Site
from handclasp.sessions.session_file import FileSessionStore

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(os.name != "posix", reason="modes and links are those of POSIX"),
]

SECRET = b"nobody may see this"
OPEN = b"for everybody\n"

KEY = ec.generate_private_key(ec.SECP256R1())
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
LOCKED = BestAvailableEncryption(b"password")
KEY_LOG_LINE = b"CLIENT_TRAFFIC_SECRET_0 " + b"ab" * 32 + b" " + b"cd" * 32 + b"\n"


def _key_files() -> dict[str, bytes]:
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    ed = ed25519.Ed25519PrivateKey.generate()
    der = Encoding.DER, PrivateFormat.PKCS8
    escaped = PEM.replace(b"\n", b"\\n")
    return {
        "pkcs8.txt": PEM,
        "after-text.txt": b"some words\n" * 5000 + PEM,
        "windows.txt": b"\xef\xbb\xbf" + PEM.replace(b"\n", b"\r\n"),
        "indented.yaml": b"key: |\n" + PEM.replace(b"-----B", b"  -----B").replace(b"\n", b"\n  "),
        "service.json": b'{"private_key": "' + escaped + b'"}',
        "one-line.env": b"KEY=" + PEM.replace(b"\n", b" "),
        "source.py": b'KEY = (\n  "' + PEM.replace(b"\n", b'\\n"\n  "') + b'")\n',
        "placeholder.pem": b"-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n",
        "pkcs1.html": rsa_key.private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        ),
        "sec1.jpg": KEY.private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        ),
        "ssh": ed.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
        "locked.pem": KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, LOCKED),
        "dek-info.pem": rsa_key.private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, LOCKED
        ),
        "pgp.asc": b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQ\n",
        "putty.ppk": b"PuTTY-User-Key-File-3: ssh-ed25519\n",
        "pkcs8.der": KEY.private_bytes(*der, NoEncryption()),
        "rsa-pkcs8.der": rsa_key.private_bytes(*der, NoEncryption()),
        "ed.der": ed.private_bytes(*der, NoEncryption()),
        "locked.der": KEY.private_bytes(*der, LOCKED),
        "pkcs1.der": rsa_key.private_bytes(
            Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        ),
        "sec1.der": KEY.private_bytes(
            Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        ),
        "store.bin": pkcs12.serialize_key_and_certificates(b"n", KEY, None, None, LOCKED),
        "open-store.bin": pkcs12.serialize_key_and_certificates(
            b"n", KEY, None, None, NoEncryption()
        ),
        "java.jks": b"\xfe\xed\xfe\xed\x00\x00\x00\x02",
        "secrets.txt": b"# a key log\n" + KEY_LOG_LINE,
        "indented.log": b"  " + KEY_LOG_LINE,
        "tabs.log": KEY_LOG_LINE.replace(b" ", b"\t\t"),
        "in-words.log": b"DEBUG: " + KEY_LOG_LINE,
        "tls12.log": b"CLIENT_RANDOM " + b"AB" * 32 + b" " + b"CD" * 48 + b"\r\n",
        "nss.log": b"RSA " + b"ab" * 8 + b" " + b"cd" * 48 + b"\n",
        "sessions.log": b"RSA Session-ID:" + b"ab" * 32 + b" Master-Key:" + b"cd" * 48 + b"\n",
        "binary.bin": b"\0\1\2" + KEY_LOG_LINE,
        "wide.log": KEY_LOG_LINE.decode().encode("utf-16"),
        "wide-big-endian.log": KEY_LOG_LINE.decode().encode("utf-16-be"),
        "wide.pem": PEM.decode().encode("utf-16"),
        "wide-little-endian.pem": PEM.decode().encode("utf-16-le"),
        "wide-placeholder.pem": "-----BEGIN PRIVATE KEY-----\nx\n".encode("utf-16"),
        "behind-nul.pem": b"\0\n" + PEM,
        "backup.tar": _tar_of(PEM),
        "logs.tar": _tar_of(KEY_LOG_LINE),
        **{
            f"kubernetes{before}.yaml": b"tls.key: " + base64.b64encode(b"#" * before + PEM)
            for before in range(3)
        },
        "folded.b64": base64.encodebytes(b"#" * 40 + PEM),
        "pem-in.hex": PEM.hex().encode(),
        **_without_armour(rsa_key, ed),
        "web-key.json": b'{"kty":"EC","crv":"P-256","x":"AA","d":"%s"}' % (b"a1-_" * 11),
        "web-keys.json": b'{"keys": [{"k" : "%s", "kty" : "oct"}]}' % (b"a1-_" * 11),
        "quoted-web-key.json": b'"{\\"kty\\": \\"OKP\\", \\"d\\": \\"%s\\"}"' % (b"a1-_" * 11),
    }


def _without_armour(rsa_key: rsa.RSAPrivateKey, ed: ed25519.Ed25519PrivateKey) -> dict[str, bytes]:
    """Return the forms of keys in DER, and of key stores, in Base64 or hexadecimal alone."""
    plain = Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
    traditional = Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    ders = {
        "pkcs8": KEY.private_bytes(*plain),
        "rsa-pkcs8": rsa_key.private_bytes(*plain),
        "ed": ed.private_bytes(*plain),
        "sec1": KEY.private_bytes(*traditional),
        "pkcs1": rsa_key.private_bytes(*traditional),
        "locked": KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, LOCKED),
        "store": pkcs12.serialize_key_and_certificates(b"n", KEY, None, None, LOCKED),
    }
    texts = {name: base64.b64encode(der) for name, der in ders.items()}
    one, der = texts["pkcs8"], ders["pkcs8"]
    folded = base64.encodebytes(ders["rsa-pkcs8"])
    open_ssh = ed.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    digits = [f"{byte:02x}" for byte in der]
    return {
        **{f"{name}.b64": text for name, text in texts.items()},
        **{f"{name}.hex": der.hex().encode() for name, der in ders.items()},
        "bare.json": b'{"privateKey": "' + one + b'"}',
        "bare.env": b"KEY=" + base64.urlsafe_b64encode(der),
        "bare-wide.txt": one.decode().encode("utf-16"),
        "bare-folded.txt": folded,
        "bare-escaped.json": b'{"key": "\\n' + folded.replace(b"\n", b"\\n") + b'"}',
        "query.txt": b"k=-----BEGIN%20PRIVATE%20KEY-----%0A" + one + b"%0A-----END",
        "markup.xml": b"<k>-----BEGIN PRIVATE KEY-----&#10;" + one + b"&#10;</k>",
        "open-ssh.txt": b"".join(open_ssh.splitlines()[1:-1]),
        "java.b64": base64.b64encode(b"\xfe\xed\xfe\xed\x00\x00\x00\x02" + bytes(40)),
        "jceks.b64": base64.b64encode(b"\xce\xce\xce\xce\x00\x00\x00\x02" + bytes(40)),
        "putty.b64": base64.b64encode(b"PuTTY-User-Key-File-3: ssh-ed25519\n"),
        "upper.hex": der.hex().upper().encode(),
        "colons.txt": ":".join(digits).encode(),
        "source.c": b"char key[] = {" + ", ".join(f"0x{each}" for each in digits).encode() + b"};",
        "escapes.py": b'KEY = b"' + "".join(f"\\x{each}" for each in digits).encode() + b'"',
    }


def _public_texts() -> dict[str, bytes]:
    """Return texts that say nothing secret, in the forms that a key may have."""
    authority = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a")])
    now = datetime.now(UTC)
    # Their second sequence has the beginning of a key in PKCS #8, and begins a group of Base64.
    revoked = (
        x509.CertificateRevocationListBuilder(authority, now, now + timedelta(days=1))
        .sign(KEY, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )
    request = (
        x509.CertificateSigningRequestBuilder(x509.Name([]))
        .sign(KEY, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
    public = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {
        "revoked.crl": revoked,
        "request.txt": base64.b64encode(request),
        "public-key.txt": base64.b64encode(public),
        "public-key.hex": public.hex().encode(),
        "prefix.md": b"A key in Base64 begins with MIIEvQIBADANBgkq or MIGHAgEAMBMGByqGSM49.\n",
        "words.txt": b"MAMA " * 4000 + b"30 30 30 " * 4000,
    }


def _tar_of(content: bytes) -> bytes:
    box = io.BytesIO()
    with tarfile.open(fileobj=box, mode="w") as archive:
        info = tarfile.TarInfo("name")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return box.getvalue()


KEY_FILES = _key_files()
PUBLIC = _public_texts()
GIVEN = {
    "page.html": OPEN,
    "a picture.png": b"\x89PNG\0" + PEM[:30],
    "reader.js": b"const BEGIN = '-----BEGIN PRIVATE KEY-----';\nconst x = BEGIN + body + END;\n",
    "manual.md": b"The file begins with `-----BEGIN PRIVATE KEY-----` and ends with an END line.\n",
    "back\\slash": OPEN,
    "web-key.json": b'{"kty":"EC","crv":"P-256","x":"%s","y":"%s"}' % (b"a1-_" * 11, b"b2-_" * 11),
    "chain.b64": base64.b64encode(b"-----BEGIN CERTIFICATE-----\n" * 9),
    **PUBLIC,
    "label.md": b"A line is CLIENT_RANDOM, 64 digits and 96 more; CLIENT_TRAFFIC_SECRET_0 ff ff\n",
    "colon:name.txt": OPEN,
    "caf\u00e9.txt": OPEN,
    "below/page.html": OPEN,
    ".well-known/security.txt": OPEN,
}
HIDDEN = (".env", ".git/config", ".ssh/id", "below/.hidden", "below/.well-known/x")


class Ground:
    """A directory that is served, and what lies around it."""

    def __init__(self, place: Path) -> None:
        self.outside = place / "outside"
        self.site = place / "site"
        for name, content in GIVEN.items():
            self.put(name, content)
        for name in HIDDEN:
            self.put(name, SECRET)
        self.outside.mkdir()
        (self.outside / "secret.txt").write_bytes(SECRET)
        for name in ("linked", "listed", "looped", "piped", "shut", "inner", "upper"):
            (self.site / name).mkdir()
        (self.site / "linked" / "index.html").symlink_to(self.outside / "secret.txt")
        (self.site / "linked" / "notes.txt").write_bytes(OPEN)
        (self.site / "looped" / "index.html").symlink_to("index.html")
        os.mkfifo(self.site / "piped" / "index.htm")
        (self.site / "inner" / "index.html").symlink_to(self.site / "page.html")
        (self.site / "upper" / "up").symlink_to("..")
        (self.site / "out").symlink_to(self.outside)
        (self.site / "out.txt").symlink_to(self.outside / "secret.txt")
        (self.site / "in.txt").symlink_to("page.html")
        (self.site / "in").symlink_to("below")
        (self.site / "env.txt").symlink_to(".env")
        (self.site / "git").symlink_to(".git")
        (self.site / "gone.txt").symlink_to("nowhere")
        os.mkfifo(self.site / "pipe.txt")
        (self.site / "mine.txt").write_bytes(SECRET)
        (self.site / "mine.txt").chmod(0o600)
        (self.site / "shut" / "page.html").write_bytes(SECRET)
        (self.site / "shut").chmod(0o700)

    def put(self, name: str, content: bytes) -> Path:
        path = self.site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return Ground(tmp_path_factory.mktemp("ground"))


@pytest.fixture
def served(ground: Ground) -> Iterator[Process]:
    with started("serve", str(ground.site), "--port", "0") as process:
        yield process


class Visitor:
    """One connection over which a request is sent."""

    def __init__(self, process: Process, authority: LocalAuthority) -> None:
        self._port = process.port
        self._config = ClientConfig(trust=authority.trust, alpn=("http/1.1",))

    def say(self, request: bytes) -> bytes:
        with handclasp.connect("localhost", self._port, self._config, timeout=20) as tls:
            tls.sendall(request)
            return b"".join(iter(lambda: tls.recv(65536), b""))

    def ask(
        self, path: str | bytes, *headers: str, method: str = "GET"
    ) -> tuple[int, dict[str, str], bytes]:
        target = path if isinstance(path, bytes) else path.encode()
        lines = "".join(f"{line}\r\n" for line in ("Host: localhost", *headers)).encode()
        answer = self.say(
            method.encode()
            + b" "
            + target
            + b" HTTP/1.1\r\nConnection: close\r\n"
            + lines
            + b"\r\n"
        )
        head, _, body = answer.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        named = {name.title(): value for name, value in (line.split(": ", 1) for line in rest)}
        return int(first.split()[1]), named, body

    def status(self, path: str | bytes, *headers: str) -> int:
        status, _, body = self.ask(path, *headers)
        assert SECRET not in body
        assert b"PRIVATE KEY-----\n" not in body or status == 200
        return status


@pytest.fixture
def visitor(served: Process, authority: LocalAuthority) -> Visitor:
    return Visitor(served, authority)


def names_listed(body: bytes) -> set[str]:
    return {html.unescape(name) for name in re.findall(r">([^<]+)</a>", body.decode())}


def test_what_may_be_seen_is_given(visitor: Visitor) -> None:
    for name, content in GIVEN.items():
        path = "/" + "".join(f"%{byte:02x}" for byte in name.encode())
        assert visitor.ask(path.replace("%2f", "/"))[::2] == (200, content), name
    for path in (
        "/in.txt",
        "/in/page.html",
        "/inner/",
        "/upper/up/page.html",
        "/./below/../page.html",
    ):
        assert visitor.ask(path)[::2] == (200, OPEN), path


@pytest.mark.parametrize(
    "path",
    [
        "/linked/",  # An index.html that leads out of the directory.
        "/linked/index.html",
        "/looped/",
        "/piped/",
        "/out.txt",
        "/out/secret.txt",
        "/out/",
        "/upper/up/out/secret.txt",
        "/gone.txt",
        *(f"/{name}" for name in HIDDEN),
        "/.git/",
        "/.git",
        "/%2egit/config",
        "/below/..%2f.env",
        "/env.txt",
        "/git/config",
        "/pipe.txt",
        "/mine.txt",
        "/shut/page.html",
        "/shut/",
        "/%00",
        "/page.html%00",
        "/page.html%00.txt",
        "/below%00/page.html",
        "/page.html/",
        "/page.html/.",
        "/page.html.",
        "/page.html/page.html",
        "/..%2f..%2foutside/secret.txt",
        "/%2e%2e/outside/secret.txt",
        "/%252e%252e/outside/secret.txt",
        "/..\\outside\\secret.txt",
        "/%5c..%5coutside%5csecret.txt",
        "//outside/secret.txt",
        "/" + "n" * 300,
        "/" + "n/" * 20_000,
        "/" + "../" * 10_000 + "outside/secret.txt",
        "/%ff%fe",
        "/%ed%a0%80",  # A surrogate by itself.
        "/%",
        "/%zz",
        "/c:/windows/system.ini",
        "/nul",
        "/page.html::$DATA",
        "/~root/.profile",
    ],
)
def test_what_may_not_be_seen_is_not_there(visitor: Visitor, path: str | bytes) -> None:
    assert visitor.status(path) == 404


@pytest.mark.parametrize("name", KEY_FILES)
def test_keys_are_kept_back_whatever_they_are_called(ground: Ground, name: str) -> None:
    path = ground.put("listed/" + name, KEY_FILES[name])
    with pytest.raises(NotServedError, match="key") as refused:
        Site(str(ground.site)).open(("listed", name))
    assert refused.value.reason is not None
    path.unlink()


def test_a_listing_shows_only_what_is_given(ground: Ground, visitor: Visitor) -> None:
    key = ground.put("below/key.pem", PEM)
    kept = ground.put("below/kept.txt", SECRET)
    kept.chmod(0o600)
    (ground.site / "below" / "away").symlink_to(ground.outside)
    try:
        assert names_listed(visitor.ask("/below/")[2]) == {"page.html"}
        assert names_listed(visitor.ask("/")[2]) == {
            "a picture.png", "back\\slash", "below/", "caf\u00e9.txt", "colon:name.txt", "in/",
            "in.txt", "inner/", "linked/", "listed/", "looped/", "manual.md", "page.html",
            "piped/", "reader.js", "upper/", ".well-known/", "chain.b64", "label.md",
            "web-key.json", *PUBLIC,
        }  # fmt: skip
    finally:
        for path in (key, kept, ground.site / "below" / "away"):
            path.unlink()


def test_names_in_a_listing_are_no_markup(ground: Ground, visitor: Visitor) -> None:
    name = "<script>'\"&\xe9\udcff"
    path = ground.put(f"listed/{name}", OPEN)
    try:
        status, _, body = visitor.ask("/listed/")
        assert status == 200
        assert b"<script>" not in body
        (link,) = re.findall(rb'href="\./([^"]+)"', body)
        assert visitor.ask(b"/listed/" + link)[::2] == (200, OPEN)
    finally:
        path.unlink()


def test_a_directory_without_its_slash_is_elsewhere(visitor: Visitor) -> None:
    for path, expected in (
        ("/below", "/below/"),
        ("//below?a=b#c", "/below/?a=b"),
        ("/%62elow?x=%20|", "/below/?x=%20%7C"),
        ("///..//below", "/below/"),
    ):
        status, headers, _ = visitor.ask(path)
        assert (status, headers["Location"]) == (301, expected)


def test_heads_ranges_and_conditions(visitor: Visitor) -> None:
    status, headers, body = visitor.ask("/page.html", method="HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(len(OPEN)), b"")
    modified = headers["Last-Modified"]
    assert visitor.ask("/page.html", f"If-Modified-Since: {modified}")[::2] == (304, b"")
    for condition in (
        "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT",
        "If-Modified-Since: yesterday",
        "If-Modified-Since: Thu, 99 Jan 99999 00:00:00 GMT",
        'If-None-Match: "another"',
        "Range: bytes=5-1,abc",
        "Range: bytes=5-1",
        "If-Range: x",
    ):
        assert visitor.ask("/page.html", condition)[::2] == (200, OPEN), condition
    # What is kept back is kept back from every kind of question.
    for path in ("/.env", "/linked/", "/mine.txt", "/%00"):
        assert visitor.ask(path, method="HEAD")[0] == 404
        assert visitor.ask(path, f"If-Modified-Since: {modified}")[0] == 404
        assert visitor.ask(path, "Range: bytes=0-")[0] == 404


def test_a_file_of_any_date(ground: Ground, visitor: Visitor) -> None:
    path = ground.put("listed/dated.txt", OPEN)
    try:
        for moment in (-(10**10), 0, 10**11, 2**40):
            try:
                os.utime(path, (moment, moment))
            except OSError:
                continue  # Not every file system knows such dates.
            assert visitor.ask("/listed/dated.txt")[::2] == (200, OPEN)
            assert visitor.ask("/listed/dated.txt", "If-Modified-Since: x")[0] == 200
    finally:
        path.unlink()


def test_a_body_is_not_taken_for_a_request(visitor: Visitor) -> None:
    inner = b"GET /below/page.html HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = b"GET /page.html HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(inner)
    assert visitor.say(head + inner).count(b"HTTP/1.1 ") == 1


INNER = b"GET /below/page.html HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length : %d",  # RFC 9112 section 5.1
        b"Content-Length\t: %d",
        b"Transfer-Encoding : chunked\r\nX: %d",
        b"Bad Header: 1\r\nContent-Length: %d",
        b"nothing at all\r\nContent-Length: %d",
        b": no name\r\nContent-Length: %d",
        b"From me: 1\r\nContent-Length: %d",
        b"X: 1\r\n Content-Length: %d",  # A folded line, section 5.2
        b" Content-Length: %d",
        b"X: 1\rContent-Length: %d",
        b"X: 1\nContent-Length: %d",
        b"X: 1\0\r\nContent-Length: %d",
        b"X\x0b: 1\r\nContent-Length: %d",
        b"X\xa0: 1\r\nContent-Length: %d",
        b"X: 1\n\nContent-Length: %d",
        b"X: 1\r\r\n\r\nContent-Length: %d",
        b"Content-Length: +%d",
        b"Content-Length: %d, 0",
        b"Content-Length: %d\r\nContent-Length: 0",
        b"Content-Length:\r\nX: %d",
        b"Content-Length: %d\r\nTransfer-Encoding: chunked",
        b"Host: elsewhere\r\nContent-Length: %d",
        b"Early-Data : 1\r\nX: %d",
    ],
)
def test_a_head_that_gateways_may_read_otherwise(visitor: Visitor, lines: bytes) -> None:
    """What RFC 9112 forbids is refused, and nothing after it is taken for a request."""
    head = b"GET /page.html HTTP/1.1\r\nHost: localhost\r\n" + lines % len(INNER) + b"\r\n\r\n"
    answer = visitor.say(head + INNER)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert OPEN not in answer


@pytest.mark.parametrize(
    "line",
    [
        b"GET  /page.html HTTP/1.1\r\n",
        b"GET\t/page.html HTTP/1.1\r\n",
        b"GET /page.html\x0cHTTP/1.1\r\n",
        b"GET /page.html HTTP/1.1 \r\n",
        b" GET /page.html HTTP/1.1\r\n",
        b"GET /page.html HTTP/1.1\n",
        b"GET /page.html HTTP/1.1\r\r\n",
        b"GET /page.html HTTP/1.01\r\n",
        b"GET /page.html\r\n",  # HTTP/0.9
        b"G@T /page.html HTTP/1.1\r\n",
        b"\r\n\nGET /page.html HTTP/1.1\r\n",
        b"GET /\xff\xfe\xed\x9f\x80 HTTP/1.1\r\n",
    ],
)
def test_a_line_that_is_no_request(visitor: Visitor, line: bytes) -> None:
    answer = visitor.say(line + b"Host: localhost\r\n\r\n" + INNER)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_a_request_names_its_host(visitor: Visitor) -> None:
    assert visitor.say(b"GET /page.html HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert visitor.say(b"GET /page.html HTTP/1.0\r\n\r\n").endswith(OPEN)


@pytest.mark.parametrize(
    "host",
    ["local host", "a, b", "localhost:x", "local/host", "a@b", "[::1", "%zz", "\xe4", "a\t1"],
)
def test_a_host_is_one_of_a_uri(visitor: Visitor, host: str) -> None:
    head = f"GET /page.html HTTP/1.1\r\nHost: {host}\r\n\r\n"
    assert visitor.say(head.encode("latin-1")).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "host", ["", "localhost:", "localhost:8443", "[::1]:8443", "xn--a.example", "%41", " a.b "]
)
def test_hosts_of_every_form(visitor: Visitor, host: str) -> None:
    head = f"GET /page.html HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    assert visitor.say(head.encode()).endswith(OPEN)


def test_a_head_without_end(visitor: Visitor) -> None:
    head = b"GET /page.html HTTP/1.1\r\nHost: localhost\r\n"
    assert visitor.say(head + b"X: y\r\n" * 99 * 1000).startswith(b"HTTP/1.1 431 ")
    assert visitor.say(head + b"X: " + b"y" * 70_000).startswith(b"HTTP/1.1 431 ")


def test_requests_one_after_the_other(visitor: Visitor) -> None:
    ask = b"GET /page.html HTTP/1.1\r\nHost: localhost\r\nX-Y:\ta b\xe9 \r\n%s\r\n"
    answer = visitor.say(
        ask % b"" + ask % b"Expect: 100-continue\r\n" + ask % b"Connection: close\r\n"
    )
    assert answer.count(b"HTTP/1.1 200 OK") == answer.count(b"HTTP/1.1 ") == 3


@pytest.mark.parametrize("asked", [b"", b"GET / HTTP/1.1\r\nX: "])
def test_a_client_that_drips_is_let_go(ground: Ground, asked: bytes) -> None:
    """However a client divides its words, its place is free for another one in a while."""
    limits = Limits(header_timeout=1.0)
    with running(files_of(ground.site), limits) as world, world.connection() as tls:
        began = time.monotonic()
        tls.sendall(asked)
        tls.settimeout(0.2)
        with suppress(OSError):
            while time.monotonic() < began + 15:
                with suppress(TimeoutError):
                    if not tls.recv(1000):
                        break
                if asked:
                    tls.sendall(b"x")
        assert 0.9 < time.monotonic() - began < 10


def test_a_coding_that_is_not_known(visitor: Visitor) -> None:
    for line in (b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked\r\n" * 2 + b"X: 1"):
        head = b"GET /page.html HTTP/1.1\r\nHost: localhost\r\n" + line + b"\r\n\r\n"
        answer = visitor.say(head + INNER)
        assert answer.startswith(b"HTTP/1.1 501 ")
        assert answer.count(b"HTTP/1.1 ") == 1


def test_it_says_why_a_file_is_kept_back(served: Process, visitor: Visitor) -> None:
    assert visitor.status("/mine.txt?%1b") == 404
    line = served.line("Kept back")
    assert "only its owner may read it" in line
    assert "\x1b" not in line
    assert visitor.status("/%00") == 404
    assert visitor.status("/page.html") == 200
    served.end(15)
    while not served.lines.empty():
        assert "Traceback" not in served.lines.get()


@contextmanager
def with_own_files(ground: Ground, authority: LocalAuthority) -> Generator[Process]:
    issued = authority.issue(["localhost"])
    chain, key = ground.put("chain.pem", issued.chain_pem), ground.put("own/server", issued.key_pem)
    arguments = ["--cert", str(chain), "--key", str(key)]
    arguments += ["--keylog", str(ground.site / "keys.log")]
    arguments += ["--trace", str(ground.site / "traces"), "--pages"]
    with started("serve", str(ground.site), "--port", "0", *arguments) as process:
        yield process


def test_the_servers_own_files_are_kept_back(
    tmp_path: Path, authority: LocalAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground = Ground(tmp_path)
    with with_own_files(ground, authority) as process:
        visitor = Visitor(process, authority)
        assert visitor.status("/page.html") == 200
        process.line("TLSv1.3")
        while not list((ground.site / "traces").glob("*.html")):
            assert process.popen.poll() is None
            time.sleep(0.02)
        (trace,) = (ground.site / "traces").glob("*.json")
        # Even where somebody opens them up and gives them other names.
        (ground.site / "traces").chmod(0o755)
        for file in (ground.site / "keys.log", trace):
            file.chmod(0o644)
        (ground.site / "hard.txt").hardlink_to(ground.site / "keys.log")
        (ground.site / "hard.json").hardlink_to(trace)
        (ground.site / "soft.txt").symlink_to(trace)
        (ground.site / "log.txt").symlink_to("keys.log")
        for path in (
            "/keys.log",
            "/traces",
            "/traces/",
            f"/traces/{trace.name}",
            f"/traces/{trace.stem}.html",
            "/hard.txt",
            "/hard.json",
            "/soft.txt",
            "/log.txt",
            "/own/server",
        ):
            assert visitor.status(path) == 404, path
        assert visitor.status("/chain.pem") == 200
        listed = names_listed(visitor.ask("/")[2])
        assert "chain.pem" in listed
        assert not listed & {"keys.log", "traces/", "hard.txt", "hard.json", "soft.txt", "log.txt"}


def test_traces_do_not_go_into_the_directory_that_is_served(run: Run, tmp_path: Path) -> None:
    result = run("serve", str(tmp_path), "--port", "0", "--trace", str(tmp_path))
    assert result.exit_code == 2
    assert "this directory is served" in result.stderr


def test_a_directory_that_goes_and_comes_back(tmp_path: Path, authority: LocalAuthority) -> None:
    ground = Ground(tmp_path)
    with started("serve", str(ground.site), "--port", "0") as process:
        visitor = Visitor(process, authority)
        ground.site.rename(tmp_path / "moved")
        assert visitor.status("/page.html") == visitor.status("/") == 404
        ground.site.symlink_to(ground.outside)
        assert visitor.status("/secret.txt") == visitor.status("/") == 404
        ground.site.unlink()
        (tmp_path / "moved").rename(ground.site)
        assert visitor.status("/page.html") == 200


@pytest.mark.parametrize("by_directories", [True, False])
def test_a_file_that_becomes_a_link_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_directories: bool
) -> None:
    """Between the look at a name and the opening, somebody puts a link there."""
    ground = Ground(tmp_path)
    monkeypatch.setattr(site_module, "_HAS_DIR_FD", by_directories)
    site = Site(str(ground.site))
    realpath = os.path.realpath

    def swapped(name: str) -> Any:
        def then(path: str, **options: Any) -> str:
            found = realpath(path, **options)
            with suppress(FileNotFoundError):
                (ground.site / name).rename(tmp_path / "moved")
                (ground.site / name).symlink_to(ground.outside)
            return found

        return then

    (ground.outside / "page.html").write_bytes(SECRET)
    for name, path in (
        ("below/page.html", ("below", "page.html")),
        ("below", ("below", "page.html")),
    ):
        monkeypatch.setattr(os.path, "realpath", swapped(name))
        with pytest.raises(NotServedError):
            site.open(path)
        monkeypatch.setattr(os.path, "realpath", realpath)
        (ground.site / name).unlink()
        (tmp_path / "moved").rename(ground.site / name)


def test_where_only_whole_paths_can_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground = Ground(tmp_path)
    monkeypatch.setattr(site_module, "_HAS_DIR_FD", False)
    site = Site(str(ground.site), [ground.put("own/key", PEM), ground.site / "linked"])
    opened = site.open(("below", "page.html"))
    assert opened.file is not None
    assert opened.file.read() == OPEN
    opened.file.close()
    assert "page.html" in site.open(("below",)).entries
    for path in ("own/key", "linked/notes.txt", "out.txt", "pipe.txt", "shut/page.html", ".env"):
        with pytest.raises(NotServedError):
            site.open(path.split("/"))


def test_names_on_windows() -> None:
    for name in ("a\\b", "c:", "a.txt::$DATA", "a.txt.", "a.txt "):
        assert not site_module._is_plain(name, windows=True)  # pyright: ignore[reportPrivateUsage]
        assert site_module._is_plain(name, windows=False)  # pyright: ignore[reportPrivateUsage]


def test_sockets_and_devices_are_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground = Ground(tmp_path)
    monkeypatch.chdir(ground.site)  # The path of a socket is short.
    opened: list[str] = []
    really = os.open

    def noted(path: Any, *arguments: Any, **options: Any) -> int:
        opened.append(os.path.basename(path))
        return really(path, *arguments, **options)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        monkeypatch.setattr(os, "open", noted)
        for name in ("socket", "pipe.txt"):
            with pytest.raises(NotServedError, match="neither a file nor a directory"):
                Site(".").open((name,))
    assert not {"socket", "pipe.txt"} & set(opened)


def test_modes_say_nothing_where_every_file_is_private(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    (ground.site / "mine.txt").write_bytes(OPEN)
    before = os.umask(0o077)
    try:
        site = Site(str(ground.site))
    finally:
        os.umask(before)
    opened = site.open(("mine.txt",))
    assert opened.file is not None
    opened.file.close()


def test_what_this_program_wrote_before_is_kept_back(tmp_path: Path) -> None:
    """Traces, sessions and key logs are made for their owner alone, which is enough."""
    ground = Ground(tmp_path)
    Recorder().save(ground.site / "trace.json")
    with pytest.raises(NotServedError, match="only its owner"):
        Site(str(ground.site)).open(("trace.json",))


@pytest.fixture(scope="module")
def told() -> Recorder:
    """A connection that was recorded with its secrets, to be written in every form."""
    recorder = Recorder(record_secrets=True, record_wire=True)
    _shake_hands(recorder)
    return recorder


def _shake_hands(
    recorder: Recorder, sessions: SessionStore | FileSessionStore | None = None
) -> None:
    pki = Pki()
    client = ClientConnection(
        ClientConfig(trust=pki.trust, sessions=sessions), server_name="localhost", trace=recorder
    )
    server = ServerConnection(ServerConfig(credentials=pki.server()))
    for _ in range(4):
        for here, there in ((client, server), (server, client)):
            if data := bytes(here.data_to_send()):
                there.receive_data(data)


def _site_of_a_private_user(directory: Path) -> Site:
    """Where every file is for its owner alone, so that modes say nothing."""
    before = os.umask(0o077)
    try:
        return Site(str(directory))
    finally:
        os.umask(before)


@pytest.mark.parametrize("form", ["a note before", "one line", "in the middle", "UTF-16", "CRLF"])
def test_sessions_are_kept_back_wherever_they_are(tmp_path: Path, form: str) -> None:
    _shake_hands(Recorder(), FileSessionStore(tmp_path / "sessions"))
    data = (tmp_path / "sessions").read_bytes()
    line = data.splitlines(keepends=True)[1]
    copied = {
        "a note before": b"# note\n" + data,
        "one line": line,
        "in the middle": b"x" * 5000 + b"\n" + line + b"\nand so on",
        "UTF-16": line.decode().encode("utf-16"),
        "CRLF": b"# note\r\n" + data.replace(b"\n", b"\r\n"),
    }[form]
    assert key_material_in(io.BytesIO(copied)) == "it holds sessions"


@pytest.mark.parametrize("name", ["t.json", "t.pcapng", "t.html", "sessions", "fields.json"])
def test_secrets_of_this_program_are_kept_back_whatever_their_modes(
    tmp_path: Path, told: Recorder, name: str
) -> None:
    """Under this umask no mode says that somebody has made them private."""
    site = _site_of_a_private_user(tmp_path)
    if name == "sessions":
        _shake_hands(Recorder(), SessionStore.file(tmp_path / name))
    elif name == "fields.json":
        (tmp_path / name).write_text(told.to_json(fields=True))
    elif name == "t.html":
        write_page(tmp_path / name, page_for(told, "A connection"))
    else:
        (told.save if name == "t.json" else told.save_pcapng)(tmp_path / name)
    with pytest.raises(NotServedError, match=r"secrets|sessions|key log"):
        site.open((name,))


def test_what_this_program_wrote_without_secrets_is_given(tmp_path: Path) -> None:
    recorder = Recorder(record_wire=True)
    _shake_hands(recorder)
    site = _site_of_a_private_user(tmp_path)
    recorder.save(tmp_path / "t.json")
    recorder.save_pcapng(tmp_path / "t.pcapng")
    (tmp_path / "fields.json").write_text(recorder.to_json(fields=True))
    write_page(tmp_path / "t.html", page_for(recorder, "A connection"))
    for name in ("t.json", "t.pcapng", "t.html", "fields.json"):
        opened = site.open((name,))
        assert opened.file is not None
        opened.file.close()


def test_help_says_how_much_is_searched(run: Run, tmp_path: Path) -> None:
    """What lies further back is not recognised, and nobody is told that it were."""
    (tmp_path / "deep.txt").write_bytes(b"#" * (1 << 20) + b"\n" + PEM)
    opened = Site(str(tmp_path)).open(("deep.txt",))
    assert opened.file is not None
    opened.file.close()
    shown = " ".join(run("serve", "--help").stdout.split())
    assert "in whose first MiB one of these is recognised" in shown
    assert "umask that makes every new file private" in shown


def _later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files be older: young ones may change without a trace of it."""
    really = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: really() + 10_000_000_000)


def test_a_listing_searches_no_file_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[str] = []
    really = key_material_in

    def noted(file: Any) -> str | None:
        searched.append("")
        return really(file)

    monkeypatch.setattr(site_module, "key_material_in", noted)
    for number in range(20):
        (tmp_path / f"{number}.txt").write_bytes(PEM if number == 7 else OPEN)
    _later(monkeypatch)
    with running(files_of(tmp_path)) as world:
        assert len(_names_in(world)) == 19
        assert len(searched) == 20
        for _ in range(3):
            assert len(_names_in(world)) == 19
        assert len(searched) == 20
        # One that changes is searched again, with the same size and time of change, too.
        status = (tmp_path / "3.txt").stat()
        key = PEM[: len(OPEN)].ljust(len(OPEN))
        while (tmp_path / "3.txt").stat().st_ctime_ns == status.st_ctime_ns:
            (tmp_path / "3.txt").write_bytes(key)
            os.utime(tmp_path / "3.txt", ns=(status.st_mtime_ns, status.st_mtime_ns))
        _names_in(world)
        assert len(searched) == 21


def test_what_is_remembered_of_files_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_module, "_MOST_VERDICTS", 5)
    for number in range(20):
        (tmp_path / f"{number}.txt").write_bytes(OPEN)
    _later(monkeypatch)
    site = Site(str(tmp_path))
    for number in range(20):
        opened = site.open((f"{number}.txt",))
        assert opened.file is not None
        opened.file.close()
    assert len(site._verdicts._known) == 5  # pyright: ignore[reportPrivateUsage]


def test_a_listing_of_more_files_than_are_remembered_searches_few_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_module, "_MOST_VERDICTS", 100)
    for number in range(110):
        (tmp_path / f"{number}.txt").write_bytes(OPEN)
    _later(monkeypatch)
    site, searched = Site(str(tmp_path)), list[int]()

    def counted(file: BinaryIO) -> str | None:
        searched.append(1)
        return key_material_in(file)

    monkeypatch.setattr(site_module, "key_material_in", counted)
    for _ in range(2):
        searched.clear()
        for number in range(110):
            opened = site.open((f"{number}.txt",))
            assert opened.file is not None
            opened.file.close()
    assert len(searched) < 60


def test_a_file_that_was_just_written_is_searched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its times may stay as they are when it changes once more: clocks of file systems tick."""
    path = tmp_path / "new.txt"
    path.write_bytes(b"x" * len(PEM))
    before = path.stat()
    really = os.fstat
    monkeypatch.setattr(
        os,
        "fstat",
        lambda number: before if really(number).st_ino == before.st_ino else really(number),
    )
    monkeypatch.setattr(time, "time_ns", lambda: before.st_ctime_ns + 50_000_000)
    site = Site(str(tmp_path))
    opened = site.open(("new.txt",))
    assert opened.file is not None
    opened.file.close()
    path.write_bytes(PEM)
    with pytest.raises(NotServedError):
        site.open(("new.txt",))


def test_traces_are_looked_through_once_for_a_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strangers make traces: a listing costs no entry times trace."""
    traces, site = tmp_path / "traces", tmp_path / "site"
    traces.mkdir()
    site.mkdir()
    scanned: list[Any] = []
    really = os.scandir

    def noted(path: Any) -> Any:
        scanned.append(path)
        return really(path)

    for number in range(20):
        (traces / f"{number}.json").write_bytes(b"")
        (site / f"{number}.txt").write_bytes(OPEN)
        (tmp_path / f"{number}.txt").hardlink_to(site / f"{number}.txt")
    (site / "trace.txt").hardlink_to(traces / "3.json")
    monkeypatch.setattr(os, "scandir", noted)
    with running(files_of(site, private=[traces])) as world:
        listed = _names_in(world)
    assert len(listed) == 20
    assert "trace.txt" not in listed
    assert len(scanned) <= 3  # For the directory, and each of the two indexes that might be there.


def _names_in(world: World) -> set[str]:
    """The names in a listing."""
    return names_listed(world.ask("/").body)
