"""`cert check`, and the options that say how strictly a certificate is judged."""

from __future__ import annotations

import json
import re
import socket
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.cli.conftest import Run, started
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of

from handclasp import Credentials, ServerConfig, wrap_server
from handclasp.certificates.describe import spki_pin
from handclasp.testing.authority import client_leaf

KEY = key_of_type("ecdsa-p256")


class Files:
    """A leaf of a fresh authority, and both as files."""

    def __init__(self, directory: Path, leaf: Leaf | None = None) -> None:
        self.directory = directory
        self.pki = Pki()
        self.leaf = self.pki.issue(leaf or Leaf(), KEY.public_key())
        self.chain = self.write("chain.pem", pem_of(self.leaf))
        self.key = self.write("key.pem", key_pem(KEY))
        self.ca = self.write("ca.pem", self.pki.pem)

    def write(self, name: str, data: bytes) -> str:
        path = self.directory / name
        path.write_bytes(data)
        return str(path)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


class TestCheck:
    def test_trusted(self, run: Run, files: Files) -> None:
        result = run("cert", "check", files.chain, "--name", "localhost", "--ca", files.ca)
        assert result.exit_code == 0, result.output
        assert result.stdout.endswith("Trusted: every rule held.\n")
        assert all(len(line) <= 80 for line in result.stdout.splitlines())
        assert "  ok  names" in result.stdout

    @pytest.mark.parametrize("last", [0, 1])
    def test_a_file_in_the_wrong_order(self, run: Run, files: Files, last: int) -> None:
        """The cause comes first, and nobody is told to get a certificate that is in the file."""
        lower = files.pki.intermediate("lower")
        leaf = lower.issue(Leaf(), KEY.public_key())
        above = [lower.certificate, files.pki.certificate]
        file = files.write("order.pem", pem_of(*above[last:], *above[:last], leaf))
        command = ("cert", "check", file, "--name", "localhost", "--ca", files.ca)
        result = run(*command)
        told = " ".join(result.stdout.split())
        assert result.exit_code == 1
        assert told.startswith(
            "The certificates are not in order: the server's own one, localhost, which is "
            "number 3, comes first,"
        )
        assert f"`handclasp cert fix` makes the right chain out of {file}." in told
        assert told.index("cert fix") < told.index("The certificate: ")
        assert "Get a certificate" not in told
        as_json = json.loads(run(*command, "--json").stdout)
        assert as_json["fix"] == " ".join(as_json["chain"])
        assert as_json["fix"].startswith("The certificates are not in order")

    def test_a_chain_of_a_client_in_the_wrong_order(self, run: Run, files: Files) -> None:
        lower = files.pki.intermediate("lower")
        leaf = lower.issue(client_leaf("alice"), KEY.public_key())
        file = files.write("order.pem", pem_of(lower.certificate, leaf))
        checked = run("cert", "check", file, "--client", "--ca", files.ca).stdout
        fixed = run("cert", "fix", file, "--ca", files.ca).stderr
        for told in (checked, fixed):
            assert "the client's own one, CN=alice, which is number 2" in " ".join(told.split())
            assert "server" not in told

    @pytest.mark.parametrize("name", [(), ("--name", "localhost")])
    def test_a_key_in_place_of_a_certificate(
        self, run: Run, files: Files, name: tuple[str, ...]
    ) -> None:
        result = run("cert", "check", files.key, *name)
        assert result.exit_code == 2
        assert result.stderr.endswith("key.pem holds a private key, and no certificate.\n")

    def test_not_trusted(self, run: Run, files: Files) -> None:
        result = run("cert", "check", files.chain, "--name", "example.org", "--ca", files.ca)
        assert result.exit_code == 1
        assert "  NO  names" in result.stdout
        assert "Not trusted: it is for localhost, not for example.org." in result.stdout
        assert (
            "On this end: Connect by a name that is in the certificate, such as localhost"
            in " ".join(result.stdout.split())
        )

    def test_json(self, run: Run, files: Files) -> None:
        arguments = ("cert", "check", files.chain, "--client", "--ca", files.ca, "--json")
        result = run(*arguments)
        assert result.exit_code == 1
        told = json.loads(result.stdout)
        assert (told["accepted"], told["fault"]) == (False, "CERTIFICATE_WRONG_PURPOSE")

    def test_at_another_time(self, run: Run, files: Files) -> None:
        arguments = ("cert", "check", files.chain, "--name", "localhost", "--ca", files.ca)
        result = run(*arguments, "--at", "2099-01-01")
        assert result.exit_code == 1
        said = " ".join(result.stdout.split())
        assert "expired at" in said
        assert "the time asked for (--at) is 2099-01-01" in said
        early = " ".join(run(*arguments, "--at", "2001-01-01").stdout.split())
        assert "the time asked for (--at) is 2001-01-01" in early
        assert "is valid from" in early
        # As even the authority is out of its dates then, the clock would else be to blame.
        for text in (said, early):
            assert "Not trusted" in text
            assert "clock" not in text
            assert "valid now" not in text
        result = run(*arguments, "--at", "tomorrow")
        assert (result.exit_code, "write it as" in result.stderr) == (2, True)

    def test_the_record_that_would_do(self, run: Run, files: Files) -> None:
        arguments = ("cert", "check", files.chain, "--name", "localhost", "--ca", files.ca)
        result = run(*arguments, "--tlsa", f"3 1 1 {'ab' * 32}")
        assert result.exit_code == 1
        (record,) = set(re.findall(r'"(3 1 1 [0-9a-f]{64})"', " ".join(result.stdout.split())))
        shown = run("cert", "show", files.chain).stdout
        assert re.search(rf"TLSA record\n +{record}$", shown, re.MULTILINE)
        assert run(*arguments, "--tlsa", record).exit_code == 0

    def test_with_a_staple_and_a_list(self, run: Run, files: Files) -> None:
        revoked = files.write("r.ocsp", files.pki.ocsp_response(files.leaf, "revoked"))
        listed = files.write("r.crl", files.pki.crl([files.leaf]).public_bytes(Encoding.PEM))
        for options in (("--ocsp", revoked), ("--crl", listed)):
            arguments = ("cert", "check", files.chain, "--name", "localhost", "--ca", files.ca)
            result = run(*arguments, *options)
            assert result.exit_code == 1
            assert "The certificate was revoked by its issuer." in result.stdout

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ((), "Give the server's --name, or --client"),
            (("--name", "localhost", "--client"), "Give the server's --name, or --client"),
            (("--name", "no name!"), "neither a DNS name nor an IP address"),
            (("--name", "localhost", "--pin", "x"), "is not a pin"),
            (("--name", "localhost", "--tlsa", "1 1 1 00"), "usage"),
            (("--name", "localhost", "--crl", "nowhere.crl"), "nowhere.crl"),
            (("--name", "localhost", "--ocsp", "nowhere"), "There is no file nowhere"),
        ],
    )
    def test_wrong_arguments(
        self, run: Run, files: Files, arguments: tuple[str, ...], words: str
    ) -> None:
        result = run("cert", "check", files.chain, "--ca", files.ca, *arguments)
        assert result.exit_code == 2, result.output
        assert words in result.stderr


