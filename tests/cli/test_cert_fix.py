"""`handclasp cert fix`: chains put in order, and missing issuers fetched, if that is wanted."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import AuthorityInformationAccessOID
from tests.cli.conftest import Run
from tests.pki import Authority, Leaf, Pki, der_of, key_of_type, key_pem, pem_of

from handclasp import ConfigurationError, Credentials
from handclasp.certificates.reading import certificates_of
from handclasp.testing.authority import self_signed

KEY = key_of_type("ecdsa-p256")


class Store:
    """A web server with files; `asked` are the paths of requests."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        store = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                store.asked.append(self.path)
                body = store.files.get(self.path)
                self.send_response(200 if body is not None else 404)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}{path}"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    store = Store()
    thread = threading.Thread(target=store.server.serve_forever, args=(0.01,))
    thread.start()
    yield store
    store.server.shutdown()
    thread.join(30)
    store.server.server_close()


@pytest.fixture
def pki() -> Pki:
    return Pki()


@pytest.fixture
def ca(pki: Pki, tmp_path: Path) -> str:
    path = tmp_path / "root.pem"
    path.write_bytes(pki.ca_pem)
    return str(path)


@pytest.fixture
def lower(pki: Pki) -> Authority:
    return pki.intermediate("lower")


def leaf_of(issuer: Authority, url: str = "") -> x509.Certificate:
    kind = AuthorityInformationAccessOID.CA_ISSUERS
    access = x509.AccessDescription(kind, x509.UniformResourceIdentifier(url))
    extra = x509.AuthorityInformationAccess([access]) if url else None
    return issuer.issue(Leaf(["localhost"]), KEY.public_key(), extra)


def written(path: Path, *certificates: x509.Certificate) -> str:
    path.write_bytes(pem_of(*certificates))
    return str(path)


def test_the_right_order_goes_to_standard_output(
    run: Run, pki: Pki, lower: Authority, ca: str, tmp_path: Path
) -> None:
    leaf = leaf_of(lower)
    file = written(tmp_path / "chain.pem", pki.certificate, lower.certificate, leaf)
    made = run("cert", "fix", file, "--ca", ca)
    assert made.exit_code == 0
    assert certificates_of(made.stdout.encode()) == [leaf, lower.certificate]
    told = " ".join(made.stderr.split())
    assert "not in order" in told
    assert "is not needed: it is the root" in told


def test_a_good_chain_is_said_to_be_one(
    run: Run, lower: Authority, ca: str, tmp_path: Path
) -> None:
    file = written(tmp_path / "chain.pem", leaf_of(lower), lower.certificate)
    made = run("cert", "fix", file, "--ca", ca, "--out", file)
    assert made.exit_code == 0
    assert made.stderr == "The chain is complete and in order.\n"
    assert made.stdout == ""


@pytest.mark.skipif(os.name != "posix", reason="pipes have paths in POSIX alone")
def test_a_chain_that_can_be_read_only_once(
    run: Run, lower: Authority, ca: str, tmp_path: Path
) -> None:
    """The shell names a pipe in the place of `<(command)`."""
    chain = pem_of(leaf_of(lower), lower.certificate)
    reading, writing = os.pipe()
    os.write(writing, chain)
    os.close(writing)
    try:
        made = run("cert", "fix", f"/dev/fd/{reading}", "--ca", ca)
    finally:
        os.close(reading)
    assert (made.exit_code, made.stdout.encode()) == (0, chain)


def test_a_certificate_that_signed_itself_is_trusted_by_nobody(run: Run, tmp_path: Path) -> None:
    own, _ = self_signed()
    file = written(tmp_path / "self.pem", own)
    made = run("cert", "fix", file)
    assert (made.exit_code, certificates_of(made.stdout.encode())) == (0, [own])
    told = " ".join(made.stderr.split())
    assert told.startswith("CN=localhost is self-signed: it needs no other certificate")
    assert "nobody trusts it without having been given it" in told
    assert json.loads(run("cert", "fix", file, "--json").output)["findings"]
    assert run("cert", "fix", file, "--ca", file).stderr == "The chain is complete and in order.\n"


def test_what_is_missing_is_named_and_not_fetched(
    run: Run, lower: Authority, ca: str, tmp_path: Path, store: Store
) -> None:
    leaf = leaf_of(lower, store.url("/lower.cer"))
    made = run("cert", "fix", written(tmp_path / "chain.pem", leaf), "--ca", ca, "--json")
    told = json.loads(made.output)
    assert made.exit_code == 1
    assert not told["complete"]
    assert told["missing"]["subject"] == "CN=lower"
    assert told["missing"]["urls"] == [store.url("/lower.cer")]
    assert store.asked == []


def test_the_end_that_has_to_trust_a_root_is_named(
    run: Run, lower: Authority, ca: str, tmp_path: Path
) -> None:
    file = written(tmp_path / "chain.pem", leaf_of(lower))
    for role, verifier in ((["--client"], "server"), (["--name", "localhost"], "client")):
        made = run("cert", "check", file, "--ca", ca, *role)
        assert f"if it is a root, which the {verifier} has to have itself" in " ".join(
            made.output.split()
        )


def test_an_intermediate_alone_is_incomplete(
    run: Run, lower: Authority, ca: str, tmp_path: Path
) -> None:
    file = written(tmp_path / "chain.pem", lower.certificate)
    made = run("cert", "fix", file, "--ca", ca)
    assert made.exit_code == 1
    assert "own certificate is not there" in " ".join(made.stderr.split())
    told = json.loads(run("cert", "fix", file, "--ca", ca, "--json").output)
    assert (told["complete"], told["has_leaf"], told["missing"]) == (False, False, None)


