"""front.png as a file: drawn once for each front, and never able to fail a command."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from bstsearch.environment import without
from bstsearch.reading import check_file
from bstsearch.searching.comparison import Comparison
from bstsearch.searching.front_file import FrontFile

KEY = "bstsearch"  # the comment in the PNG that tells which front it shows
SETTINGS = Path("matplotlibrc")  # in the current folder, matplotlib reads it as it is loaded
_HEAD = 4096  # bytes of a PNG that hold its comments


def remove_other(file: FrontFile, path: Path) -> None:
    """Removes the picture at `path` if it shows another front than `file`, as one of another budget does."""
    with contextlib.suppress(OSError):  # where nothing may be removed, what is written next says so
        if path.exists() and not _is_marked(path, _mark(file)):
            path.unlink()


def write_picture(file: FrontFile, path: Path) -> str | None:
    """Draws the picture where there is none; returns why it could not be drawn, or None."""
    if path.exists():
        return None

    def draw() -> None:
        from bstsearch.report.picture import draw_picture  # here, since matplotlib takes long to import

        draw_picture(file, path, {KEY: _mark(file)})

    return _tried(draw, path)


def write_fronts_picture(comparison: Comparison, path: Path) -> str | None:
    """Replaces the picture of several fronts; returns why it could not be drawn, or None."""

    def draw() -> None:
        from bstsearch.report.overlay_picture import draw_fronts

        draw_fronts(comparison, path)

    return _tried(draw, path)


def _tried(draw: Callable[[], None], path: Path) -> str | None:
    """Why `draw` could not draw the picture at `path`, or None."""
    try:
        if SETTINGS.exists():
            check_file(SETTINGS)  # matplotlib would wait for what a pipe of that name says
        with _undisturbed():
            draw()
    except Exception as error:  # whatever a plotting library may raise: the front is worth more than its picture
        reason = " ".join(str(error).split()) or type(error).__name__
        return f"{path} could not be drawn: {reason}; all else is there"
    return None


def _mark(file: FrontFile) -> str:
    """A digest of all that the picture shows."""
    data = {name: value for name, value in file.to_json().items() if name != "created"}
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def _is_marked(path: Path, mark: str) -> bool:
    with path.open("rb") as stream:
        return f"{KEY}\0{mark}".encode() in stream.read(_HEAD)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Keeps matplotlib from the user's backend and settings, which may not exist, and from talking on stderr."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with without("MPLBACKEND", "MATPLOTLIBRC"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
