"""A QR code drawn with letters, for a phone to read off a terminal (no torch)."""

from __future__ import annotations

from itertools import zip_longest

_BORDER = 2  # modules; the standard asks for four, readers do with two
# Black on white whatever the terminal's colours are: not every reader takes a code with the two exchanged.
_START, _END = "\x1b[30;107m", "\x1b[0m"
_HALVES = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}


def qr_lines(url: str) -> list[str]:
    """The lines of a QR code that says `url`, two rows of modules in each, in black on white (ANSI colours)."""
    import segno

    rows = [tuple(row) for row in segno.make_qr(url, error="l").matrix_iter(border=_BORDER)]
    empty = (0,) * len(rows[0])
    pairs = zip_longest(rows[::2], rows[1::2], fillvalue=empty)
    lines = ("".join(_HALVES[bool(high), bool(low)] for high, low in zip(*pair, strict=True)) for pair in pairs)
    return [f"{_START}{line}{_END}" for line in lines]
