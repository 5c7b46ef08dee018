"""How an edit finds its code: by symbol and syntax, wherever that has gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.security.edits import Edit, NotFound, apply, find

CODE = '''
MOST = 5


class Reader:
    def take(self, size):
        """Return so many bytes."""
        if size > self.left and (
            not self.closed  # A remark.
        ):
            raise ProtocolError(Fault.TOO_SHORT, f"{size} bytes")
        self.note("a")
        return size

    def skip(self, size):
        if size > self.left:
            raise ProtocolError(Fault.CUT_OFF)
        self.note("a")
        self.left -= size
'''


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "wire").mkdir()
    (tmp_path / "wire" / "reader.py").write_text(CODE)
    (tmp_path / "other.py").write_text("def take(size):\n    return size\n")
    return tmp_path


def edited(source: Path, *edit: str, before: str = "", file: str = "wire/reader.py") -> str:
    apply(Edit(*edit, before=before), source)
    return (source / file).read_text()


@pytest.mark.parametrize(
    ("where", "old", "new", "changed"),
    [
        ("wire.reader.Reader.skip", "size > self.left", "False", "if (False):"),
        ("wire.reader.Reader.skip", "raise ProtocolError(...)", "return", "\n            return\n"),
        ("wire.reader.Reader.take", "raise ProtocolError(Fault.TOO_SHORT, ...)", "pass", "pass"),
        ("wire.reader.Reader.take", "not self.closed", "True", "(True)  # A remark."),
        (
            "wire.reader.Reader.take",
            "size > self.left and not self.closed",
            "False",
            "if (False)",
        ),
        ("wire.reader.MOST", "5", "6", "MOST = (6)"),
        (
            "wire.reader.Reader.skip",
            "self.left -= ...",
            "if size:\n    pass",
            "        if size:\n            pass",
        ),
        ("wire.reader.Reader.take", "if ...: ...", "pass", "        pass\n        self.note"),
    ],
)
def test_what_is_replaced(source: Path, where: str, old: str, new: str, changed: str) -> None:
    assert changed in edited(source, where, old, new)


def test_only_in_the_symbol(source: Path) -> None:
    text = edited(source, "wire.reader.Reader.skip", 'self.note("a")', "pass")
    assert text.count('self.note("a")') == 1


def test_wherever_it_stands_in_there(source: Path) -> None:
    text = edited(source, "wire.reader.Reader", "self.note('a')", "pass")
    assert 'self.note("a")' not in text


def test_what_follows_tells_two_places_apart(source: Path) -> None:
    text = edited(source, "wire.reader.Reader", "self.note(...)", "pass", before="return ...")
    assert "pass\n        return size" in text
    assert text.count("self.note") == 1


def moved(source: Path, file: str, text: str = CODE) -> None:
    (source / "wire" / "reader.py").unlink()
    (source / file).parent.mkdir(exist_ok=True)
    (source / file).write_text(text)


@pytest.mark.parametrize(
    ("file", "text", "where"),
    [
        ("wire/cursor.py", CODE, "wire.cursor.Reader.skip"),
        ("record/cursor.py", CODE, "record.cursor.Reader.skip"),
        ("wire/reader.py", CODE.replace("Reader", "Cursor"), "wire.reader.Cursor.skip"),
        ("wire/cursor.py", CODE.replace("skip", "pass_over"), "wire.cursor.Reader.pass_over"),
    ],
)
def test_a_symbol_that_moved(source: Path, file: str, text: str, where: str) -> None:
    moved(source, file, text)
    edit = Edit("wire.reader.Reader.skip", "raise ProtocolError(Fault.CUT_OFF, ...)", "pass")
    assert find(edit, source).where == where


def test_a_function_that_was_renamed_is_told(source: Path) -> None:
    """Where the code itself does not show which place is meant, nothing is guessed."""
    moved(source, "wire/reader.py", CODE.replace("skip", "pass_over"))
    with pytest.raises(NotFound, match=r"stands in: wire\.reader\.Reader\.pass_over"):
        find(Edit("wire.reader.Reader.skip", "self.left -= size", "pass"), source)


def test_two_that_may_be_meant(source: Path) -> None:
    moved(source, "wire/one.py")
    (source / "wire" / "two.py").write_text(CODE)
    with pytest.raises(NotFound, match=r"wire\.one\.Reader\.skip, wire\.two\.Reader\.skip"):
        find(Edit("wire.reader.Reader.skip", "self.left -= size", "pass"), source)


def test_what_is_assigned_is_not_what_is_read(source: Path) -> None:
    with pytest.raises(NotFound):
        find(Edit("wire.reader.MOST", "MOST", "0"), source)
