"""`handclasp serve --fault`: the list, a server of each kind, and the arguments that do not fit."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest
from tests.cli.conftest import Process, Run, started
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of

import handclasp
from handclasp import (
    CertificatePolicy,
    ClientConfig,
    PeerAlertError,
    RevocationLists,
    TLSError,
    TrustStore,
)
from handclasp.certificates.authority import LocalAuthority
from handclasp.testing import SERVER_FAULTS


def failure(process: Process, config: ClientConfig) -> TLSError:
    with pytest.raises(TLSError) as raised:
        handclasp.connect("localhost", process.port, config, timeout=20)
    return raised.value


def path_in(process: Process, ending: str) -> Path:
    found = re.search(rf"\S*{ending}", "\n".join([process.announced, *process.said]))
    assert found is not None, process.said
    return Path(found[0])


def test_the_list(run: Run) -> None:
    text = run("serve", "--fault", "list").stdout
    assert all(re.search(rf"^\s*{re.escape(name)}  ", text, re.MULTILINE) for name in SERVER_FAULTS)
    assert "alert:NAME" in text
    assert "The right answer is the alert decrypt_error (RFC 8446 4.4.4)." in " ".join(text.split())
    lines = run("serve", "--fault", "list", "--json").stdout.splitlines()
    assert [json.loads(line)["name"] for line in lines] == list(SERVER_FAULTS)
    assert json.loads(lines[0])["alert"] == "certificate_expired"


def test_a_fault_of_the_certificate() -> None:
    with started("serve", "--fault", "expired", "--port", "0") as process:
        process.line("Ctrl-C ends it")
        ca = path_in(process, r"ca\.pem")
        error = failure(process, ClientConfig(trust=TrustStore.from_pem(ca)))
        assert error.fault_name == "CERTIFICATE_EXPIRED"
        process.line(r"^The client at 127\.0\.0\.1:\d+ refused it with the alert certificate_exp")
        assert process.end(signal.SIGTERM) == 0
    assert not ca.parent.exists()


def test_a_fault_of_the_protocol() -> None:
    with started("serve", "--fault", "bad-finished", "--port", "0") as process:
        process.line("The certificate is from this machine's own authority")
        trust = LocalAuthority.open_or_create(path_in(process, r"ca\.pem").parent).trust
        assert failure(process, ClientConfig(trust=trust)).fault_name == "BAD_FINISHED"
        process.line("refused it with the alert decrypt_error")
        assert process.end(signal.SIGINT) == 0


def test_a_revocation_list(tmp_path: Path) -> None:
    place = tmp_path / "new" / "files"
    options = ("--fault", "revoked-crl", "--port", "0", "--fault-files", str(place))
    with started("serve", *options) as process:
        process.line("The revocation list is")
        lists = RevocationLists.from_files(place / "crl.pem")
        config = ClientConfig(
            trust=TrustStore.from_pem(place / "ca.pem"), policy=CertificatePolicy(crls=lists)
        )
        assert failure(process, config).fault_name == "CERTIFICATE_REVOKED"
    assert (place / "ca.pem").exists()


def test_json_and_own_credentials(tmp_path: Path) -> None:
    pki, key = Pki(), key_of_type("ecdsa-p256")
    (tmp_path / "chain.pem").write_bytes(pem_of(pki.issue(Leaf(), key.public_key())))
    (tmp_path / "key.pem").write_bytes(key_pem(key))
    (tmp_path / "key.pem").chmod(0o600)
    own = ("--cert", str(tmp_path / "chain.pem"), "--key", str(tmp_path / "key.pem"))
    with started("serve", "--fault", "alert:internal_error", "--json", "--port", "0", *own) as each:
        error = failure(each, ClientConfig(trust=pki.trust))
        assert isinstance(error, PeerAlertError)
        told = json.loads(each.line('"fault"'))
        address = told.pop("address")
        assert address.startswith("127.0.0.1:")
        assert told == {"fault": "alert:internal_error", "result": "left", "alert": ""}


def test_an_echo() -> None:
    with started("serve", "--fault", "unclean-close", "--echo", "--port", "0") as process:
        process.line("own authority")
        trust = LocalAuthority.open_or_create(path_in(process, r"ca\.pem").parent).trust
        config = ClientConfig(trust=trust)
        with handclasp.connect("localhost", process.port, config, timeout=20) as tls:
            tls.sendall(b"ping")
            assert tls.recv(10) == b"ping"
            with pytest.raises(handclasp.TruncationError):
                tls.recv(10)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fault", "expird"], "There is no fault 'expird'"),
        (["--fault", "alert:nothing"], "There is no alert 'nothing'"),
        (["--fault", "expired", "--workers", "2"], "--workers has no effect beside --fault"),
        (["--fault", "expired", "--tls12"], "--tls12 has no effect beside --fault"),
        (["--fault", "expired", "."], "DIR has no effect beside --fault"),
        (["--fault-files", "x"], "--fault-files needs --fault NAME"),
        (["--fault", "silent", "--cert", "a", "--cert", "b"], "--fault takes one --cert"),
    ],
)
def test_arguments_that_do_not_fit(run: Run, arguments: list[str], said: str) -> None:
    result = run("serve", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_certificate_for_a_fault_of_certificates(run: Run, tmp_path: Path) -> None:
    authority = LocalAuthority.open_or_create(tmp_path / "authority")
    issued = authority.issue(["localhost"])
    (tmp_path / "chain.pem").write_bytes(issued.chain_pem)
    (tmp_path / "key.pem").write_bytes(issued.key_pem)
    own = ("--cert", str(tmp_path / "chain.pem"), "--key", str(tmp_path / "key.pem"))
    result = run("serve", "--fault", "expired", *own)
    assert result.exit_code == 2
    assert "makes a certificate of its own" in result.stderr
