from __future__ import annotations

import errno
import io
import json
import re
import sys
from pathlib import Path

import pytest

from bstsearch.cli.output import PLOT_WIDTH, Column, Output
from bstsearch.cli.progress import Lines
from bstsearch.searching.front_file import read_front

COLUMNS = (Column("row", is_number=True), Column("id"), Column("latency", "ms", is_number=True))
ROWS = ((1, "w1of4-d1", "0.81"), (2, "w1-d1", None))


class Terminal(io.StringIO):
    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True


def at_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Puts a terminal in place of both standard streams (no fixture: pytest sets them anew before the test)."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return stream


def test_a_table_has_units_a_rule_and_a_star_at_the_marked_row(capsys: pytest.CaptureFixture[str]) -> None:
    Output().table(COLUMNS, ROWS, title="Front", marked=1)
    assert capsys.readouterr().out.splitlines() == [
        "Front",
        "row  id        latency",
        "                    ms",
        "---  --------  -------",
        "  1  w1of4-d1     0.81",
        "* 2  w1-d1           -",
    ]


def test_a_title_may_take_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    Output().table((Column("95 %\ninterval"), Column("id")), [("97.1-98.9", "a")])
    assert capsys.readouterr().out.splitlines() == [
        "95 %",
        "interval   id",
        "---------  --",
        "97.1-98.9  a",
    ]


def test_a_table_without_rows_is_its_head(capsys: pytest.CaptureFixture[str]) -> None:
    Output().table((Column("id"),), [])
    assert capsys.readouterr().out == "id\n--\n"


