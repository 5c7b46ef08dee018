"""A secret is bytes, and never shows itself."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handclasp.crypto.secret import Secret
from handclasp.crypto.suites import CIPHER_SUITES
from handclasp.keys.schedule13 import EarlySecret, TrafficSecret

VALUE = b"correct horse battery staple"


def shows(text: str) -> bool:
    return "horse" in text or VALUE.hex() in text


@pytest.mark.parametrize(
    "text",
    [
        repr(Secret(VALUE)),
        str(Secret(VALUE)),
        ascii(Secret(VALUE)),
        format(Secret(VALUE)),
        format(Secret(VALUE), ">60"),
        f"{Secret(VALUE)}",
        f"{Secret(VALUE)!r}",
        "%s" % Secret(VALUE),  # type: ignore[str-bytes-safe]  # noqa: UP031
        "%r" % Secret(VALUE),  # noqa: UP031
        "{}".format(Secret(VALUE)),  # noqa: UP032
        repr([Secret(VALUE)]),
        repr({"key": Secret(VALUE)}),
    ],
)
def test_no_way_of_printing_shows_it(text: str) -> None:
    assert not shows(text)
    assert "<Secret of 28 bytes>" in text


def test_neither_a_log_nor_an_exception_shows_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").warning("derived %s", Secret(VALUE))
    assert not shows(caplog.text)
    try:
        raise ValueError(Secret(VALUE))
    except ValueError as error:
        text = "".join(traceback.format_exception(error))
    assert not shows(text)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_not_pickled(protocol: int) -> None:
    for value in (Secret(VALUE), [Secret(VALUE)], {"key": Secret(VALUE)}):
        with pytest.raises(TypeError, match="not to be pickled"):
            pickle.dumps(value, protocol)


def test_it_is_not_copied_into_something_that_shows_itself() -> None:
    with pytest.raises(TypeError, match="not to be pickled"):
        copy.deepcopy({"key": Secret(VALUE)})


def test_what_holds_secrets_does_not_show_them() -> None:
    suite = CIPHER_SUITES["TLS_AES_128_GCM_SHA256"]
    secret = TrafficSecret(suite, Secret(VALUE))
    stages = [secret, secret.keys(), secret.next(), EarlySecret(suite, Secret(VALUE))]
    for stage in stages:
        assert not shows(repr(stage))
        assert "<Secret of" in repr(stage)


@settings(deadline=None)
@given(st.binary(max_size=64))
def test_to_the_primitives_it_is_bytes(value: bytes) -> None:
    secret = Secret(value)
    assert secret == value
    assert len(secret) == len(value)
    assert hash(secret) == hash(value)
    assert bytes(memoryview(secret)) == value


def test_it_takes_no_attributes() -> None:
    with pytest.raises(AttributeError):
        Secret(VALUE).note = 1  # type: ignore[attr-defined]
