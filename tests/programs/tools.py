"""Programs that hide their TLS: the client of AWS, and pip."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from tests.programs.case import Case, Unproven
from tests.programs.peers import HOST, Handler, http_port
from tests.programs.registry import Program

_OBJECT = b"an object, " * 9000


class _Storage(Handler):
    """Answers as S3 does for one object."""

    def do_GET(self) -> None:
        self.answer(_OBJECT)


def with_botocore(case: Case) -> None:
    import botocore.exceptions
    import botocore.session
    from botocore.config import Config

    url = f"https://{HOST}:{http_port(case, _Storage)}"

    def fetch(ca: str) -> None:
        client: Any = botocore.session.get_session().create_client(
            "s3",
            region_name="eu-central-1",
            endpoint_url=url,
            verify=ca,
            aws_access_key_id="id",
            aws_secret_access_key="secret",
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
        )
        if client.get_object(Bucket="bucket", Key="key")["Body"].read() != _OBJECT:
            raise Unproven("another object came")

    fetch(case.ca)
    case.refused(lambda: fetch(case.wrong_ca), botocore.exceptions.SSLError)


def _wheel() -> bytes:
    """A wheel of a package without content."""
    info = "example-1.0.dist-info"
    files = {
        "example.py": "",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: example\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        record += f"{name},sha256={digest.decode()},{len(text)}\n"
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        file.seek(0)
        return file.read()


_FILE = "example-1.0-py3-none-any.whl"


class _Index(Handler):
    """A package index of one package."""

    wheel = _wheel()

    def do_GET(self) -> None:
        if self.path == "/simple/example/":
            self.answer(f'<!DOCTYPE html><a href="/{_FILE}">{_FILE}</a>'.encode(), "text/html")
        else:
            self.answer(self.wheel)


def with_pip(case: Case) -> None:
    """`python -m handclasp.compat -m pip download`, from an index of our own."""
    url = f"https://{HOST}:{http_port(case, _Index)}/simple/"

    def download(ca: str, directory: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "handclasp.compat", *options, "-m", "pip", "-vvv"]
        command += ["--isolated", "--disable-pip-version-check", "--no-input", "--cert", ca]
        command += ["--retries", "0", "--no-cache-dir", "download", "--no-deps"]
        command += ["--index-url", url, "--dest", directory, "example"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    with tempfile.TemporaryDirectory() as directory:
        traces = Path(directory) / "traces"
        traces.mkdir()
        made = download(case.ca, directory, "--trace", str(traces))
        if made.returncode or not (Path(directory) / _FILE).exists():
            raise Unproven(made.stdout + made.stderr)
        if not list(traces.iterdir()):
            raise Unproven("no connection of pip was handclasp's")
    with tempfile.TemporaryDirectory() as directory:
        made = download(case.wrong_ca, directory)
        if not made.returncode:
            raise Unproven("a wrong authority was accepted")
        if "CERTIFICATE_VERIFY_FAILED" not in made.stdout + made.stderr:
            raise Unproven(made.stdout[-500:] + made.stderr[-500:])
        if "(pip: --cert FILE" not in made.stderr.rpartition("The program has ended")[2]:
            raise Unproven(f"no explanation at the end: {made.stderr[-500:]}")


PROGRAMS = [
    Program(
        "botocore",
        with_botocore,
        ("botocore",),
        "http.server, with the answer of S3",
        not_possible={"passed": "it takes no context, and makes its own"},
    ),
    Program(
        "pip",
        with_pip,
        ("pip",),
        "http.server, as a package index",
        not_possible={"passed": "it takes no context: `python -m handclasp.compat -m pip`"},
        remark="it prints the text of ours alone; the explanation follows where it has ended",
        own_checks=True,
    ),
]
