from __future__ import annotations

from pathlib import Path

import pytest

from bstsearch.errors import InputError, UsageError
from bstsearch.tasks.text_lines import read_parts

LINES = [f"this is text number {number}" for number in range(100)]


def test_each_text_is_in_one_part_at_every_call_wherever_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_text("\n".join([*LINES, "", *LINES[:7]]))
    parts = read_parts(file)
    assert {name: len(texts) for name, texts in parts.items()} == {"train": 60, "validation": 20, "test": 20}
    assert sorted(text for texts in parts.values() for text in texts) == sorted(LINES)
    file.write_text("\n".join(reversed(LINES)))
    again = read_parts(file)
    assert [set(again[name]) for name in parts] == [set(texts) for texts in parts.values()]


def test_a_folder_is_read_with_all_its_text_files(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "one.txt").write_text("\n".join(LINES[:50]))
    (tmp_path / "deep" / "two.MD").write_text("\n".join(LINES[50:]))
    (tmp_path / "three.bin").write_bytes(b"\xff\xfe\x00")
    assert sum(map(len, read_parts(tmp_path).values())) == 100


def test_files_named_after_the_parts_are_the_parts_and_share_no_text(tmp_path: Path) -> None:
    for part, lines in (("train", LINES[:60]), ("validation", LINES[50:80]), ("test", LINES[80:])):
        (tmp_path / f"{part}.txt").write_text("\n".join(lines))
    parts = read_parts(tmp_path)
    assert parts == {"train": LINES[:60], "validation": LINES[60:80], "test": LINES[80:]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "lines.txt does not exist; give a file with one text a line"),
        (b"one\ntwo\n", "2 different texts are too few; give 30 or more"),
        (b"same\n" * 90, "1 different texts are too few"),
        (b"caf\xe9\n", "lines.txt is no text in UTF-8"),
    ],
)
def test_what_cannot_be_read_is_one_clear_line(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "lines.txt").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_parts(tmp_path / "lines.txt")


def test_a_folder_without_text_and_no_place_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no file that ends in \.txt, \.md, \.rst; give files"):
        read_parts(tmp_path)
    with pytest.raises(UsageError, match="say which with --data FILE or FOLDER"):
        read_parts(None)
