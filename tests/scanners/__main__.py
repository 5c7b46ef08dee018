"""`python -m tests.scanners`: sslyze, testssl.sh and sslscan on `handclasp serve`, nothing but OK.

And CPython's own test_ssl, whose clients meet our server, and whose servers meet our client; see
`cpython` and `cpython_client`.

sslyze checks Mozilla's "intermediate" configuration against the server as it is, and "modern"
against `--tls13`; it lives in an environment of its own, as it is linked with an OpenSSL of its
own. testssl.sh and sslscan come from Debian. A judge that is not installed is told, and makes the
status 1, too.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.children import child
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of
from tests.scanners.runs import SSLYZE

ABOUT_THE_CERTIFICATE = {
    "cert_revocation": "the authority of a test has no CRL and no OCSP responder",
    "engine_problem": "about testssl's own OpenSSL",
    "OCSP_stapling": "the same",
}
"""What testssl.sh says of the certificate that was made for it, and not of the server."""

GOOD = ("OK", "INFO", "DEBUG")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.scanners")
    parser.add_argument(
        "judges", metavar="JUDGE", nargs="*", default=["sslyze", "sslscan", "testssl", "cpython"]
    )
    options = parser.parse_args()
    verdicts: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder)
        with serving(folder) as port, serving(folder, "--tls13") as modern:
            if "sslyze" in options.judges:
                verdicts["sslyze, Mozilla intermediate"] = sslyze("intermediate", port, folder)
                verdicts["sslyze, Mozilla modern"] = sslyze("modern", modern, folder)
            if "sslscan" in options.judges:
                verdicts["sslscan"] = sslscan(port)
            if "testssl" in options.judges:
                verdicts["testssl.sh"] = testssl(port, folder)
    if "cpython" in options.judges:
        verdicts["CPython's test_ssl, our server"] = cpython("cpython")
        verdicts["CPython's test_ssl, our client"] = cpython("cpython_client")
    for name, problems in verdicts.items():
        print(f"{name}: {'nothing but OK' if not problems else ''}")
        for problem in problems:
            print(f"    {problem}")
    return 1 if any(verdicts.values()) else 0


def write_files(folder: Path) -> None:
    """A certificate for localhost: testssl.sh wants 60 days from now, Mozilla at most 90 in all."""
    pki = Pki()
    key = key_of_type("ecdsa-p256")
    leaf = Leaf(("localhost",), not_after=pki.now + timedelta(days=80))
    (folder / "chain.pem").write_bytes(pem_of(pki.issue(leaf, key.public_key())))
    (folder / "key.pem").write_bytes(key_pem(key))
    (folder / "ca.pem").write_bytes(pki.ca_pem)


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[int]:
    """`handclasp serve --echo`, and its port."""
    command = [sys.executable, "-m", "handclasp", "serve", "--echo", "--port", "0"]
    command += ["--cert", str(folder / "chain.pem"), "--key", str(folder / "key.pem"), *options]
    with child(command, folder) as server:
        yield int(server.wait_for(r"Listening on [^ ]*:(\d+)")[1])


def sslyze(configuration: str, port: int, folder: Path) -> list[str]:
    if not SSLYZE.exists():
        return [f"not installed: there is no {SSLYZE}"]
    done = run(
        str(SSLYZE),
        f"--mozilla_config={configuration}",
        f"--certinfo_ca_file={folder / 'ca.pem'}",
        "--sni=localhost",
        f"127.0.0.1:{port}",
    )
    if done.returncode == 0 and "OK - Compliant" in done.stdout:
        return []
    return done.stdout.partition("COMPLIANCE AGAINST")[2].splitlines() or [done.stderr[-500:]]


def sslscan(port: int) -> list[str]:
    program = shutil.which("sslscan")
    if program is None:
        return ["not installed: apt-get install sslscan"]
    done = run(program, "--no-colour", "--sni-name=localhost", f"127.0.0.1:{port}")
    bad = re.compile(r"(SSLv[23]|TLSv1\.[01])\s+enabled|(?<!not )vulnerable|insecure|weak", re.I)
    problems = [line for line in done.stdout.splitlines() if bad.search(line)]
    if "TLSv1.3   enabled" not in done.stdout:
        problems.append(f"it saw no TLS 1.3: {done.stdout[-300:]}")
    return problems


def testssl(port: int, folder: Path) -> list[str]:
    program = shutil.which("testssl")
    if program is None:
        return ["not installed: apt-get install testssl.sh"]
    told = folder / "testssl.json"
    run(
        *(program, "--quiet", "--color", "0", "--nodns", "none", "--warnings", "off"),
        *("--add-ca", str(folder / "ca.pem"), "--jsonfile", str(told), "--ip", "127.0.0.1"),
        f"localhost:{port}",
    )
    if not told.exists():
        return ["it told nothing"]
    found: list[dict[str, Any]] = json.loads(told.read_text())
    judged = [each for each in found if each["severity"] in GOOD]
    problems = [
        f"{each['severity']} {each['id']}: {each['finding']}"
        for each in found
        if each["severity"] not in GOOD and each["id"] not in ABOUT_THE_CERTIFICATE
    ]
    return problems if len(judged) > 50 else [*problems, f"only {len(judged)} findings"]


def cpython(module: str) -> list[str]:
    done = run(sys.executable, "-m", f"tests.scanners.{module}")
    print(done.stdout.strip().splitlines()[-1:] or done.stderr[-500:])
    return [] if done.returncode == 0 else done.stderr.splitlines()[-20:]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=3600, check=False)


if __name__ == "__main__":
    sys.exit(main())