class TestConnecting:
    def test_a_staple_is_served_and_demanded(self, run: Run, files: Files) -> None:
        staple = files.write("good.ocsp", files.pki.ocsp_response(files.leaf))
        server = ("serve", "--port", "0", "--cert", files.chain, "--key", files.key)
        for options, status in ((("--ocsp", staple), 0), ((), 1)):
            with started(*server, *options) as process:
                address = f"localhost:{process.port}"
                result = run("connect", address, "--ca", files.ca, "--require-ocsp", "--json")
            assert result.exit_code == status, result.output

    def test_explain(self, run: Run, files: Files) -> None:
        server = ("serve", "--port", "0", "--cert", files.chain, "--key", files.key)
        with started(*server) as process:
            arguments = ("connect", f"localhost:{process.port}", "--ca", files.ca, "--explain")
            told = run(*arguments, "--send", r"GET / HTTP/1.0\r\n\r\n").stderr
            explanation = json.loads(run(*arguments, "--json").stdout)["explanation"]
        assert "Trusted: every rule held." in told
        assert explanation["accepted"]

    def test_raw_public_key_options(self, run: Run, files: Files) -> None:
        rubbish = files.write("rubbish", b"rubbish")
        result = run("connect", "localhost:1", "--raw-public-key", rubbish)
        assert result.exit_code == 2
        assert "must be a SubjectPublicKeyInfo" in result.stderr

    @pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
    def test_a_server_with_a_raw_public_key(self, run: Run, files: Files, version: str) -> None:
        credentials = Credentials.raw_public_key(key_pem(KEY))
        key = files.write("key.der", credentials.chain_der[0])
        pin = spki_pin(KEY.public_key())
        config = ServerConfig(credentials=credentials, versions=[version])
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = f"localhost:{listener.getsockname()[1]}"
            arguments = ("connect", address, "--raw-public-key", key)

            def serve() -> None:
                for _ in range(3):
                    wrap_server(listener.accept()[0], config).close()

            thread = threading.Thread(target=serve)
            thread.start()
            told = run(*arguments, "--send", "")
            as_json = run(*arguments, "--json")
            page = str(files.directory / "raw.html")
            traced = run(*arguments, "--send", "", "--trace", page)
            thread.join(10)
        assert told.exit_code == 0, told.stderr
        assert pin in told.stderr
        assert json.loads(as_json.stdout)["peer"] == {"raw_public_key": pin, "verified": True}
        assert traced.exit_code == 0
        assert "A raw public key, without a certificate" in Path(page).read_text()

    @pytest.mark.parametrize(
        "options",
        [
            ("--profile", "private"),
            ("--pin", spki_pin(KEY.public_key())),
            ("--require-ocsp",),
            ("--tlsa", "3 1 1 " + "00" * 32),
            ("--explain",),
        ],
    )
    def test_nothing_is_judged_with_insecure(self, run: Run, options: tuple[str, ...]) -> None:
        result = run("connect", "localhost:1", "--insecure", *options)
        assert result.exit_code == 2
        assert f"{options[0]} and --insecure exclude each other" in result.stderr

    def test_a_staple_needs_its_certificate(self, run: Run, files: Files) -> None:
        result = run("serve", "--ocsp", files.chain)
        assert result.exit_code == 2
        assert "--ocsp needs --cert and --key" in result.stderr
