"""A key that others can read or change is used, and not without a word."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of

from handclasp import ConfigurationError, Credentials, ServerConfig
from handclasp.certificates.reloading import SECONDS_BETWEEN_LOOKS

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")

KEY = key_of_type("ecdsa-p256")


@pytest.fixture
def chain(tmp_path: Path, pki: Pki) -> Path:
    path = tmp_path / "chain.pem"
    path.write_bytes(pem_of(pki.issue(Leaf(), KEY.public_key())))
    return path


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.write_bytes(key_pem(KEY))
    return path


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        (0o644, "can be read by every user of this machine"),
        (0o604, "can be read by every user of this machine"),
        (0o666, "can be changed by other users of this machine"),
        (0o620, "can be changed by other users of this machine"),
        (0o600, ""),
        (0o400, ""),
        (0o640, ""),
    ],
)
def test_it_depends_on_the_mode(
    chain: Path, key: Path, caplog: pytest.LogCaptureFixture, mode: int, words: str
) -> None:
    key.chmod(mode)
    ways: list[Callable[[], object]] = [
        lambda: Credentials.load(chain, key),
        lambda: Credentials.auto_reload(chain, key),
        lambda: Credentials.raw_public_key(key),
    ]
    for load in ways:
        caplog.clear()
        load()
        said = [record.getMessage() for record in caplog.records]
        assert [record.name for record in caplog.records] == ["handclasp"] * bool(words)
        assert all(words in each and str(key) in each and f"{mode:04o}" in each for each in said)
        assert all("PRIVATE" not in each for each in said)


def test_a_link_is_no_way_around_it(
    chain: Path, key: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    key.chmod(0o644)
    (tmp_path / "link").symlink_to(key)
    Credentials.load(chain, tmp_path / "link")
    assert "every user" in caplog.text


def test_one_that_changes_later(chain: Path, key: Path, caplog: pytest.LogCaptureFixture) -> None:
    key.chmod(0o600)
    now = [0.0]
    reloading = Credentials.auto_reload(chain, key, clock=lambda: now[0])
    assert caplog.text == ""
    key.chmod(0o644)
    now[0] += SECONDS_BETWEEN_LOOKS
    assert ServerConfig(credentials=reloading).credentials
    assert reloading.current
    assert caplog.text.count("every user") == 1
    now[0] += SECONDS_BETWEEN_LOOKS
    assert reloading.current
    assert caplog.text.count("every user") == 1


def test_what_cannot_be_used_is_told_as_before(
    chain: Path, key: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key.write_bytes(b"nonsense")
    key.chmod(0o644)
    with pytest.raises(ConfigurationError):
        Credentials.load(chain, key)
    assert caplog.text == ""


def test_bytes_have_no_mode(chain: Path, key: Path, caplog: pytest.LogCaptureFixture) -> None:
    key.chmod(0o644)
    Credentials.from_pem(chain.read_bytes(), key.read_bytes())
    Credentials.raw_public_key(key.read_bytes())
    assert caplog.text == ""


def test_it_is_heard_without_any_setting(chain: Path, key: Path) -> None:
    key.chmod(0o644)
    program = "import sys, handclasp; handclasp.Credentials.load(*sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", program, str(chain), str(key)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stderr.count("\n") == 1
    assert "every user" in done.stderr


def test_the_logger_can_be_made_to_refuse(chain: Path, key: Path) -> None:
    """As the documents say: a filter that raises keeps such keys out of a server."""

    def refuse(record: logging.LogRecord) -> bool:
        raise ConfigurationError(record.getMessage())

    key.chmod(0o600)
    now = [0.0]
    reloading = Credentials.auto_reload(chain, key, clock=lambda: now[0])
    logger = logging.getLogger("handclasp")
    logger.addFilter(refuse)
    key.chmod(0o644)
    try:
        with pytest.raises(ConfigurationError, match="every user"):
            Credentials.load(chain, key)
        now[0] += SECONDS_BETWEEN_LOOKS
        assert reloading.current
        assert "every user" in str(reloading.last_error)
    finally:
        logger.removeFilter(refuse)
