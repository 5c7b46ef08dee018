"""Sentences stay short and printable, however many names a certificate or a hello has."""

from __future__ import annotations

import pytest
from tests.end_to_end.pair import Pair
from tests.pki import Leaf, Pki

from handclasp import ClientConfig, ServerConfig, TLSError
from handclasp.certificates import describe
from handclasp.certificates.reading import certificate_of
from handclasp.cli.identity import names_of
from handclasp.wording import LONGEST, ROOM, listed

MANY = tuple(f"host-{number:03}.departments.example.org" for number in range(100))
LONG = (".".join([*(letter * 60 for letter in "abc"), "d" * 57, "example.com"]),)
LONG_ONES = tuple(f"{number}{LONG[0][2:]}" for number in range(10))
_LONGEST_SENTENCE = 400


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


def test_a_list_names_the_first_and_counts_the_others() -> None:
    assert listed([]) == "nothing"
    assert listed(["a", "b", "c"], 3) == "a, b, c"
    assert listed(["a", "b", "c"], 2) == "a, b and 1 more"
    assert listed(["a", "b"], 2, count=7) == "a, b and 5 more"
    assert listed(["a"], count=128, at_least=True) == "a and at least 127 more"


def test_a_list_is_short_and_printable_whatever_the_names() -> None:
    long = "x" * 250
    assert listed([long]) == f"{'x' * (LONGEST - 3)}..."
    assert len(listed([long] * 100, 100)) < ROOM + LONGEST
    assert listed([long] * 100, 100).endswith(" and 97 more")
    assert listed(["a\x1b[2Jb"]) == "a?[2Jb"
    assert listed([long, "b"], room=10) == f"{'x' * (LONGEST - 3)}... and 1 more"


@pytest.mark.parametrize("names", [MANY, LONG, LONG_ONES], ids=["many", "long", "long ones"])
def test_what_is_said_of_a_certificate_is_short(pki: Pki, names: tuple[str, ...]) -> None:
    credentials = pki.credentials(Leaf(names))
    certificate = certificate_of(credentials.chain_der[0])
    told = [
        repr(credentials),
        credentials.subject,
        names_of(certificate),
        describe.chain_in_words(credentials.chain_der).names,
        describe.field_in_words(certificate, "subjectAltName")[0],
    ]
    assert [text for text in told if len(text) > _LONGEST_SENTENCE] == []
    if len(names) > 1:
        assert all(text.rstrip(")'").endswith(" more") for text in told)


@pytest.mark.parametrize("names", [MANY, LONG, LONG_ONES], ids=["many", "long", "long ones"])
def test_a_refusal_for_another_name_is_short(pki: Pki, names: tuple[str, ...]) -> None:
    config = ServerConfig(credentials=[pki.credentials(Leaf(names))])
    errors = _failures(ClientConfig(trust=pki.trust), config, "other.example.net")
    for error in errors:
        assert len(str(error)) < _LONGEST_SENTENCE
    # An example to connect by can be copied, or there is none.
    assert "... (" not in errors[0].fix


def test_protocols_that_are_not_shared_make_a_short_sentence(pki: Pki) -> None:
    ours, theirs = ([first * 250, *map(str, range(60))] for first in "xy")
    client = ClientConfig(trust=pki.trust, alpn=ours)
    server = ServerConfig(credentials=[pki.server()], alpn=[f"p{each}" for each in theirs])
    for error in _failures(client, server, "localhost"):
        assert len(f"{error} {error.fix}") < 2 * _LONGEST_SENTENCE


def _failures(client: ClientConfig, server: ServerConfig, name: str) -> list[TLSError]:
    """Return what a client and a server say of a handshake that fails."""
    pair = Pair(client, server, name).run()
    errors = [end.connection.failure for end in (pair.client, pair.server)]
    return [error for error in errors if error is not None]
