"""What the user sees: the only file that prints.

Results go to stdout; notes, warnings, hints, errors and progress go to stderr. Off a terminal there is no
colour, lines in place of a progress bar, and tables make do with 80 columns (or $COLUMNS).

Texts may come from files of other people. On their way to a stream they lose what moves a cursor, colours a terminal
or turns the reading direction, and get escapes for what its encoding lacks; JSON escapes the same by itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import typer

from bstsearch.cli.hints import with_files
from bstsearch.cli.progress import Bar, Lines, Progress, beating, rich_progress
from bstsearch.cli.tables import Column as Column  # where commands look for it
from bstsearch.cli.tables import render
from bstsearch.environment import columns, has_cursor, wants_colours
from bstsearch.listener import Listener
from bstsearch.reading import cut, plain

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from bstsearch.searching.front_file import FrontFile

PIPED_WIDTH = 80
PLOT_WIDTH = 90  # of a plot at most: wider ones only pull the points apart
LINE = 1_000  # characters of a warning or an error, which may repeat what a file says


class _Styled(NamedTuple):
    """A part of a line that a terminal shows in a style."""

    text: str
    style: Mapping[str, Any]


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
            self._print(_Styled(textwrap.fill(plain(title), self.width), {"bold": True}))
        shown = [[None if cell is None else _showable(sys.stdout, plain(str(cell))) for cell in row] for row in rows]
        self._print(render(columns, shown, marked, self.width))

    def plot(self, file: FrontFile) -> None:
        """Draws a front's accuracy over latency to stdout, where that is a terminal; nothing in JSON mode."""
        if self.is_json or not sys.stdout.isatty():
            return
        from bstsearch.report.terminal_plot import ASCII, LINES, terminal_plot

        marks = LINES if _can_show(sys.stdout, "".join(dataclasses.astuple(LINES))) else ASCII
        if plot := terminal_plot(file, min(self.width, PLOT_WIDTH), marks):
            number, begin, end = plot.marked
            line = plot.lines[number]
            above, below = plot.lines[:number], plot.lines[number + 1 :]
            star = _Styled(line[begin:end], {"bold": True, "fg": "green"})
            _write(sys.stdout, "\n".join(["", *above, line[:begin]]), star, "\n".join([line[end:], *below]))

    def json(self, data: Any) -> None:
        """Writes `data` as the one JSON object on stdout; nothing outside JSON mode."""
        if self.is_json:
            _write(sys.stdout, json.dumps(data, indent=2, allow_nan=False))

    def note(self, line: str) -> None:
        """Writes a remark to stderr."""
        _tell(line)

    def warning(self, line: str) -> None:
        """Writes what may be wrong, and its remedy, to stderr."""
        _tell(_Styled("warning: ", {"fg": "yellow"}), cut(plain(line), LINE))

    def hint(self, line: str) -> None:
        """Writes what to type next to stderr, the files of one's own included."""
        _tell(_Styled("hint: ", {"fg": "cyan"}), with_files(line))

    def error(self, line: str) -> None:
        """Writes why the command failed to stderr."""
        _tell(_Styled("error: ", {"fg": "red"}), cut(plain(line), LINE))

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

    def _print(self, text: str | _Styled) -> None:
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
        self._bar.report(plain(text), done, total, plain(news))

    def note(self, line: str) -> None:
        """As `Output.note`."""
        self._output.note(line)

    def warning(self, line: str) -> None:
        """As `Output.warning`."""
        self._output.warning(line)


def open_closed_streams() -> None:
    """Puts /dev/null where a standard stream is closed: else the next file that is opened gets its number and texts."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        place: int | str = os.devnull
        if not _is_open(number):
            place = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, so this one
            os.set_inheritable(place, True)
        if getattr(sys, name) is None:
            is_ours = isinstance(place, str)
            stream = open(place, "w" if number else "r", encoding="utf-8", closefd=is_ours)  # noqa: SIM115 - stays open
            setattr(sys, name, stream)


def silence(stream: TextIO) -> None:
    """Leads the stream nowhere; what it still holds would otherwise raise again when Python closes it at exit."""
    with contextlib.suppress(io.UnsupportedOperation):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _width(stream: TextIO) -> int:
    return columns() or (shutil.get_terminal_size().columns if stream.isatty() else PIPED_WIDTH)


def _is_screen(stream: TextIO) -> bool:
    """Whether colours and bars can be shown there."""
    return stream.isatty() and has_cursor()


def _can_show(stream: TextIO, text: str) -> bool:
    return _showable(stream, text) == text


def _showable(stream: TextIO, text: str) -> str:
    """The text's lines, each `plain`, and with an escape for each character that writing would raise at."""
    encoding = stream.encoding or "utf-8"
    text = "\n".join(map(plain, text.split("\n")))
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _shown(stream: TextIO, part: str | _Styled) -> str:
    if isinstance(part, str):
        return _showable(stream, part)
    text = _showable(stream, part.text)
    return typer.style(text, **part.style) if wants_colours() and _is_screen(stream) else text


def _write(stream: TextIO, *parts: str | _Styled) -> None:
    stream.write("".join(_shown(stream, part) for part in parts) + "\n")
    stream.flush()


def _tell(*parts: str | _Styled) -> None:
    """Writes to stderr; where nothing can be written there, the command goes on without."""
    try:
        _write(sys.stderr, *parts)
    except OSError:
        silence(sys.stderr)