def test_without_an_authority_the_option_for_it_is_named(
    run: Run, lower: Authority, ca: str, tmp_path: Path
) -> None:
    file = written(tmp_path / "chain.pem", leaf_of(lower), lower.certificate)
    made = run("cert", "fix", file)
    assert made.exit_code == 1
    assert "--ca FILE with it tells" in " ".join(made.stderr.split())
    assert "--ca" not in run("cert", "fix", file, "--ca", ca).stderr


@pytest.mark.parametrize("form", ["der", "pem", "pkcs7"])
def test_what_is_missing_is_fetched(
    form: str, run: Run, lower: Authority, ca: str, tmp_path: Path, store: Store
) -> None:
    store.files["/lower.cer"] = {
        "der": der_of(lower.certificate)[0],
        "pem": pem_of(lower.certificate),
        "pkcs7": pkcs7.serialize_certificates([lower.certificate], Encoding.DER),
    }[form]
    leaf = leaf_of(lower, store.url("/lower.cer"))
    out = tmp_path / "full.pem"
    file = written(tmp_path / "chain.pem", leaf)
    made = run("cert", "fix", file, "--ca", ca, "--fetch", "--out", str(out))
    assert made.exit_code == 0, made.output
    assert certificates_of(out.read_bytes()) == [leaf, lower.certificate]
    assert "has the issuer's certificate" in " ".join(made.output.split())


def test_what_is_fetched_must_be_the_issuer_and_of_bounded_size(
    run: Run, lower: Authority, ca: str, tmp_path: Path, store: Store
) -> None:
    for name, data in (
        ("other", der_of(Pki().intermediate("lower", "ecdsa-p384").certificate)[0]),
        ("large", bytes(1 << 20)),
        ("junk", b"junk"),
    ):
        store.files[f"/{name}"] = data
        leaf = leaf_of(lower, store.url(f"/{name}"))
        made = run("cert", "fix", written(tmp_path / f"{name}.pem", leaf), "--ca", ca, "--fetch")
        assert made.exit_code == 1
        assert certificates_of(made.stdout.encode()) == [leaf]
    leaf = leaf_of(lower, store.url("/not-there"))
    made = run("cert", "fix", written(tmp_path / "x.pem", leaf), "--ca", ca, "--fetch")
    assert "404" in made.stderr


def test_a_file_with_a_key_is_not_overwritten(
    run: Run, lower: Authority, ca: str, tmp_path: Path
) -> None:
    path = tmp_path / "both.pem"
    path.write_bytes(key_pem(KEY) + pem_of(leaf_of(lower)))
    before = path.read_bytes()
    made = run("cert", "fix", str(path), "--ca", ca, "--out", str(path))
    assert made.exit_code == 2
    assert "private key" in made.output
    assert path.read_bytes() == before


def test_check_points_to_it(run: Run, lower: Authority, ca: str, tmp_path: Path) -> None:
    file = written(tmp_path / "chain.pem", leaf_of(lower, "http://ca.example/lower.cer"))
    made = run("cert", "check", file, "--name", "localhost", "--ca", ca)
    told = " ".join(made.output.split())
    assert "handclasp cert fix --fetch" in told
    assert "http://ca.example/lower.cer" in told


def test_a_root_alone_is_no_chain(run: Run, pki: Pki, ca: str, tmp_path: Path) -> None:
    out = tmp_path / "out.pem"
    for roots in ([pki.certificate], [pki.certificate, pki.certificate], [Pki().certificate]):
        file = written(tmp_path / "root.pem", *roots)
        made = run("cert", "fix", file, "--ca", ca, "--out", str(out))
        assert made.exit_code == 2
        assert not out.exists()
        assert "CN=test root is a root, which is not sent" in " ".join(made.output.split())


def test_a_certificate_that_is_cut_off_is_told(
    run: Run, lower: Authority, ca: str, tmp_path: Path
) -> None:
    leaf = leaf_of(lower)
    whole = pem_of(leaf, lower.certificate)
    key = tmp_path / "key.pem"
    key.write_bytes(key_pem(KEY))
    for size in (len(whole) - 100, len(whole) - 5, whole.rindex(b"-----BEGIN") + 20):
        file = tmp_path / "chain.pem"
        file.write_bytes(b"A remark.\n" + whole[:size])
        made = run("cert", "fix", str(file), "--ca", ca)
        told = " ".join(made.stderr.split())
        assert made.exit_code == 1
        line = whole[: whole.rindex(b"-----BEGIN")].count(b"\n") + 2
        assert f"begins in line {line} of {file} is cut off" in told
        assert certificates_of(made.stdout.encode()) == [leaf]
        for command in ("show", "check"):
            options = ("--ca", ca, "--name", "localhost") if command == "check" else ()
            refused = run("cert", command, str(file), *options)
            assert refused.exit_code == 2
            assert "is cut off. Copy the whole file." in " ".join(refused.output.split())
        with pytest.raises(ConfigurationError, match=f"begins in line {line} is cut off"):
            Credentials.load(str(file), str(key))


def test_a_certificate_that_is_alone_and_cut_off(
    run: Run, lower: Authority, tmp_path: Path
) -> None:
    file = tmp_path / "chain.pem"
    file.write_bytes(pem_of(leaf_of(lower))[:300])
    made = run("cert", "fix", str(file))
    assert made.exit_code == 2
    assert "begins in line 1 is cut off" in " ".join(made.output.split())