@pytest.mark.parametrize(("columns", "width"), [(None, 80), ("120", 120), ("wide", 80), ("0", 80)])
def test_a_piped_table_is_made_for_80_columns_or_those_of_the_environment(
    columns: str | None, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    just_fits = [Column("x" * (width - 5)), Column("abc")]
    Output().table(just_fits, [])
    Output().table([Column("x" * (width - 4)), Column("abc")], [])
    wide, tight = capsys.readouterr().out.splitlines()[::2]
    assert wide.endswith("x  abc")
    assert tight.endswith("x abc")


def test_a_long_title_is_wrapped(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    Output().table(COLUMNS, ROWS, title="w1-d1 in " + "a-folder/" * 12 + ", on 4795 questions")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[-1].split() == ["2", "w1-d1", "-"]


def test_a_cell_is_measured_as_the_terminal_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    monkeypatch.setenv("COLUMNS", "60")
    Output().table([Column("answer"), Column("share")], [("é" * 40, "1.0")])
    lines = raw.getvalue().decode("ascii").splitlines()
    assert lines[-1].endswith(".. 1.0")
    assert max(map(len, lines)) <= 60


def test_json_mode_prints_one_object_and_nothing_else_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(is_json=True)
    out.text("a result")
    out.table(COLUMNS, ROWS)
    out.json({"id": "w1-d1", "name": "é"})
    out.note("a note")
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"id": "w1-d1", "name": "é"}
    assert captured.out.isascii()
    assert captured.err == "a note\n"


def test_json_refuses_nan() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        Output(is_json=True).json({"latency_ms": float("nan")})


def test_human_mode_prints_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    Output().json({"a": 1})
    assert capsys.readouterr().out == ""


def test_remarks_go_to_stderr_with_their_kind(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output()
    out.note("one")
    out.warning("two")
    out.hint("three")
    out.error("four")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["one", "warning: two", "hint: three", "error: four"]


def test_only_a_terminal_gets_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = at_terminal(monkeypatch)
    Output().warning("two")
    assert terminal.getvalue() == "\x1b[33mwarning: \x1b[0mtwo\n"


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_may_refuse_colour(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = at_terminal(monkeypatch)
    monkeypatch.setenv(variable, value)
    Output().warning("two")
    Output().table(COLUMNS, ROWS, title="Front")
    assert "\x1b" not in terminal.getvalue()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_a_stream_cannot_show_is_escaped(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    Output().text("→ é \udcff")  # the last one comes from a file name that is no UTF-8
    shown = raw.getvalue().decode(encoding)
    assert (
        shown
        == {"ascii": "\\u2192 \\xe9 \\udcff\n", "latin-1": "\\u2192 é \\udcff\n", "utf-8": "→ é \\udcff\n"}[encoding]
    )


def test_progress_off_a_terminal_is_made_of_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with Output(is_json=True).progress("scoring", total=2) as progress:
        progress.advance()
        progress.report("measuring", 1, 2)
    assert isinstance(progress, Lines)
    assert capsys.readouterr() == ("", "")  # of so short a work


def test_a_terminal_without_cursor_movement_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = at_terminal(monkeypatch)
    monkeypatch.setenv("TERM", "dumb")
    with Output().progress("scoring") as progress:
        assert isinstance(progress, Lines)
    assert terminal.getvalue() == ""


def test_progress_on_a_terminal_shows_description_count_and_news(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = at_terminal(monkeypatch)
    out = Output()
    with out.progress("scoring", total=7) as progress:
        progress.advance(2)
        progress.report("scoring w1-d1", 3, 7, "best 98.1 %")
        out.note("w1-d1 is done")
    shown = terminal.getvalue()
    assert "scoring w1-d1" in shown
    assert "3/7" in shown
    assert "best 98.1 %" in shown
    assert "w1-d1 is done\n" in shown.replace("\r\n", "\n")


def test_a_job_that_is_listened_to_speaks_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with Output(is_json=True).listening("reading") as listener:
        listener.progress("scoring", 3, 7, "best 98.1 %")
        listener.note("all is well")
        listener.warning("almost")
    assert capsys.readouterr() == ("", "all is well\nwarning: almost\n")


def test_progress_of_a_job_is_shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = at_terminal(monkeypatch)
    with Output().listening("reading") as listener:
        listener.progress("scoring", 3, 7, "best 98.1 %")
    assert "scoring" in stream.getvalue()
    assert "best 98.1 %" in stream.getvalue()


def test_a_bar_gives_way_to_what_is_printed_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = at_terminal(monkeypatch)
    out = Output()
    with out.listening("reading") as listener:
        listener.progress("scoring", 3, 7)
        out.text("a line of the result")
        listener.progress("scoring", 4, 7)
    before, after = stream.getvalue().split("a line of the result\n")
    assert before.endswith(("\x1b[2K", "\x1b[?25h")), "what was drawn is wiped first"
    assert "scoring" in after


def test_a_bar_is_gone_when_an_error_ends_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = at_terminal(monkeypatch)

    def work() -> None:
        with Output().progress("scoring") as progress:
            progress.report("measuring", 4, 9)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    shown = terminal.getvalue()
    assert "4/9" in shown
    assert shown.endswith("\x1b[2K")  # the line of the bar, erased
    assert shown.count("\x1b[?25h") == shown.count("\x1b[?25l") == 1  # the cursor, shown again


@pytest.mark.parametrize(("encoding", "is_plain"), [("utf-8", False), ("ascii", True), ("latin-1", True)])
def test_a_plot_is_drawn_with_what_the_terminal_can_show(
    encoding: str, is_plain: bool, easy_front: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = at_terminal(monkeypatch)
    monkeypatch.setattr(Terminal, "encoding", encoding)
    monkeypatch.setenv("COLUMNS", "200")
    Output().plot(read_front(easy_front))
    shown = terminal.getvalue()
    assert "accuracy, %" in shown
    assert "\x1b[32m" in shown  # the recommended row
    assert shown.isascii() == is_plain
    monkeypatch.setenv("NO_COLOR", "1")
    Output().plot(read_front(easy_front))
    plain = terminal.getvalue().removeprefix(shown)
    assert "\x1b" not in plain
    assert max(map(len, plain.splitlines())) <= PLOT_WIDTH


def test_no_plot_in_json_mode_off_a_terminal_or_where_it_is_too_narrow(
    easy_front: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Output().plot(read_front(easy_front))
    assert capsys.readouterr().out == ""
    terminal = at_terminal(monkeypatch)
    Output(is_json=True).plot(read_front(easy_front))
    monkeypatch.setenv("COLUMNS", "30")
    Output().plot(read_front(easy_front))
    assert terminal.getvalue() == ""


NASTY = "\x1b[2J\x1b]0;title\x07red\r\u202egnp\x9b31m\x00"
HARMLESS = " [2J ]0;title red gnp 31m "


def test_what_moves_a_cursor_or_turns_text_reaches_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts come from files of other people; on a terminal only the styles of this package's own are left."""
    terminal = at_terminal(monkeypatch)
    out = Output()
    out.text(NASTY)
    out.table((Column("id"),), [[f"{NASTY}\n2"]], title=f"{NASTY}\n1")
    out.note(f"{NASTY}\nsecond line")
    for tell in (out.warning, out.hint, out.error):
        tell(NASTY)
    found = re.sub(r"\x1b\[(?:1|3[136]|0)m", "", terminal.getvalue())
    assert found == "\n".join(
        [
            HARMLESS,
            f"{HARMLESS.rstrip()} 1",
            "id",
            "-" * (len(HARMLESS) + 1),
            f"{HARMLESS}2",
            HARMLESS,
            "second line",
            *(f"{kind}: {HARMLESS}" for kind in ("warning", "hint", "error")),
            "",
        ]
    )


def test_what_a_job_says_of_its_progress_moves_no_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = at_terminal(monkeypatch)
    with Output().listening("reading") as listener:
        listener.progress(f"{NASTY}scoring", 3, 7, f"{NASTY}best")
        listener.warning(NASTY)
    assert "\x1b[2J\x1b]0" not in stream.getvalue()
    assert f"{HARMLESS}scoring" in stream.getvalue()


def test_json_escapes_what_a_terminal_would_obey(capsys: pytest.CaptureFixture[str]) -> None:
    Output(is_json=True).json({"title": NASTY})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"title": NASTY}
    assert printed.replace("\n", "").isprintable()


def test_a_warning_or_an_error_is_of_bounded_length(capsys: pytest.CaptureFixture[str]) -> None:
    for tell in (Output().warning, Output().error):
        tell("x" * 300_000)
    assert [len(line) for line in capsys.readouterr().err.splitlines()] == [
        len("warning: ") + 1000,
        len("error: ") + 1000,
    ]


class Full(io.StringIO):
    """A stream of a disk without room."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_where_nothing_can_be_said_the_work_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Full())
    out = Output()
    for tell in (out.note, out.warning, out.hint, out.error):
        tell("a remark")
    with out.listening("reading") as listener:
        listener.note("a remark")


def test_where_no_result_can_be_written_that_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(OSError, match="No space left"):
        Output().text("a result")
