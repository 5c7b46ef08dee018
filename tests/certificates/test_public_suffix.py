"""Which names are public suffixes, with the list and without."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.certificates import public_suffix
from handclasp.certificates.public_suffix import is_public_suffix


@pytest.fixture(autouse=True)
def read_anew() -> Iterator[None]:
    forget()
    yield
    forget()


def forget() -> None:
    is_public_suffix.cache_clear()
    public_suffix._rules.cache_clear()


@pytest.mark.parametrize(
    ("name", "registries", "with_private"),
    [
        ("com", True, True),
        ("no-such-tld", True, True),
        ("example.com", False, False),
        ("example.no-such-tld", False, False),
        ("co.uk", True, True),
        ("example.co.uk", False, False),
        # "*.ck", but "!www.ck".
        ("anything.ck", True, True),
        ("www.ck", False, False),
        # "*.kobe.jp", but "!city.kobe.jp".
        ("kobe.jp", True, True),
        ("anything.kobe.jp", True, True),
        ("city.kobe.jp", False, False),
        ("below.city.kobe.jp", False, False),
        # "公司.cn", in the spelling of certificates.
        ("xn--55qx5d.cn", True, True),
        ("xn--p1ai", True, True),
        ("xn--\x80.cn", False, False),
        ("github.io", False, True),
        ("pages.github.io", False, False),
    ],
)
def test_suffixes(name: str, registries: bool, with_private: bool) -> None:
    pytest.importorskip("publicsuffixlist")
    assert is_public_suffix(name, private=False) is registries
    assert is_public_suffix(name, private=True) is with_private


@pytest.mark.parametrize("private", [False, True])
def test_every_rule_is_found_as_the_package_finds_it(private: bool) -> None:
    module = pytest.importorskip("publicsuffixlist")
    theirs = module.PublicSuffixList(only_icann=not private)
    rules = [rule for rule in theirs._publicsuffix if rule.isascii()]
    assert len(rules) > 5000
    # All of them would take a while: each is looked for in the whole text.
    for rule in sorted(rules)[:: len(rules) // 400]:
        name = rule.removeprefix("!").replace("*", "anything")
        for asked in (name, f"below.{name}", name.partition(".")[2]):
            if asked:
                assert is_public_suffix(asked, private=private) is theirs.is_public(asked), asked


@given(st.text("abc.!*/\n -", max_size=20))
def test_no_name_is_taken_for_a_rule_in_disguise(name: str) -> None:
    assert is_public_suffix(f"{name}.example.com", private=True) in (False, None)


def test_without_the_package_only_single_labels_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_the_list(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "publicsuffixlist":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "publicsuffixlist", raising=False)
    monkeypatch.setattr(builtins, "__import__", without_the_list)
    assert is_public_suffix("com", private=False) is True
    assert is_public_suffix("co.uk", private=False) is None
    assert is_public_suffix("example.com", private=True) is None
