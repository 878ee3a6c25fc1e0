"""The address as a phone's camera reads it."""

from __future__ import annotations

import pytest


def test_a_qr_code_is_square_and_says_the_address() -> None:
    pytest.importorskip("segno")
    from bstsearch.measuring.drivers.browser.address import qr_lines

    lines = [
        line.removeprefix("\x1b[30;107m").removesuffix("\x1b[0m") for line in qr_lines("http://192.168.1.5:4000/a/")
    ]
    assert {len(line) for line in lines} == {2 * len(lines) - 1}
    assert set("".join(lines)) == set(" ▀▄█")
    assert lines[0] == " " * len(lines[0])  # the quiet zone, black on white
    assert lines[1].startswith("  █▀▀▀▀▀█ ")
