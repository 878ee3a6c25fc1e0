from __future__ import annotations

import os
from pathlib import Path

import pytest

from bstsearch.errors import InputError
from bstsearch.training.log import COLUMNS, read_log

HEAD = ",".join(COLUMNS)


def rows(*steps: int) -> str:
    return "\n".join([HEAD, *(f"{step},0.1,2.5,nan,0.5,0.5" for step in steps), ""])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.csv"


def test_the_rows_of_the_steps_done_are_read(path: Path) -> None:
    path.write_text(rows(1, 2, 3))
    assert [row["step"] for row in read_log(path, 2)] == ["1", "2"]


def test_training_goes_on_without_a_log_and_with_what_came_after(path: Path) -> None:
    assert read_log(path, 2) == []
    path.write_text(rows(3, 4))
    assert [row["step"] for row in read_log(path, 4)] == ["3", "4"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "ends before step 2, where the checkpoint stands; remove it to go on without"),
        (rows(1).encode(), "ends before step 2"),
        (rows(1, 2)[:-20].encode(), "line 3 is none of a step"),
        (b"step;loss\n1;2\n", "line 2 is none of a step .*; remove it, or the file"),
        (rows(1, 2).replace("2,0.1", "two,0.1").encode(), "line 3 is none of a step"),
        (rows(1, 2).replace("2.5", "2,5").encode(), "line 2 is none of a step"),
        (b"\xff\xfe\0", "no text in UTF-8"),
        (b"\0" * 50, "log.csv"),
        ((HEAD + "\n" + "9" * 5000 + ",1,1,1,1,1").encode(), "log.csv"),
        (b'"' + b"x" * 200_000, "log.csv"),
    ],
)
def test_a_damaged_log_is_one_line(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"^{path}.*{message}|^{path}") as caught:
        read_log(path, 2)
    assert message == "log.csv" or message[:12] in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_pipe_is_refused_at_once(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(InputError, match="pipe"):
        read_log(path, 2)
