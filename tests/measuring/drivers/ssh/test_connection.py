"""Boards that answer with anything: a program in place of ssh plays them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bstsearch.errors import DeviceError
from bstsearch.measuring.drivers.ssh import connection
from bstsearch.measuring.drivers.ssh.driver import open_device
from bstsearch.measuring.runner import MARK

# Says that it is ready, then the words of a file, and then as it is told.
PROGRAM = """
import sys
from pathlib import Path

out, (words, manner) = sys.stdout.buffer, sys.argv[1:3]
out.write(Path(words).read_bytes())
out.flush()
while manner != "silent":
    out.write(b"a" * 10_000 if manner == "endless" else b"Welcome\\n" * 1_000)
sys.stdin.buffer.read()
"""
FACTS = b'{"title": "Board", "soc": "Chip", "cores": 4, "memory_bytes": 1, "system": null}'

Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
    """What the user is told where a board says `words` and then does as `manner` says."""

    def told(words: bytes, manner: str = "silent") -> str:
        (tmp_path / "board.py").write_text(PROGRAM)
        (tmp_path / "words").write_bytes(words)
        command = [sys.executable, str(tmp_path / "board.py"), str(tmp_path / "words"), manner]
        with (
            pytest.raises(DeviceError) as caught,
            open_device("pi@board", threads=1, note=lambda _: None, command=command),
        ):
            pytest.fail("must not open")
        line = str(caught.value)
        assert line.isprintable()
        assert len(line) < 300
        assert line.startswith("pi@board")
        return line

    return told


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (b"5", "expected object, got int"),
        (b"[]", "expected object, got array"),
        (b"null", "expected object, got null"),
        (b"{}", "expected a result, got none"),
        (b"", "malformed"),
        (b"Segmentation fault", "malformed"),
        (b"[" * 200_000 + b"]" * 200_000, "expected object, got array"),
        (b'{"ok": ' + b"[" * 200_000, "ok: expected object, got array"),
        (b'{"error": "\xff\xfe"}', "malformed"),
        (b'{"ok": NaN}', "malformed"),
        (b'{"ok": 1}', "ok: expected object, got int"),
        (b'{"ok": {}}', "ok: object missing required field hardware"),
        (b'{"ok": {"hardware": ' + FACTS + b', "version": "1", "threads": NaN}}', "malformed"),
        (b'{"ok": {"hardware": ' + FACTS + b', "version": "1", "threads": 1e999}}', "out of range"),
        (b'{"ok": {"hardware": ' + FACTS + b', "version": "1", "threads": -1}}', "ok.threads: expected int >= 1"),
        (b'{"ok": {"hardware": ' + FACTS + b', "version": 1, "threads": 1}}', "ok.version: expected str, got int"),
        (b'{"error": 3, "kind": "RunnerError"}', "error: expected str, got int"),
        (b'{"ok": null, "more": 1}', "ok: expected object, got null"),
    ],
)
def test_a_reply_that_is_none_is_told_in_one_line(reply: bytes, problem: str, refused: Refused) -> None:
    assert problem in refused(b"\n" + MARK.encode() + b"\n" + reply + b"\n")


def test_what_a_board_says_went_wrong_is_shown_plain_and_short(refused: Refused) -> None:
    reply = b'{"error": "disk\\u001b[2J full' + b"a" * 100_000 + b'", "kind": "OSError"}'
    assert refused(b"\n" + MARK.encode() + b"\n" + reply + b"\n").startswith("pi@board: OSError: disk [2J fullaaaa")


def test_a_board_that_says_nothing_is_given_up(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LOGIN_S", 0.3)
    told = "pi@board did not answer within 0.3 s; check its power and network, and measure again"
    assert refused(b"Welcome\n") == told
    monkeypatch.setattr(connection, "LOGIN_S", 30.0)
    monkeypatch.setattr(connection, "ANSWER_S", 0.3)
    assert refused(b"\n" + MARK.encode() + b"\n") == told


@pytest.mark.parametrize("words", [b"", b"\n" + MARK.encode() + b"\n"], ids=["login", "reply"])
def test_a_line_without_an_end_fills_no_memory(words: bytes, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LONGEST_LINE", 1_000_000)
    monkeypatch.setattr(connection, "LEAVE_S", 0.1)
    assert refused(words, "endless") == "pi@board sent a line without an end; expected 1,000,000 bytes at most"


def test_a_login_that_talks_on_is_given_up(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LOGIN_S", 0.5)
    monkeypatch.setattr(connection, "LEAVE_S", 0.1)
    assert "did not answer within 0.5 s" in refused(b"", "talking")
