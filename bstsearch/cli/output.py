"""What the user sees: the only file that prints.

Results go to stdout; notes, warnings, hints, errors and progress go to stderr. Off a terminal there is no
colour, lines in place of a progress bar, and tables make do with 80 columns (or $COLUMNS).
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

import typer

from bstsearch.cli.hints import with_files
from bstsearch.cli.progress import Bar, Lines, Progress, beating, rich_progress
from bstsearch.cli.tables import Column as Column  # where commands look for it
from bstsearch.cli.tables import render
from bstsearch.listener import Listener

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from bstsearch.searching.front_file import FrontFile

PIPED_WIDTH = 80
PLOT_WIDTH = 90  # of a plot at most: wider ones only pull the points apart


class Output:
    """Where a command hands its values: tables and lines for people, or with `is_json` one JSON object."""

    def __init__(self, is_json: bool = False) -> None:
        self.is_json = is_json
        self._bar: RichProgress | None = None  # the one that is on the screen

    @property
    def width(self) -> int:
        """How many columns stdout has; off a terminal 80, or $COLUMNS."""
        return _width(sys.stdout)

    def text(self, line: str = "") -> None:
        """Writes one line of the result to stdout; nothing in JSON mode."""
        if not self.is_json:
            self._print(line)

    def table(
        self,
        columns: Sequence[Column],
        rows: Sequence[Sequence[object]],
        title: str | None = None,
        marked: int | None = None,
    ) -> None:
        """Writes a table to stdout; nothing in JSON mode.

        None is shown as a dash. `marked` is the index in `rows` of the row that gets a star. Numbers come
        as strings with the digits that they deserve. No line is wider than the terminal.
        """
        if self.is_json:
            return
        if title:
            self._print(_styled(sys.stdout, textwrap.fill(title, self.width), bold=True))
        shown = [[None if cell is None else _showable(sys.stdout, str(cell)) for cell in row] for row in rows]
        self._print(render(columns, shown, marked, self.width))

    def plot(self, file: FrontFile) -> None:
        """Draws a front's accuracy over latency to stdout, where that is a terminal; nothing in JSON mode."""
        if self.is_json or not sys.stdout.isatty():
            return
        from bstsearch.report.terminal_plot import ASCII, LINES, terminal_plot

        marks = LINES if _can_show(sys.stdout, "".join(dataclasses.astuple(LINES))) else ASCII
        if plot := terminal_plot(file, min(self.width, PLOT_WIDTH), marks):
            number, begin, end = plot.marked
            lines = list(plot.lines)
            star = _styled(sys.stdout, lines[number][begin:end], bold=True, fg="green")
            lines[number] = lines[number][:begin] + star + lines[number][end:]
            _write(sys.stdout, "\n".join(["", *lines]))

    def json(self, data: Any) -> None:
        """Writes `data` as the one JSON object on stdout; nothing outside JSON mode."""
        if self.is_json:
            _write(sys.stdout, json.dumps(data, indent=2, allow_nan=False))

    def note(self, line: str) -> None:
        """Writes a remark to stderr."""
        _write(sys.stderr, line)

    def warning(self, line: str) -> None:
        """Writes what may be wrong, and its remedy, to stderr."""
        _write(sys.stderr, _styled(sys.stderr, "warning: ", fg="yellow") + line)

    def hint(self, line: str) -> None:
        """Writes what to type next to stderr, the files of one's own included."""
        _write(sys.stderr, _styled(sys.stderr, "hint: ", fg="cyan") + with_files(line))

    def error(self, line: str) -> None:
        """Writes why the command failed to stderr."""
        _write(sys.stderr, _styled(sys.stderr, "error: ", fg="red") + line)

    @contextlib.contextmanager
    def progress(self, description: str, total: int | None = None) -> Iterator[Progress]:
        """How far the block has come, on stderr: a bar with the time left, off a terminal a line now and then."""
        if not _is_screen(sys.stderr):
            with beating(Lines(self.note, description, total)) as lines:
                yield lines
            return
        with rich_progress() as bar:
            self._bar = bar
            try:
                yield Bar(bar, bar.add_task(description, total=total, info=""))
            finally:
                self._bar = None

    def _print(self, text: str) -> None:
        """Writes to stdout. A bar is taken away while it does, since both may be one terminal."""
        if self._bar:
            self._bar.stop()
        _write(sys.stdout, text)
        if self._bar:
            self._bar.start()

    @contextlib.contextmanager
    def listening(self, text: str) -> Iterator[Listener]:
        """A listener for a long job, which begins with `text`: its progress is shown as above, its lines on stderr."""
        with self.progress(text) as bar:
            yield _Shown(self, bar)


class _Shown(Listener):
    """What a job says, shown as the command line shows it."""

    def __init__(self, output: Output, bar: Progress) -> None:
        self._output, self._bar = output, bar

    def progress(self, text: str, done: int = 0, total: int | None = None, news: str = "") -> None:
        """As `Progress.report`."""
        self._bar.report(text, done, total, news)

    def note(self, line: str) -> None:
        """As `Output.note`."""
        self._output.note(line)

    def warning(self, line: str) -> None:
        """As `Output.warning`."""
        self._output.warning(line)


def _width(stream: TextIO) -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    return shutil.get_terminal_size().columns if stream.isatty() else PIPED_WIDTH


def _styled(stream: TextIO, text: str, **style: Any) -> str:
    return text if os.environ.get("NO_COLOR") or not _is_screen(stream) else typer.style(text, **style)


def _is_screen(stream: TextIO) -> bool:
    """Whether colours and bars can be shown there."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _can_show(stream: TextIO, text: str) -> bool:
    return _showable(stream, text) == text


def _showable(stream: TextIO, text: str) -> str:
    """The text with an escape for each character that the terminal cannot show, where writing it would raise."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _write(stream: TextIO, text: str) -> None:
    stream.write(_showable(stream, text) + "\n")
    stream.flush()
